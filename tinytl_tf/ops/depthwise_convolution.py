"""Depthwise convolution that keeps its input for the backward pass only when its kernel is trained."""

import math
from collections.abc import Sequence

import tensorflow as tf

from tinytl_tf.ops.convolution import convolution, flipped
from tinytl_tf.ops.padding import Pads, extent_of, pad_or_crop, resolve_padding

__all__ = ["depthwise_conv2d"]


def depthwise_conv2d(
    x: tf.Tensor,
    kernel: tf.Tensor,
    *,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "same",
    dilation: int | Sequence[int] = 1,
    train_kernel: bool = False,
) -> tf.Tensor:
    """Depthwise convolution with a multiplier of 1 whose gradients use only builtin operators of LiteRT.

    LiteRT has neither of TensorFlow's depthwise gradients. Here, the input gradient is the forward operator with the
    flipped kernel, applied to the output gradient with zeros between its rows and columns if the stride is above 1. The
    kernel gradient is the forward operator with the output gradient as the kernel. TensorFlow's kernel requires equal
    strides; for unequal strides, the output is computed at their greatest common divisor and then subsampled.

    Args:
        x: float tensor `[batch, height, width, channels]` with static height and width.
        kernel: float tensor `[kernel_height, kernel_width, channels, 1]`.
        strides: strides of the window, one number or `(rows, columns)`.
        padding: `"same"`, `"valid"` or `((top, bottom), (left, right))`.
        dilation: dilation rate of the kernel, one number or `(rows, columns)`; above 1 only if all strides are 1.
        train_kernel: whether the kernel gets a gradient. If not, its gradient is `None` and `x` is not kept.

    Returns:
        Tensor `[batch, out_height, out_width, channels]` with the dtype of `x`.

    Raises:
        ValueError: if the channels of `x` and `kernel` differ; if the padding is invalid; or if a stride and a dilation
            rate are both above 1.
    """
    kernel = tf.convert_to_tensor(kernel)  # A custom gradient does not accept a Keras variable.
    if x.shape[-1] != kernel.shape[2] or kernel.shape[3] != 1:
        raise ValueError(
            f"a depthwise kernel for input {tuple(x.shape)} has shape [height, width, {x.shape[-1]}, 1], "
            f"got {tuple(kernel.shape)}"
        )
    return convolution(
        x,
        kernel,
        convolve=_convolve,
        transpose=flipped,
        kernel_gradient=_kernel_gradient,
        strides=strides,
        padding=padding,
        dilation=dilation,
        train_kernel=train_kernel,
    )


def _convolve(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str, dilation: Sequence[int] = (1, 1)
) -> tf.Tensor:
    """Applies TensorFlow's forward operator; also supports unequal strides."""
    down, across = strides
    if down == across:
        return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], padding, dilations=dilation)
    x = pad_or_crop(x, resolve_padding(padding.lower(), x.shape[1:3], kernel.shape[:2], strides))
    # Along an axis that the kernel covers completely, any stride gives the same single output.
    down = across if x.shape[1] == kernel.shape[0] else down
    across = down if x.shape[2] == kernel.shape[1] else across
    common = math.gcd(down, across)
    y = tf.nn.depthwise_conv2d(x, kernel, [1, common, common, 1], "VALID")
    return y if down == across else y[:, :: down // common, :: across // common, :]


def _kernel_gradient(
    x: tf.Tensor, dy: tf.Tensor, shape: Sequence[int], strides: Sequence[int], pads: Pads, dilation: Sequence[int]
) -> tf.Tensor:
    axes = zip(pads, dy.shape[1:3], extent_of(shape[:2], dilation), strides, x.shape[1:3], strict=True)
    around = tuple(
        (before, stride * (out + (length - 1) // stride) - size - before)
        for (before, _), out, length, stride, size in axes
    )
    phases = _phases(pad_or_crop(x, around), strides)
    taps = [[_taps(phase, dy, dilation) for phase in row] for row in phases]
    down, across = strides
    if down == across == 1:
        return tf.reshape(taps[0][0], shape)
    in_order = [
        taps[row % down][column % across][row // down, column // across]
        for row in range(shape[0])
        for column in range(shape[1])
    ]
    return tf.reshape(tf.concat(in_order, axis=0), shape)


def _taps(x: tf.Tensor, dy: tf.Tensor, dilation: Sequence[int]) -> tf.Tensor:
    """Returns, for each `dilation`-th offset that fits, the sum of shifted `x` times `dy` over images and positions.

    The sums are a depthwise convolution of `x` with `dy` as the kernel, in which each image has its own channels.

    Returns:
        Tensor `[offsets down, offsets across, channels]`.
    """
    _, height, width, channels = dy.shape
    _, rows, columns, _ = x.shape
    if dy.shape[0] != 1:
        x, dy = (tf.transpose(tensor, [1, 2, 0, 3]) for tensor in (x, dy))
    x = tf.reshape(x, [1, rows, columns, -1])
    sums = _convolve(x, tf.reshape(dy, [height, width, -1, 1]), dilation, "VALID")
    return tf.reduce_sum(tf.reshape(sums, [*sums.shape[1:3], -1, channels]), axis=2)


def _phases(x: tf.Tensor, strides: Sequence[int]) -> list[list[tf.Tensor]]:
    """Returns `x[:, row::down, column::across, :]` for each row below `down` and each column below `across`.

    The strides must divide the size. Only reshapes and plain slices of full rank are used, since TensorFlow is slow at
    strided slices and XNNPACK does not support them.
    """
    down, across = strides
    if down == across == 1:
        return [[x]]
    _, height, width, channels = x.shape
    size = [-1, height // down, width // across, channels]
    x = tf.reshape(x, [-1, down, width // across, across * channels])
    starts = range(0, across * channels, channels)
    return [
        [tf.reshape(x[:, row : row + 1, :, start : start + channels], size) for start in starts] for row in range(down)
    ]
