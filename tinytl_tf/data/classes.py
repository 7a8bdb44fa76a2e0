"""Classes of a data set are matched to a model's outputs by name."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from tinytl_tf.errors import InputError

__all__ = ["check_names", "match_classes", "model_labels"]

_SHOWN = 20


def check_names(names: Sequence[str], taken: Sequence[str] = ()) -> tuple[str, ...]:
    """Checks names of classes.

    Args:
        names: What should be names.
        taken: Names that other classes have, in Unicode's normal form NFC.

    Returns:
        The names in the form NFC, by which clients match them.

    Raises:
        InputError: If one is no name, cannot be printed, or is there twice.

    Example:
        >>> check_names(["daisy", "rose"])
        ('daisy', 'rose')
    """
    bad = [name for name in names if not isinstance(name, str) or not name.strip() or not name.isprintable()]
    if bad:
        raise InputError(f"expected names as labels, got {bad[0]!r:.80}; give each class its name as a str")
    normal = [unicodedata.normalize("NFC", name) for name in names]
    twice = next((name for name in normal if normal.count(name) > 1 or name in taken), None)
    if twice is not None:
        raise InputError(f"expected labels that differ, got {twice!r} twice; give each class a name of its own")
    return tuple(normal)


def match_classes(
    names: Sequence[str],
    labels: Sequence[str] | None,
    num_classes: int,
    *,
    where: str,
    by_position: bool = False,
    complete: bool = False,
) -> np.ndarray:
    """Returns the model's output for each class of a data set.

    Args:
        names: Classes of the data: any of the model's, in any order.
        labels: Names of the model's outputs; None if the file and its manifest have none.
        num_classes: Number of the model's outputs.
        where: What an error calls the data.
        by_position: Whether the first class is the first output and so on, whatever they are called.
        complete: Whether all of the model's have to be there: an attribute that the data do not have is not absent
            from their images, it is unknown.

    Returns:
        int32 `[len(names)]`: the output of each class.

    Raises:
        InputError: If a class is none of the model's; if the model has no names and `by_position` is false; or if one
            of the model's is missing and `complete` is true.

    Example:
        >>> match_classes(["rose", "daisy"], ["daisy", "lily", "rose"], 3, where="photos")
        array([2, 0], dtype=int32)
    """
    if by_position:
        if len(names) != num_classes:
            raise InputError(
                f"expected {num_classes} classes to match by position, got {len(names)} in {where} ({_listed(names)}); "
                "give data of as many classes as the model has"
            )
        return np.arange(num_classes, dtype=np.int32)
    if labels is None:
        raise InputError(
            f"the model has no names for its {num_classes} outputs, {where} has the classes {_listed(names)}; put the "
            "manifest next to the file, or match the classes by position"
        )
    outputs = {unicodedata.normalize("NFC", label): index for index, label in enumerate(labels)}
    wanted = [unicodedata.normalize("NFC", name) for name in names]
    unknown = [name for name in wanted if name not in outputs]
    if unknown:
        raise InputError(
            f"{where} has classes that the model does not know: {_listed(unknown)}; it knows {_listed(labels)}: "
            "rename or leave out these, or export a model for them"
        )
    missing = [label for label in outputs if label not in wanted]
    if complete and missing:
        raise InputError(
            f"{where} lacks attributes of the model: {_listed(missing)}; a model of several attributes needs the label "
            "of each of them for each image"
        )
    return np.array([outputs[name] for name in wanted], np.int32)


def model_labels(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Returns the labels of a data set as the model counts its outputs.

    Args:
        labels: Integers `[n]`, or numbers `[n, C]` of a set with several attributes.
        outputs: What `match_classes` gave for the set; with several attributes it has to name each output once.

    Example:
        >>> model_labels(np.array([1, 0]), np.array([2, 0]))
        array([0, 2])
    """
    if labels.ndim == 1:
        return outputs[labels]
    result = np.empty_like(labels)
    result[:, outputs] = labels
    return result


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
