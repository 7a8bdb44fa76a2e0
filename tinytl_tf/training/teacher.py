"""Distillation: the frozen network, at a higher resolution, teaches a network that trains."""

import dataclasses

import keras
import tensorflow as tf

from tinytl_tf.backbones import feature_network
from tinytl_tf.training.precision import computing_in

__all__ = ["Teacher", "feature_distance", "with_features"]


@dataclasses.dataclass(frozen=True, eq=False)
class Teacher:
    """A frozen network, and how strongly another network learns from it.

    The teacher is the same network at a higher resolution, so it sees more detail than the trained network. It does not
    need labels.

    Attributes:
        network: a network of `tinytl_tf.backbones`; its classifier is not used.
        scale: height and width of its images, as a multiple of those of the trained network.
        share: weight in the loss of the distance from its features, above 0; the remaining weight is for the labels.
    """

    network: keras.Model
    scale: int
    share: float

    def features(self, images: tf.Tensor, precision: str = "float32") -> tf.Tensor:
        """Returns the teacher's features of images, float32 `[batch, channels]`.

        Args:
            images: float32 `[batch, scale * height, scale * width, 3]` with values from 0 to 255.
            precision: dtype of its layers, as for `make_train_step`.
        """
        with computing_in(self.network, precision):
            return tf.cast(feature_network(self.network)(images, training=False), tf.float32)

    def reduced(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the same images for the network that trains, float32 `[batch, height, width, 3]`.

        Args:
            images: as for `features`.
        """
        return tf.nn.avg_pool2d(images, self.scale, self.scale, "VALID")


def with_features(model: keras.Model) -> keras.Model:
    """Returns a network with two outputs: its features, `[batch, channels]`, and its logits.

    Args:
        model: a network of `tinytl_tf.backbones`; its layers are shared.
    """
    return keras.Model(model.input, [feature_network(model).output, model.output])


def feature_distance(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Returns the distance of the features of each image from the teacher's, float32 `[batch]`.

    It is the squared distance, divided by the squared length of the teacher's features: 0 if both are equal, 1 if the
    features are zero.

    Args:
        features: `[batch, channels]`.
        target: float32 `[batch, channels]`.

    Example:
        >>> feature_distance(tf.constant([[1.0, 0.0]]), tf.constant([[1.0, 1.0]])).numpy().tolist()
        [0.5]
    """
    squares = tf.reduce_sum((tf.cast(features, tf.float32) - target) ** 2, axis=1)
    return tf.math.divide_no_nan(squares, tf.reduce_sum(target**2, axis=1))
