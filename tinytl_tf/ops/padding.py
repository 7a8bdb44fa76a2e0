"""Geometry of a window: its extent, the rows and columns added before and after, and the output size."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

__all__ = ["Pads", "as_pair", "extent_of", "output_size", "pad_or_crop", "resolve_padding", "resolve_pool_padding"]

Pads = tuple[tuple[int, int], tuple[int, int]]


def as_pair(value: int | Sequence[int]) -> tuple[int, int]:
    """Returns `(rows, columns)` of one number for both or of the two numbers themselves."""
    rows, columns = (value, value) if np.ndim(value) == 0 else value
    return int(rows), int(columns)


def extent_of(kernel_size: Sequence[int], dilation: int | Sequence[int] = 1) -> tuple[int, int]:
    """Returns the rows and columns from the first to the last tap of a kernel with this dilation."""
    rows, columns = ((size - 1) * step + 1 for size, step in zip(kernel_size, as_pair(dilation), strict=True))
    return rows, columns


def resolve_padding(
    padding: str | Sequence[Sequence[int]],
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    strides: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
) -> Pads:
    """Returns `((top, bottom), (left, right))` for a padding given in Keras' words or as numbers.

    Args:
        padding: `"same"` (TensorFlow's rule: the odd row goes to the bottom), `"valid"`, or the numbers themselves.
        input_size: height and width of the input, both known.
        kernel_size: height and width of the kernel or window.
        strides: step of the window, one number or `(rows, columns)`.
        dilation: distance of the kernel's taps, one number or `(rows, columns)`.

    Raises:
        ValueError: for another word, an unknown size, or a window larger than the padded input.
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
    """Returns `((top, bottom), (left, right))` of a pooling. Only words are accepted as padding, not numbers.

    Raises:
        ValueError: as `resolve_padding`, and for anything but `"same"` and `"valid"`.
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
    """Returns height and width of the output; `None` if unknown for the input.

    Args:
        padding: as in `resolve_padding`, like the other arguments.
        input_size: height and width of the input, known or `None`.
        kernel_size: height and width of the kernel or window.
        strides: step of the window.
        dilation: distance of the kernel's taps.

    Raises:
        ValueError: as `resolve_padding` for the sizes that are known.
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
    """Adds zeros around the two middle axes of `x`, or takes rows and columns away where a number is negative.

    Args:
        x: tensor `[batch, height, width, channels]`.
        pads: `((top, bottom), (left, right))`.
    """
    (top, bottom), (left, right) = pads
    height, width = x.shape[1:3]
    if min(top, bottom, left, right) < 0:
        x = x[:, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0), :]
    added = [[0, 0], [max(top, 0), max(bottom, 0)], [max(left, 0), max(right, 0)], [0, 0]]
    return tf.pad(x, added) if any(map(any, added)) else x
