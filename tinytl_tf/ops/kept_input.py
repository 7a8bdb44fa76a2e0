"""Storage for the backward pass of a convolution with a trained kernel: the input, in 32 or 8 bits."""

from collections.abc import Callable

import tensorflow as tf

from tinytl_tf.ops.masks import keep_bytes

__all__ = ["keep_for_product"]

_ZERO = 128.0  # byte for the value 0
_STEPS = 127.0  # steps from 0 to the largest magnitude
_SMALLEST = 1e-30  # magnitude; the scale of an image of zeros must be finite


def keep_for_product(x: tf.Tensor, bits: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Keeps the input of a product for the gradient of the other factor.

    With 8 bits, each image has its own scale, the largest magnitude in it divided by 127:

        x     float32 [1, 7, 7, 160]  the image, with values from -3.81 to 2.5
        kept  uint8   [1, 7, 7, 160]  round(x / 0.03) + 128, from 1 to 211; a quarter of the memory
        scale float32 [1, 1, 1, 1]    0.03

    Each value is then off by at most half of the scale. Only builtin operators of LiteRT are needed that compute a mask
    too (see `mask_storage`); in an exported file, a QUANTIZE replaces the rounding and the cast.

    Args:
        x: float tensor `[batch, height, width, channels]`.
        bits: 32 or 8.

    Returns:
        A function of an output gradient that returns the input, or what 8 bits say of it, with the dtype of `x`.

    Raises:
        ValueError: if `bits` is another number.
    """
    if bits == 32:
        return lambda dy: x
    if bits != 8:
        raise ValueError(f"expected an input kept in 32 or 8 bits, got {bits}")
    values = tf.cast(x, tf.float32)
    # Two reductions, since the magnitudes of all elements would need the memory of another image.
    largest = tf.maximum(
        tf.reduce_max(values, [1, 2, 3], keepdims=True), -tf.reduce_min(values, [1, 2, 3], keepdims=True)
    )
    scale = tf.maximum(largest, _SMALLEST) * (1 / _STEPS)
    kept = keep_bytes(tf.round(values * (1 / scale) + _ZERO))
    return lambda dy: tf.cast((kept(dy) - _ZERO) * scale, x.dtype)
