"""Checks of the arguments and input shapes of the layers."""

from collections.abc import Sequence

import numpy as np

__all__ = ["require_known_size", "require_padding", "require_positive_integers"]


def require_positive_integers(**arguments: int) -> None:
    """Raises `ValueError` for the first argument that is no integer above 0."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be an integer above 0, got {value!r}")


def require_padding(padding: str | Sequence[Sequence[int]]) -> None:
    """Raises `ValueError` unless `padding` is `"same"`, `"valid"` or four numbers."""
    known = padding in ("same", "valid") if isinstance(padding, str) else np.shape(padding) == (2, 2)
    if not known:
        raise ValueError(f'padding must be "same", "valid" or ((top, bottom), (left, right)), got {padding!r}')


def require_known_size(layer: str, input_shape: Sequence[int | None], least: int = 1) -> None:
    """Raises `ValueError` unless height and width of `(batch, height, width, channels)` are known and large enough."""
    size = tuple(input_shape[1:3])
    if None in size or min(size) < least:
        raise ValueError(f"{layer} needs a known height and width of {least} or more, got {size}")
