"""Matches the classes of a data set to a model's outputs by name."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from tinytl_tf.errors import InputError

__all__ = ["check_name", "check_names", "match_classes", "model_labels", "normalized"]

_SHOWN = 20
_MOST_BYTES = 255  # maximum length of a name in UTF-8, the same as for the name of a folder
# Code points that no name may have: controls, and separators that would end a line.
_FORBIDDEN = frozenset([*range(0x00, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029])
# Invisible code points: a name needs at least one visible code point.
_INVISIBLE = frozenset(
    [0x20, 0xA0, 0xAD, 0x1680, 0x180E, *range(0x2000, 0x2010), *range(0x202A, 0x2030), *range(0x205F, 0x2070), 0x3000]
    + [0xFEFF]
)


def normalized(name: str) -> str:
    """Returns a name in Unicode's form NFC, in which names are compared; macOS separates letters and accents."""
    return unicodedata.normalize("NFC", name)


def check_name(name: str) -> None:
    """Checks the name of one class or attribute by the rule in docs/formats.md, which needs no Unicode tables.

    Args:
        name: The name to check.

    Raises:
        InputError: If the name is not text; if it is empty, invisible or too long; or if it has a control character or
            line separator.

    Example:
        >>> check_name("éclair")
    """
    problem = _problem(name)
    if problem:
        raise InputError(f"expected the name of a class, got {name!r:.80}, {problem}; give the class another name")


def check_names(names: Iterable[str], taken: Collection[str] = ()) -> tuple[str, ...]:
    """Checks class names from a user, a folder or a table.

    Args:
        names: The names to check.
        taken: Names of other classes.

    Returns:
        The names in Unicode's form NFC, in which clients match them.

    Raises:
        InputError: If `check_name` refuses a name; or if a name occurs twice.

    Example:
        >>> check_names(["daisy", "rose"])
        ('daisy', 'rose')
    """
    seen = set(map(normalized, taken))
    result = []
    for name in names:
        check_name(name)
        normal = normalized(name)
        if normal in seen:
            raise InputError(f"expected labels that differ, got {normal!r} twice; give each class a name of its own")
        seen.add(normal)
        result.append(normal)
    return tuple(result)


def _problem(name: Any) -> str | None:
    """Why a name is invalid, or None."""
    if not isinstance(name, str):
        return "which is not a str"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "which cannot be written in UTF-8"
    if size > _MOST_BYTES:
        return f"of {size} bytes in UTF-8, more than {_MOST_BYTES}"
    points = set(map(ord, name))
    bad = points & _FORBIDDEN
    if bad:
        return f"which has the control character or line separator U+{min(bad):04X}"
    return None if points - _INVISIBLE else "which is invisible"


def match_classes(
    names: Sequence[str],
    labels: Sequence[str] | None,
    num_classes: int,
    *,
    where: str,
    by_position: bool = False,
    complete: bool = False,
    spare: int = 0,
) -> np.ndarray:
    """Returns the index of the model's output for each class of a data set.

    Args:
        names: Classes of the data: any of the model's classes, in any order.
        labels: Names of the model's outputs; None if the file and its manifest have none.
        num_classes: Number of the model's outputs.
        where: Name of the data in error messages.
        by_position: Whether the first class is the first output and so on, regardless of the names.
        complete: Whether all of the model's classes must be present: an attribute that the data lacks is unknown, not
            absent from the images.
        spare: Number of outputs that the caller could assign to new classes.

    Returns:
        int32 `[len(names)]`: the output of each class.

    Raises:
        InputError: If a class is not in the model; if the model has no names and `by_position` is false; or if one of
            the model's classes is missing and `complete` is true.

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
    outputs = {normalized(label): index for index, label in enumerate(labels)}
    if len(outputs) < len(labels):
        raise InputError(
            f"the model has two classes of one name among {_listed(labels)}, with letters and accents written apart or "
            "not; match the classes by position"
        )
    wanted = [normalized(name) for name in names]
    unknown = [name for name in wanted if name not in outputs]
    if unknown:
        remedy = "add them to its spare outputs with new_classes=True" if spare else "export a model for them"
        raise InputError(
            f"{where} has classes that the model does not have: {_listed(unknown)}; it has {_listed(labels)}: "
            f"rename or leave out these, or {remedy}"
        )
    found = set(wanted)
    missing = [label for label in outputs if label not in found]
    if complete and missing:
        raise InputError(
            f"{where} lacks attributes of the model: {_listed(missing)}; a model of several attributes needs the label "
            "of each of them for each image"
        )
    return np.array([outputs[name] for name in wanted], np.int32)


def model_labels(labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Converts the labels of a data set to the order of the model's outputs.

    Args:
        labels: Integers `[n]`, or numbers `[n, C]` for several attributes.
        outputs: Result of `match_classes` for the set; with several attributes, it must contain each output once.

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
