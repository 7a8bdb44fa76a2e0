"""Accuracy and loss of a Keras model on a data set."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf import data
from tinytl_tf.data.classes import model_labels
from tinytl_tf.errors import InputError
from tinytl_tf.figures import EvaluateResult
from tinytl_tf.tasks import Tally, get_task

__all__ = ["evaluate", "make_evaluate"]

BATCH_SIZE = 32


def evaluate(
    model: keras.Model,
    dataset: data.ImageDataset,
    outputs: np.ndarray | None = None,
    *,
    central_fraction: float = data.CENTRAL_FRACTION,
) -> EvaluateResult:
    """Returns accuracy and mean loss, without label smoothing, as the data's task defines them, in total and by class.

    Args:
        model: model that maps images `[batch, height, width, 3]` with values from 0 to 255 to logits.
        dataset: the images, which are resized and cropped to the model's input, with labels of any task.
        outputs: index of the model's output for each class, int [classes of the data]; None if the classes are the
            same.
        central_fraction: part of an image's side that is evaluated, in (0, 1].
    """
    return make_evaluate(model, dataset.task, central_fraction=central_fraction)(dataset, outputs)


def make_evaluate(
    model: keras.Model,
    task: str = "classification",
    *,
    central_fraction: float = data.CENTRAL_FRACTION,
    features: data.CachedFeatures | None = None,
    image_size: int | None = None,
) -> Callable[..., EvaluateResult]:
    """Returns `evaluate` for one model, which is traced only once, however often it is called.

    Args:
        model: as for `evaluate`.
        task: a key of `tinytl_tf.tasks.TASKS`: the task of the data sets' labels.
        central_fraction: as for `evaluate`.
        features: features of the images, for a model that takes features; None for a model that takes images.
        image_size: with `features`, the height and width of their images.

    Raises:
        InputError: if the model does not map images of a known size and 3 channels to logits; or if the data has a
            different task.
    """
    image_size = _image_size(model) if features is None else (image_size, image_size)
    images_spec = tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8 if features is None else features.dtype)

    @tf.function(input_signature=[images_spec])
    def infer(images):
        return model(tf.cast(images, tf.float32), training=False)

    def evaluate_dataset(dataset: data.ImageDataset, outputs: np.ndarray | None = None) -> EvaluateResult:
        dataset.require_task(task)
        batches = data.eval_batches(
            dataset,
            batch_size=BATCH_SIZE,
            image_size=image_size,
            central_fraction=central_fraction,
            features=features,
        )
        tally = Tally(get_task(task))
        for images, labels in batches:
            tally.add(infer(images).numpy(), labels if outputs is None else model_labels(labels, outputs))
        return tally.result()

    return evaluate_dataset


def _image_size(model: keras.Model) -> tuple[int, int]:
    """Height and width of the images that a model takes."""
    try:
        inputs, outputs = model.input_shape, model.output_shape
    except AttributeError:  # a model that was never called, or another object
        inputs = outputs = ()
    shapes_fit = len(inputs) == 4 and len(outputs) == 2 and inputs[3] == 3
    if not shapes_fit or not all(isinstance(size, int) for size in inputs[1:3]):
        raise InputError(
            "expected a built model from images (batch, height, width, 3) of a known size to logits (batch, classes), "
            f"got {type(model).__name__} from {inputs or 'unknown shapes'} to {outputs or 'unknown shapes'}; build it "
            "with such a keras.Input"
        )
    return inputs[1:3]
