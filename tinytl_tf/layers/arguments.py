"""Checks for the arguments and input shapes of the layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinytl_tf import ops

__all__ = [
    "checked_activation",
    "checked_padding",
    "checked_window",
    "drop_fixed_arguments",
    "require_known_size",
    "require_positive_integers",
]

_EXPLICIT = {1: "(before, after)", 2: "((top, bottom), (left, right))"}  # explicit padding, by the number of axes
_FORMAT = "transpose the input to channels_last"
_MULTIPLIER = "repeat the input's channels, or use FrozenConv2D with as many groups"
_INITIALIZER = "assign the pre-trained values to the layer's variable"
_UNUSED = "leave it out, or compute it in the loss from the layer's variables"
# Arguments of Keras layers that accept only one value apart from None: (that value, remedy for all other values).
_FIXED = {
    "data_format": ("channels_last", _FORMAT),
    "depth_multiplier": (1, _MULTIPLIER),
    "bias_initializer": ("zeros", _INITIALIZER),
    "kernel_initializer": (None, _INITIALIZER),
    "depthwise_initializer": (None, _INITIALIZER),
    **{
        f"{part}_{kind}": (None, _UNUSED)
        for part in ("kernel", "depthwise", "bias")
        for kind in ("regularizer", "constraint")
    },
}


def require_positive_integers(**arguments: int) -> None:
    """Raises `ValueError` for the first argument that is not an integer above 0."""
    for name, value in arguments.items():
        if not _is_positive_integer(value):
            raise ValueError(f"{name} must be an integer above 0, got {value!r}")


def checked_window(name: str, value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    """Returns one positive integer for each axis, from a number for all axes or a sequence.

    Raises:
        ValueError: if `value` is neither a positive integer nor a sequence of one for each axis.
    """
    values = (value,) * axes if np.ndim(value) == 0 else tuple(value)
    if len(values) != axes or not all(map(_is_positive_integer, values)):
        several = "a pair of them" if axes == 2 else "a tuple of one"
        raise ValueError(f"{name} must be an integer above 0 or {several}, got {value!r}")
    return tuple(map(int, values))


def checked_padding(padding: str | Sequence, axes: int) -> str | Sequence:
    """Returns a padding, with names in lowercase as in Keras; explicit numbers are returned unchanged.

    Raises:
        ValueError: unless the padding is `"same"`, `"valid"`, `"causal"` (one axis only) or two numbers per axis.
    """
    words = ("same", "valid", "causal")[: 3 if axes == 1 else 2]
    if isinstance(padding, str) and padding.lower() in words:
        return padding.lower()
    if isinstance(padding, str) or np.shape(padding) != (2, 2)[:axes]:
        expected = ", ".join(f'"{word}"' for word in words)
        raise ValueError(f"padding must be {expected} or {_EXPLICIT[axes]}, got {padding!r}")
    return padding


def checked_activation(activation: str | None) -> str | None:
    """Returns the name of an activation, or `None` for `None` and Keras' `"linear"`.

    Raises:
        ValueError: if the activation is not one of `ops.ACTIVATIONS`.
    """
    if activation in (None, "linear"):
        return None
    if not isinstance(activation, str) or activation not in ops.ACTIVATIONS:
        raise ValueError(f"activation must be None or one of {sorted(ops.ACTIVATIONS)}, got {activation!r}")
    return activation


def drop_fixed_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments, without those Keras arguments for which only one value is accepted.

    Raises:
        ValueError: if one of the removed arguments has a different value.
    """
    for name, (only, remedy) in _FIXED.items():
        value = arguments.get(name)
        if value is not None and value != only:
            raise ValueError(f"{name} must be {only!r}, got {value!r}; {remedy}")
    return {name: value for name, value in arguments.items() if name not in _FIXED}


def require_known_size(layer: str, input_shape: Sequence[int | None], least: int = 1) -> None:
    """Raises `ValueError` unless the dimensions between batch and channels are static and large enough."""
    size = tuple(input_shape[1:-1])
    if None in size or min(size) < least:
        what = "height and width" if len(size) == 2 else "length"
        raise ValueError(f"{layer} needs a known {what} of {least} or more, got {size}")


def _is_positive_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
