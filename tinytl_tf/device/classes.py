"""Classes of a data set are matched to a model's outputs by name."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from tinytl_tf.errors import InputError

__all__ = ["match_classes"]

_SHOWN = 20


def match_classes(
    names: Sequence[str], labels: Sequence[str] | None, num_classes: int, *, where: str, by_position: bool = False
) -> np.ndarray:
    """Returns the model's output for each class of a data set.

    Args:
        names: Classes of the data: any of the model's, in any order.
        labels: Names of the model's outputs; None if the file and its manifest have none.
        num_classes: Number of the model's outputs.
        where: What an error calls the data.
        by_position: Whether the first class is the first output and so on, whatever they are called.

    Returns:
        int32 `[len(names)]`: the output of each class.

    Raises:
        InputError: If a class is none of the model's; or if the model has no names and `by_position` is false.

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
    return np.array([outputs[name] for name in wanted], np.int32)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
