"""Packed float arrays: all arrays of a set in one `.npz`."""

import numpy as np

from tinytl_tf.data.array_dataset import ArrayDataset, as_array
from tinytl_tf.errors import InputError

__all__ = ["ALIASES", "make_array_dataset"]

ALIASES = {"x": "array", "y": "label"}  # names that other libraries use
_REMEDY = "pack it again with numpy.savez"
_MOST_AXES = 3  # maximum number of axes of one array


def make_array_dataset(name: str, arrays: dict[str, np.ndarray], sources: list[str]) -> ArrayDataset:
    """Makes a data set from the content of an `.npz` file.

    Keys: `array` or `x`, numbers [n, ...] with 1 to 3 sizes after the first; `label` or `y`: class indices, int [n],
    attributes, numbers [n, classes] from 0 to 1, or numbers to predict, [n] or [n, outputs]; `classes`, str [classes],
    the names of the classes or outputs; optionally `task`, which must be `"regression"` if labels [n, outputs] or
    integers [n] are numbers to predict (floats [n] always are); optionally `sample_rate`, int, for waveforms [n,
    samples]; optionally `split` and `source`, as for images; see `load_packed`.

    Args:
        name: name of the set in error messages.
        arrays: the arrays by key.
        sources: name of each array in error messages.

    Raises:
        InputError: if a key is missing; or if the arrays do not fit together.
    """
    arrays = {ALIASES.get(key, key): value for key, value in arrays.items()}
    missing = [key for key in ("array", "label", "classes") if key not in arrays]
    if missing:
        raise InputError(f"{name} lacks {', '.join(missing)}; expected array (or x), label (or y) and classes")
    labels, classes = arrays["label"], arrays["classes"]
    if classes.dtype.kind != "U" or classes.ndim != 1:
        raise InputError(f"{name}: expected 'classes' to be str [classes], got {classes.dtype} {list(classes.shape)}")
    shape = arrays["array"].shape
    if not 2 <= len(shape) <= 1 + _MOST_AXES or 0 in shape[1:] or len(sources) != shape[0] or len(labels) != shape[0]:
        raise InputError(
            f"{name}: expected 'array' [n, ...] with 1 to {_MOST_AXES} sizes after n, as many labels and sources, got "
            f"{list(shape)}, {len(labels)} and {len(sources)}; {_REMEDY}"
        )
    values = as_array(arrays["array"], f"'array' of {name}")
    task = _task(name, arrays)
    if task == "regression" and labels.ndim == 1:
        labels = labels[:, np.newaxis]
    return ArrayDataset(
        name,
        classes.tolist(),
        labels,
        lambda index: values[index],
        shape[1:],
        sample_rate=_sample_rate(name, arrays, shape[1:]),
        sources=sources,
        task=task,
    )


def _task(name: str, arrays: dict[str, np.ndarray]) -> str:
    """The task: from `task`, or regression for float labels [n]; empty if the shape of the labels determines it."""
    labels = arrays["label"]
    if "task" in arrays:
        task = str(arrays["task"])
        if task != "regression":
            raise InputError(f"{name}: expected 'task' of regression, got {task!r:.80}; leave it out for other labels")
        return task
    if labels.dtype.kind not in "iufb" or labels.ndim not in (1, 2):
        got = f"{labels.dtype} {list(labels.shape)}"
        raise InputError(f"{name}: expected 'label' to be int [n] or numbers [n, classes], got {got}; {_REMEDY}")
    return "regression" if labels.ndim == 1 and labels.dtype.kind == "f" else ""


def _sample_rate(name: str, arrays: dict[str, np.ndarray], shape: tuple[int, ...]) -> int:
    rate = arrays.get("sample_rate", np.array(0))
    if rate.dtype.kind not in "iu" or rate.size != 1 or rate.item() < 0 or (rate.item() and len(shape) != 1):
        raise InputError(
            f"{name}: expected 'sample_rate' as an integer, with waveforms [n, samples], got {rate!r:.80}; {_REMEDY}"
        )
    return int(rate.item())
