"""Geometry of a window: its extent, the padding before and after, and the output size."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

__all__ = ["Pads", "as_pair", "extent_of", "output_size", "pad_or_crop", "resolve_padding", "resolve_pool_padding"]

Pads = tuple[tuple[int, int], tuple[int, int]]


def as_pair(value: int | Sequence[int]) -> tuple[int, int]:
    """Returns `(rows, columns)`, given one number for both or a pair."""
    rows, columns = (value, value) if np.ndim(value) == 0 else value
    return int(rows), int(columns)


def extent_of(kernel_size: Sequence[int], dilation: int | Sequence[int] = 1) -> tuple[int, int]:
    """Returns the number of rows and columns from the first to the last element of a dilated kernel."""
    rows, columns = ((size - 1) * step + 1 for size, step in zip(kernel_size, as_pair(dilation), strict=True))
    return rows, columns


def resolve_padding(
    padding: str | Sequence[Sequence[int]],
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    strides: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
) -> Pads:
    """Returns the padding `((top, bottom), (left, right))` for one of Keras' names or for explicit numbers.

    Args:
        padding: `"same"` (as in TensorFlow, an odd row goes to the bottom), `"valid"`, or the numbers themselves.
        input_size: height and width of the input; both must be static.
        kernel_size: height and width of the kernel or window.
        strides: strides of the window, one number or `(rows, columns)`.
        dilation: dilation rate of the kernel, one number or `(rows, columns)`.

    Raises:
        ValueError: if the name is unknown; if the input size is not static; or if the window is larger than the padded
            input.
    """
    if None in tuple(input_size):
        raise ValueError(f"expected a known height and width, got {tuple(input_size)}; give the input a size")
    extent = extent_of(kernel_size, dilation)
    if padding == "valid":
        pads = ((0, 0), (0, 0))
    elif padding == "same":
        pads = tuple(_same(*axis) for axis in zip(input_size, extent, as_pair(strides), strict=True))
    elif isinstance(padding, str):
        raise ValueError(f'padding must be "same", "valid" or ((top, bottom), (left, right)), got {padding!r}')
    else:
        pads = tuple((int(before), int(after)) for before, after in padding)
    for size, length, (before, after) in zip(input_size, extent, pads, strict=True):
        if size + before + after < length:
            raise ValueError(
                f"a window of {extent} is larger than input {tuple(input_size)} with padding {pads}; "
                "give a larger input or a smaller window"
            )
    return pads


def resolve_pool_padding(
    padding: str, input_size: Sequence[int], pool_size: Sequence[int], strides: Sequence[int]
) -> Pads:
    """Returns the padding `((top, bottom), (left, right))` of a pooling; only names are accepted, not numbers.

    Raises:
        ValueError: if `resolve_padding` raises it; or if `padding` is not `"same"` or `"valid"`.
    """
    if padding not in ("same", "valid"):
        raise ValueError(f'padding must be "same" or "valid", got {padding!r}')
    return resolve_padding(padding, input_size, pool_size, strides)


def output_size(
    padding: str | Sequence[Sequence[int]],
    input_size: Sequence[int | None],
    kernel_size: Sequence[int],
    strides: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
) -> tuple[int | None, int | None]:
    """Returns the height and width of the output; each is `None` if it is `None` for the input.

    Args:
        padding: see `resolve_padding`.
        input_size: height and width of the input; each may be `None`.
        kernel_size: height and width of the kernel or window.
        strides: strides of the window, one number or `(rows, columns)`.
        dilation: dilation rate of the kernel, one number or `(rows, columns)`.

    Raises:
        ValueError: if `resolve_padding` raises it for the sizes that are static.
    """
    extent = extent_of(kernel_size, dilation)
    known = [length if size is None else size for size, length in zip(input_size, extent, strict=True)]
    pads = resolve_padding(padding, known, kernel_size, strides, dilation)
    rows, columns = (
        None if size is None else (size + sum(pad) - length) // stride + 1
        for size, pad, length, stride in zip(input_size, pads, extent, as_pair(strides), strict=True)
    )
    return rows, columns


def _same(size: int, length: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + length - size, 0)
    return total // 2, total - total // 2


def pad_or_crop(x: tf.Tensor, pads: Pads) -> tf.Tensor:
    """Zero-pads the height and width of `x`; a negative pad crops that many rows or columns instead.

    Args:
        x: tensor `[batch, height, width, channels]`.
        pads: numbers of rows and columns, `((top, bottom), (left, right))`.
    """
    (top, bottom), (left, right) = pads
    height, width = x.shape[1:3]
    if min(top, bottom, left, right) < 0:
        x = x[:, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0), :]
    added = [[0, 0], [max(top, 0), max(bottom, 0)], [max(left, 0), max(right, 0)], [0, 0]]
    return tf.pad(x, added) if any(map(any, added)) else x
