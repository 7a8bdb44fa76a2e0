"""Convolution that keeps its input for the backward pass only when its kernel is trained."""

from collections.abc import Sequence

import tensorflow as tf

from tinytl_tf.ops.convolution import convolution, flipped
from tinytl_tf.ops.depthwise_convolution import depthwise_conv2d
from tinytl_tf.ops.padding import Pads, pad_or_crop
from tinytl_tf.ops.parts import split_last

__all__ = ["conv2d"]


def conv2d(
    x: tf.Tensor,
    kernel: tf.Tensor,
    *,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "same",
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
    train_kernel: bool = False,
    kept_bits: int = 32,
) -> tf.Tensor:
    """Two-dimensional convolution whose gradients use only builtin operators of LiteRT.

    Only the kernel is kept for the backward pass; with `train_kernel`, the input is kept too. LiteRT has no filter
    gradient (`Conv2DBackpropFilter` needs Flex), so the kernel gradient is a convolution of the transposed input with
    the transposed output gradient. Groups are convolved one by one, since a native grouped convolution would raise the
    operator's version in the whole file, which older runtimes and the Edge TPU compiler refuse. Groups with one channel
    and one filter each are computed as a depthwise convolution.

    Args:
        x: float tensor `[batch, height, width, in_channels]` with static height and width.
        kernel: float tensor `[kernel_height, kernel_width, in_channels // groups, filters]`.
        strides: strides of the window, one number or `(rows, columns)`.
        padding: `"same"`, `"valid"` or `((top, bottom), (left, right))`.
        groups: number of channel groups; must divide `in_channels` and `filters`.
        dilation: dilation rate of the kernel, one number or `(rows, columns)`; above 1 only if all strides are 1.
        train_kernel: whether the kernel gets a gradient. If not, its gradient is `None` and `x` is not kept.
        kept_bits: bits for each element of `x` that are kept for the kernel's gradient, 32 for the floats themselves or
            8 for integers with a scale for each image; not for groups.

    Returns:
        Tensor `[batch, out_height, out_width, filters]` with the dtype of `x`.

    Raises:
        ValueError: if the channels of `x` and `kernel` do not match; if the padding is invalid; or if a stride and a
            dilation rate are both above 1.

    Reference:
        TinyTL, equation 2: only the gradient of the weights needs the activations.
    """
    kernel = tf.convert_to_tensor(kernel)  # A custom gradient does not accept a Keras variable.
    in_channels, filters = kernel.shape[2] * groups, kernel.shape[3]
    if x.shape[-1] != in_channels or filters % groups:
        raise ValueError(
            f"kernel {tuple(kernel.shape)} in {groups} groups needs an input of {in_channels} channels and "
            f"filters divisible by {groups}, got an input of shape {tuple(x.shape)}"
        )
    options = {"strides": strides, "padding": padding, "dilation": dilation, "train_kernel": train_kernel}
    if groups > 1 and kept_bits != 32:
        raise ValueError(f"expected an input kept in 32 bits with groups, got {kept_bits} bits and {groups} groups")
    if 1 < groups == in_channels == filters:
        return depthwise_conv2d(x, tf.reshape(kernel, [*kernel.shape[:2], groups, 1]), **options)
    if groups > 1:
        parts = zip(tf.split(x, groups, axis=-1), split_last(kernel, groups), strict=True)
        return tf.concat([conv2d(part, weights, **options) for part, weights in parts], axis=-1)

    return convolution(
        x,
        kernel,
        convolve=_convolve,
        transpose=_transposed,
        kernel_gradient=_kernel_gradient,
        kept_bits=kept_bits,
        **options,
    )


def _convolve(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], padding: str, dilation: Sequence[int]
) -> tf.Tensor:
    return tf.nn.conv2d(x, kernel, strides, padding, dilations=dilation)


def _transposed(kernel: tf.Tensor) -> tf.Tensor:
    return tf.transpose(flipped(kernel), [0, 1, 3, 2])


def _kernel_gradient(
    x: tf.Tensor, dy: tf.Tensor, shape: Sequence[int], strides: Sequence[int], pads: Pads, dilation: Sequence[int]
) -> tf.Tensor:
    height, width, in_channels, filters = shape
    if height == width == max(strides) == 1 and not any(map(any, pads)):
        dk = tf.matmul(tf.reshape(x, [-1, in_channels]), tf.reshape(dy, [-1, filters]), transpose_a=True)
        return tf.reshape(dk, shape)
    # Input channels act as the batch, the output gradient acts as the kernel, and strides and dilation are swapped.
    lhs = tf.transpose(pad_or_crop(x, pads), [3, 1, 2, 0])
    rhs = tf.transpose(dy, [1, 2, 0, 3])
    dk = tf.nn.conv2d(lhs, rhs, dilation, "VALID", dilations=strides)
    return tf.transpose(dk[:, :height, :width, :], [1, 2, 0, 3])
