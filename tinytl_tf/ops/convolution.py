"""What plain and depthwise convolutions have in common: pads, and a gradient that keeps the input only if it must."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tinytl_tf.ops.padding import Pads, pad_or_crop, resolve_padding
from tinytl_tf.ops.upsampling import upsample_with_zeros

__all__ = ["convolution", "flipped"]


def convolution(
    x: tf.Tensor,
    kernel: tf.Tensor,
    *,
    convolve: Callable[[tf.Tensor, tf.Tensor, int, str], tf.Tensor],
    transpose: Callable[[tf.Tensor], tf.Tensor],
    kernel_gradient: Callable[[tf.Tensor, tf.Tensor, Sequence[int], int, Pads], tf.Tensor],
    strides: int,
    padding: str | Sequence[Sequence[int]],
    train_kernel: bool,
) -> tf.Tensor:
    """Convolves; the input gradient is the same convolution, without stride, of the output gradient.

    Not a transposed convolution: its kernel in LiteRT keeps a copy of the weights and all of its products.

    Args:
        x: float tensor `[batch, height, width, channels]`; height and width known.
        kernel: float tensor `[kernel_height, kernel_width, ...]`.
        convolve: `(x, kernel, strides, "SAME" or "VALID")`.
        transpose: gives the kernel of the input gradient.
        kernel_gradient: `(x, dy, shape of the kernel, strides, pads)`.
        strides: step of the window in both directions.
        padding: `"same"`, `"valid"` or `((top, bottom), (left, right))`.
        train_kernel: whether the kernel gets a gradient. If not, its gradient is `None` and `x` is not kept.

    Returns:
        What `convolve` makes of the padded input.
    """
    kernel_size, input_size = kernel.shape[:2], x.shape[1:3]
    pads = resolve_padding(padding, input_size, kernel_size, strides)

    def correlate(x, kernel, strides, pads):
        # SAME where that says the same saves a PAD.
        if resolve_padding("same", x.shape[1:3], kernel_size, strides) == pads:
            return convolve(x, kernel, strides, "SAME")
        return convolve(pad_or_crop(x, pads), kernel, strides, "VALID")

    @tf.custom_gradient
    def op(x, kernel):
        kept = x if train_kernel else None

        def grad(dy):
            upsampled, upsampled_pads = upsample_with_zeros(dy, input_size, kernel_size, strides, pads)
            dx = correlate(upsampled, transpose(kernel), 1, upsampled_pads)
            return dx, kernel_gradient(kept, dy, kernel.shape, strides, pads) if train_kernel else None

        return correlate(x, kernel, strides, pads), grad

    return op(x, kernel)


def flipped(kernel: tf.Tensor) -> tf.Tensor:
    """Mirrors a kernel `[height, width, ...]` in both directions, by one reversal for each.

    A runtime of 2.14 and older reverses along the first of several axes alone, without an error.
    """
    for axis in (0, 1):
        if kernel.shape[axis] > 1:
            kernel = tf.reverse(kernel, [axis])
    return kernel
