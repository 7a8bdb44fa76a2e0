"""Converts examples in memory into the data sets that a model is trained and evaluated on."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinytl_tf import data
from tinytl_tf.data.array_dataset import as_array
from tinytl_tf.errors import InputError

if TYPE_CHECKING:
    from tinytl_tf.device.trainable_model import TrainableModel

__all__ = ["as_dataset", "as_examples"]

_NAME = "the given examples"


def as_dataset(model: "TrainableModel", examples: Any, labels: Any) -> data.ImageDataset:
    """Returns a data set of examples and their labels; a data set is returned unchanged.

    Args:
        model: the model that the examples are for.
        examples: a data set, or examples that `as_examples` accepts.
        labels: `None` for a data set; otherwise labels of the model's task, as an array or a list, or class names.

    Raises:
        InputError: if the examples or labels do not fit the model or each other.
    """
    if isinstance(examples, data.ImageDataset):
        if labels is not None:
            raise InputError("expected no labels with a data set, which has its own; leave them out")
        return examples
    values, labels = as_examples(model, examples), as_labels(model, labels)
    model.check_labels(labels, len(values))
    names = model.class_names or tuple(map(str, range(model.num_classes)))
    options = {"task": model.task.name}
    if model.input_name == "array":
        return data.ArrayDataset(_NAME, names, labels, lambda index: values[index], model.input_shape, **options)
    return data.ImageDataset(_NAME, names, labels, lambda index, short_side: values[index], **options)


def as_examples(model: "TrainableModel", examples: Any) -> np.ndarray:
    """Converts examples to the form that the model takes, `[n, *model.input_shape]`.

    Args:
        model: the model that the examples are for.
        examples: images as uint8 or whole numbers from 0 to 255; a list of paths of photos, which `data.photo` reads;
            or arrays of numbers. Lists are accepted in place of arrays.

    Raises:
        InputError: If there is no example; or if they have the wrong type or shape.
    """
    if model.input_name == "features":
        raise InputError("expected a model of images or arrays, got one of features; see tinytl_tf.device.coral")
    if isinstance(examples, data.Splits):
        raise InputError("expected one data set, got splits; give splits.test, for example")
    if isinstance(examples, str | os.PathLike):
        raise InputError(
            f"expected several examples, got a single path {os.fspath(examples)!r:.200}; give a list, or "
            "tinytl_tf.data.load of a folder"
        )
    is_image = model.input_name == "image"
    if is_image and isinstance(examples, Sequence) and examples and _are_paths(examples):
        examples = [data.photo(path, model) for path in examples]
    try:
        values = np.asarray(examples)
    except ValueError as error:  # rows of different lengths
        raise InputError(
            f"expected examples of one shape, got {type(examples).__name__} of several ({error})"
        ) from error
    if values.shape[1:] != model.input_shape or not len(values):
        wanted = "images" if is_image else "arrays"
        remedy = "data.photo scales a photo" if is_image else "cut or pad them"
        raise InputError(
            f"expected {wanted} [n, {', '.join(map(str, model.input_shape))}], got {list(values.shape)}; {remedy}"
        )
    return _pixels(values) if is_image else as_array(values, _NAME)


def as_labels(model: "TrainableModel", labels: Any) -> np.ndarray:
    """Returns labels as an array; class names become their indices.

    Raises:
        InputError: If there are no labels; or if a name is not one of the model's class names.
    """
    if labels is None:
        raise InputError("expected labels, got none; give one for each example")
    values = np.asarray(labels)
    if values.dtype.kind != "U":
        return values
    names = model.class_names or ()
    unknown = [name for name in values.ravel().tolist() if name not in names]
    if unknown or model.task.name != "classification":
        raise InputError(
            f"expected labels of {', '.join(names) or 'numbers'}, got {unknown[:1]!r:.80}; see class_names"
        )
    return np.array([names.index(name) for name in values.tolist()], np.int32)


def _are_paths(examples: Sequence) -> bool:
    return all(isinstance(one, str | os.PathLike) for one in examples)


def _pixels(values: np.ndarray) -> np.ndarray:
    """Converts pixels to uint8; accepts other types only if the conversion is exact."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "iuf":
        raise InputError(f"expected pixels of 0 to 255, got {values.dtype}; give uint8")
    pixels = values.astype(np.uint8) if np.isfinite(values).all() and 0 <= values.min() <= values.max() <= 255 else None
    if pixels is None or (pixels != values).any():
        raise InputError(
            f"expected pixels that are whole numbers of 0 to 255, got {values.dtype} from {values.min():g} to "
            f"{values.max():g}; undo the scaling, the model scales them itself"
        )
    if values.dtype.kind == "f" and values.max() <= 1:
        raise InputError(
            "expected pixels of 0 to 255, got only floats of 0 and 1; multiply them by 255, or give uint8 if they are "
            "right"
        )
    return pixels
