"""Inputs of an exported file: photos, or float arrays of a fixed shape."""

import logging

import keras
import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.tasks import get_task
from tinytl_tf.tflite.inputs import ARRAY
from tinytl_tf.tflite.manifest import DataSettings

__all__ = ["KINDS", "PLAIN_DATA", "check_array_facts", "check_array_input", "input_kind", "random_arrays"]

KINDS = ("image", ARRAY)  # only an export for a Coral board uses "features"
PLAIN_DATA = DataSettings(crop=False, flip=False)  # arrays are used unchanged
_MOST_TEXT = 255  # characters
_MOST_RATE = 2**24  # samples per second
_MOST_AXES = 3  # of an array without the batch; the runtimes support tensors of rank 4
_COARSE = 8  # a smooth array interpolates random values at every eighth position of its first axis
_NOISE = 0.3

_logger = logging.getLogger(__name__)


def input_kind(model: keras.Model, inputs: str = "") -> str:
    """Returns the kind of input of an exported file.

    Args:
        model: The model to export, with one input.
        inputs: `"image"` or `"array"`; empty to derive the kind from the shape. An input shape other than
            `(height, width, 3)` then means arrays, which is logged. Give `"array"` for data of that shape that are not
            photos.

    Raises:
        InputError: If the kind is unknown.

    Example:
        >>> model = keras.Sequential([keras.Input((100, 6)), keras.layers.Flatten()])
        >>> input_kind(model, "array")
        'array'
    """
    if inputs not in ("", *KINDS):
        raise InputError(f"expected inputs of {' or '.join(map(repr, KINDS))}, got {inputs!r:.80}")
    shape = tuple(getattr(getattr(model, "inputs", [None])[0], "shape", ()))
    if inputs or len(shape) == 4 and shape[3] == 3 or not shape:
        return inputs or KINDS[0]
    _logger.warning("an input of %s cannot be photos: the file takes arrays", list(shape))
    return ARRAY


def check_array_input(model: keras.Model) -> None:
    """Checks that a model's input is valid for a file that takes arrays.

    Raises:
        InputError: If the shape is not `(None, ...)` with 1 to 3 fixed sizes, or if the dtype is not float32.
    """
    tensor = model.inputs[0]
    shape, dtype = tuple(tensor.shape), tensor.dtype
    sizes = shape[1:]
    if shape[0] is not None or not 1 <= len(sizes) <= _MOST_AXES or not all(isinstance(size, int) for size in sizes):
        raise InputError(
            f"expected arrays (None, ...) of 1 to {_MOST_AXES} fixed sizes as the input, got {shape}; give keras.Input "
            "the shape of one array, without the batch"
        )
    if dtype != "float32":
        raise InputError(f"expected arrays of float32 as the input, got {dtype}; give keras.Input that dtype")


def check_array_facts(
    model: keras.Model, meaning: str, sample_rate: int, central_fraction: float | None, data: DataSettings | None
) -> None:
    """Checks the manifest arguments for an export that takes arrays.

    Args:
        model: The model to export.
        meaning: Field `meaning` of `InputFacts`.
        sample_rate: Field `sample_rate` of `InputFacts`.
        central_fraction: Must be None.
        data: None, or settings without photo augmentation.

    Raises:
        InputError: If an argument is out of range, or if it applies only to photos.
    """
    if not isinstance(meaning, str) or len(meaning) > _MOST_TEXT or not meaning.isprintable():
        raise InputError(f"expected meaning of at most {_MOST_TEXT} printable characters, got {meaning!r:.80}")
    if type(sample_rate) is not int or not 0 <= sample_rate <= _MOST_RATE:
        raise InputError(f"expected a sample_rate that is an integer of 0 to {_MOST_RATE}, got {sample_rate!r:.80}")
    shape = tuple(model.inputs[0].shape)
    if sample_rate and len(shape) != 2:
        raise InputError(f"expected a sample_rate only for waveforms (None, samples), got {shape}; leave it out")
    if central_fraction is not None:
        raise InputError(f"expected no central_fraction of arrays, got {central_fraction}; leave it out")
    if data is not None and (data.crop, data.flip, data.color) != (False, False, "none"):
        raise InputError(f"expected data without crop, flip and color for arrays, got {data}; give data without them")


def random_arrays(
    model: keras.Model, steps: int, batch_size: int, classes: int, task: str = "classification"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns random arrays and labels. The arrays are smooth along their first axis, like signals.

    Every call returns the same arrays. If the network starts with `Rescaling` or `Normalization`, the output of that
    layer has a mean of 0 and a standard deviation of about 1, as with training data.

    Args:
        model: The model that takes the arrays.
        steps: number of batches.
        batch_size: arrays per batch.
        classes: number of classes, attributes or predicted numbers.
        task: task of the labels, a key of `tinytl_tf.tasks.TASKS`.

    Returns:
        float32 array `[steps, batch_size, ...]`, and labels in the format of `tinytl_tf.export.parity.random_photos`.
    """
    rng = np.random.default_rng(0)
    length, *rest = model.input_shape[1:]
    coarse = rng.normal(size=(steps * batch_size, length // _COARSE + 2, *rest))
    places = np.linspace(0, coarse.shape[1] - 1, length)
    low = np.minimum(places.astype(int), coarse.shape[1] - 2)
    part = (places - low).reshape(-1, *[1] * len(rest))
    smooth = coarse[:, low] * (1 - part) + coarse[:, low + 1] * part
    smooth += rng.normal(0, _NOISE, smooth.shape)
    scale, offset = _first_scale(model)
    arrays = ((smooth - offset) / scale).astype(np.float32).reshape(steps, batch_size, length, *rest)
    return arrays, random_labels(rng, steps, batch_size, classes, task)


def random_labels(rng: np.random.Generator, steps: int, batch_size: int, classes: int, task: str) -> np.ndarray:
    """Returns random labels for a task, `[steps, ...]`.

    Args:
        rng: The random generator.
        steps: number of batches.
        batch_size: images or arrays per batch.
        classes: number of classes, attributes or predicted numbers.
        task: a key of `tinytl_tf.tasks.TASKS`.
    """
    kind = get_task(task)
    shape = (steps, *kind.label_shape(batch_size, classes))
    if task == "regression":
        return rng.normal(size=shape).astype(kind.label_dtype)
    return rng.integers(0, 2 if task == "multilabel" else classes, shape).astype(kind.label_dtype)


def _first_scale(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Returns the factor and the offset of a network's first layer if it normalizes the input, otherwise 1 and 0."""
    readers = [node.operation for node in model.inputs[0]._keras_history.operation._outbound_nodes]
    first = next((layer for layer in model.layers if any(layer is reader for reader in readers)), None)
    if isinstance(first, keras.layers.Rescaling):
        return np.asarray(first.scale, np.float64), np.asarray(first.offset, np.float64)
    if isinstance(first, keras.layers.Normalization) and not first.invert:
        mean, variance = np.asarray(first.mean, np.float64)[0], np.asarray(first.variance, np.float64)[0]
        deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
        return 1 / deviation, -mean / deviation
    return np.asarray(1.0), np.asarray(0.0)
