"""Shared code of plain and depthwise convolutions: padding, and a gradient that keeps the input only if needed."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tinytl_tf.ops.kept_input import keep_for_product
from tinytl_tf.ops.padding import as_pair, extent_of, pad_or_crop, resolve_padding
from tinytl_tf.ops.upsampling import upsample_with_zeros

__all__ = ["convolution", "flipped"]


def convolution(
    x: tf.Tensor,
    kernel: tf.Tensor,
    *,
    convolve: Callable[..., tf.Tensor],
    transpose: Callable[[tf.Tensor], tf.Tensor],
    kernel_gradient: Callable[..., tf.Tensor],
    strides: int | Sequence[int],
    padding: str | Sequence[Sequence[int]],
    dilation: int | Sequence[int],
    train_kernel: bool,
    kept_bits: int = 32,
) -> tf.Tensor:
    """Convolves; the input gradient is the same kind of convolution, without stride, of the output gradient.

    A transposed convolution is not used, since LiteRT's kernel for it keeps a copy of the weights and all products.

    Args:
        x: float tensor `[batch, height, width, channels]` with static height and width.
        kernel: float tensor `[kernel_height, kernel_width, ...]`.
        convolve: function of `(x, kernel, strides, "SAME" or "VALID", dilation)` that computes the convolution; strides
            and dilation are pairs.
        transpose: function of the kernel that returns the kernel of the input gradient.
        kernel_gradient: function of `(x, dy, shape of the kernel, strides, pads, dilation)` that returns the gradient
            of the kernel.
        strides: strides of the window, one number or `(rows, columns)`.
        padding: `"same"`, `"valid"` or `((top, bottom), (left, right))`.
        dilation: dilation rate of the kernel, one number or `(rows, columns)`.
        train_kernel: whether the kernel gets a gradient. If not, its gradient is `None` and `x` is not kept.
        kept_bits: bits for each element of `x` that are kept for the kernel's gradient; see `keep_for_product`.

    Returns:
        Output of `convolve` for the padded input.

    Raises:
        ValueError: if a stride and a dilation rate are both above 1, which Keras refuses as well.
    """
    strides, dilation = as_pair(strides), as_pair(dilation)
    if max(strides) > 1 and max(dilation) > 1:
        raise ValueError(f"expected strides or dilation of 1, got strides {strides} and dilation {dilation}; drop one")
    kernel_size, input_size = kernel.shape[:2], x.shape[1:3]
    pads = resolve_padding(padding, input_size, kernel_size, strides, dilation)

    def correlate(x, kernel, strides, pads):
        # SAME saves a PAD operator if it pads by the same amounts.
        if resolve_padding("same", x.shape[1:3], kernel_size, strides, dilation) == pads:
            return convolve(x, kernel, strides, "SAME", dilation)
        return convolve(pad_or_crop(x, pads), kernel, strides, "VALID", dilation)

    @tf.custom_gradient
    def op(x, kernel):
        kept = keep_for_product(x, kept_bits) if train_kernel else None

        def grad(dy):
            upsampled, upsampled_pads = upsample_with_zeros(
                dy, input_size, extent_of(kernel_size, dilation), strides, pads
            )
            dx = correlate(upsampled, transpose(kernel), (1, 1), upsampled_pads)
            return dx, kernel_gradient(kept(dy), dy, kernel.shape, strides, pads, dilation) if kept else None

        return correlate(x, kernel, strides, pads), grad

    return op(x, kernel)


def flipped(kernel: tf.Tensor) -> tf.Tensor:
    """Flips a kernel `[height, width, ...]` in both directions, with a separate reversal for each axis.

    Given several axes at once, runtimes up to 2.14 silently reverse only the first one.
    """
    for axis in (0, 1):
        if kernel.shape[axis] > 1:
            kernel = tf.reverse(kernel, [axis])
    return kernel
