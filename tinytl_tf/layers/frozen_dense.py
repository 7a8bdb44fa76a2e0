"""Dense layer of which a share of the kernel can be trained."""

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers.arguments import require_positive_integers
from tinytl_tf.layers.parted_kernel import PartedKernel
from tinytl_tf.layers.selective_layer import SelectiveLayer

__all__ = ["FrozenDense"]


@keras.saving.register_keras_serializable(package="tinytl_tf")
class FrozenDense(PartedKernel, SelectiveLayer):
    """`keras.layers.Dense` without an activation, whose kernel may be trained in part; see `KernelOptions`.

    Its product is a 1x1 convolution; see `ops.conv2d`.

    Args:
        units: number of output channels.
        use_bias: whether a bias follows.
        **kwargs: `kernel_share` and `kept_bits` as in `FrozenConv2D`, `train` (any of `"kernel"`, `"kernel_rest"` and
            `"bias"`), and arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, ..., channels)` of rank 2 to 4; all dimensions except the batch are static.

    Output shape:
        `(batch, ..., units)`

    Example:
        >>> layer = FrozenDense(16, kernel_share=1 / 4, train=["kernel"], name="hidden")
        >>> layer(tf.ones([1, 9, 8])).shape
        TensorShape([1, 9, 16])
        >>> [(variable.path, tuple(variable.shape)) for variable in layer.trainable_variables]
        [('hidden/kernel', (8, 4))]
    """

    def __init__(self, units: int, use_bias: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.input_spec = keras.InputSpec(min_ndim=2, max_ndim=4)
        require_positive_integers(units=units)
        self.units = units
        self.use_bias = use_bias
        self.bias = None

    def build_variables(self, input_shape: tuple) -> None:
        """Creates the kernel and the bias."""
        self.add_kernel((input_shape[-1], self.units), keras.initializers.GlorotUniform())
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Multiplies with the kernel and adds the bias."""
        inside, channels = inputs.shape[1:-1], inputs.shape[-1]
        positions = inside if inputs.shape.rank == 4 else (1, inside.num_elements())
        images = tf.reshape(inputs, [-1, *positions, channels])

        def multiply(kernel: tf.Tensor, scale: None, train_kernel: bool) -> tf.Tensor:
            kernel = tf.reshape(kernel, [1, 1, channels, -1])
            return ops.conv2d(images, kernel, train_kernel=train_kernel, kept_bits=self.kept_bits)

        outputs = self.join_parts(multiply, None)
        if self.use_bias:
            outputs = ops.affine(outputs, tf.convert_to_tensor(self.bias))
        return tf.reshape(outputs, [-1, *inside, self.units])

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the output shape."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        """Returns the configuration."""
        return {**super().get_config(), "units": self.units, "use_bias": self.use_bias}
