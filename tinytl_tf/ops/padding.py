"""Padding of a convolution as numbers: rows and columns added before and after."""

from collections.abc import Sequence

import tensorflow as tf

__all__ = ["Pads", "resolve_padding", "pad_or_crop"]

Pads = tuple[tuple[int, int], tuple[int, int]]


def resolve_padding(
    padding: str | Sequence[Sequence[int]],
    input_size: Sequence[int],
    kernel_size: Sequence[int],
    strides: int,
) -> Pads:
    """Returns `((top, bottom), (left, right))` for a padding given in Keras' words or as numbers.

    Args:
        padding: `"same"` (TensorFlow's rule: the odd row goes to the bottom), `"valid"`, or the numbers themselves.
        input_size: height and width of the input, both known.
        kernel_size: height and width of the kernel.
        strides: step of the window, the same in both directions.

    Raises:
        ValueError: for another word, an unknown size, or a kernel larger than the padded input.
    """
    if None in tuple(input_size):
        raise ValueError(f"a convolution here needs a known height and width, got {tuple(input_size)}")
    if padding == "valid":
        pads = ((0, 0), (0, 0))
    elif padding == "same":
        pads = tuple(_same(size, kernel, strides) for size, kernel in zip(input_size, kernel_size, strict=True))
    elif isinstance(padding, str):
        raise ValueError(f'padding must be "same", "valid" or ((top, bottom), (left, right)), got {padding!r}')
    else:
        pads = tuple((int(before), int(after)) for before, after in padding)
    for size, kernel, (before, after) in zip(input_size, kernel_size, pads, strict=True):
        if size + before + after < kernel:
            raise ValueError(
                f"kernel {tuple(kernel_size)} is larger than input {tuple(input_size)} with padding {pads}"
            )
    return pads


def _same(size: int, kernel: int, strides: int) -> tuple[int, int]:
    total = max((-(-size // strides) - 1) * strides + kernel - size, 0)
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
