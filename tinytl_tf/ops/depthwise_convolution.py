"""Depthwise convolution that keeps its input for the backward pass only when its kernel is trained."""

from collections.abc import Sequence

import tensorflow as tf

from tinytl_tf.ops.convolution import convolution, flipped
from tinytl_tf.ops.padding import Pads, pad_or_crop

__all__ = ["depthwise_conv2d"]


def depthwise_conv2d(
    x: tf.Tensor,
    kernel: tf.Tensor,
    *,
    strides: int = 1,
    padding: str | Sequence[Sequence[int]] = "same",
    train_kernel: bool = False,
) -> tf.Tensor:
    """Depthwise convolution of multiplier 1, differentiable with LiteRT's builtin operators alone.

    LiteRT has neither of TensorFlow's depthwise gradients. The input gradient is the forward operator with the
    flipped kernel, after zeros were put between the rows and columns where the stride is 2; the kernel gradient is
    the forward operator with the output gradient as the kernel.

    Args:
        x: float tensor `[batch, height, width, channels]`; height and width known.
        kernel: float tensor `[kernel_height, kernel_width, channels, 1]`.
        strides: step of the window in both directions.
        padding: `"same"`, `"valid"` or `((top, bottom), (left, right))`.
        train_kernel: whether the kernel gets a gradient. If not, its gradient is `None` and `x` is not kept.

    Returns:
        Tensor `[batch, out_height, out_width, channels]` of the dtype of `x`.

    Raises:
        ValueError: if the channels of `x` and `kernel` differ, or the padding is not one.
    """
    kernel = tf.convert_to_tensor(kernel)  # A custom gradient takes no Keras variable.
    if x.shape[-1] != kernel.shape[2] or kernel.shape[3] != 1:
        raise ValueError(
            f"a depthwise kernel for input {tuple(x.shape)} has shape [height, width, {x.shape[-1]}, 1], "
            f"got {tuple(kernel.shape)}"
        )
    return convolution(
        x,
        kernel,
        convolve=lambda x, kernel, strides, padding: tf.nn.depthwise_conv2d(
            x, kernel, [1, strides, strides, 1], padding
        ),
        transpose=flipped,
        kernel_gradient=_kernel_gradient,
        strides=strides,
        padding=padding,
        train_kernel=train_kernel,
    )


def _kernel_gradient(x: tf.Tensor, dy: tf.Tensor, shape: Sequence[int], strides: int, pads: Pads) -> tf.Tensor:
    lengths = [out + (size - 1) // strides for out, size in zip(dy.shape[1:3], shape[:2], strict=True)]
    pads = tuple(
        (before, strides * length - size - before)
        for (before, _), length, size in zip(pads, lengths, x.shape[1:3], strict=True)
    )
    taps = [[_taps(phase, dy) for phase in row] for row in _phases(pad_or_crop(x, pads), strides)]
    if strides == 1:
        return tf.reshape(taps[0][0], shape)
    in_order = [
        taps[row % strides][column % strides][row // strides, column // strides]
        for row in range(shape[0])
        for column in range(shape[1])
    ]
    return tf.reshape(tf.concat(in_order, axis=0), shape)


def _taps(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """Returns the sum over images and places of `x`, moved by each offset that fits, times `dy`.

    It is a depthwise convolution of `x` with `dy` as the kernel, in which each image has its own channels.

    Returns:
        Tensor `[offsets down, offsets across, channels]`.
    """
    _, height, width, channels = dy.shape
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    if dy.shape[0] != 1:
        x, dy = (tf.transpose(tensor, [1, 2, 0, 3]) for tensor in (x, dy))
    x = tf.reshape(x, [1, rows + height - 1, columns + width - 1, -1])
    sums = tf.nn.depthwise_conv2d(x, tf.reshape(dy, [height, width, -1, 1]), [1, 1, 1, 1], "VALID")
    return tf.reduce_sum(tf.reshape(sums, [rows, columns, -1, channels]), axis=2)


def _phases(x: tf.Tensor, strides: int) -> list[list[tf.Tensor]]:
    """Returns `x[:, row::strides, column::strides, :]` for each row and column below `strides`, which divides the size.

    Reshapes and plain slices of full rank: TensorFlow is slow at strided slices and XNNPACK takes no other.
    """
    if strides == 1:
        return [[x]]
    _, height, width, channels = x.shape
    size = [-1, height // strides, width // strides, channels]
    x = tf.reshape(x, [-1, strides, width // strides, strides * channels])
    starts = range(0, strides * channels, channels)
    return [
        [tf.reshape(x[:, row : row + 1, :, start : start + channels], size) for start in starts]
        for row in range(strides)
    ]
