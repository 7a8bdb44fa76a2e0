"""Layer normalization with its exact gradient."""

import tensorflow as tf

from tinytl_tf.ops.precision import wide_dtype
from tinytl_tf.ops.scale_and_shift import affine

__all__ = ["layer_norm"]


def layer_norm(
    x: tf.Tensor,
    gamma: tf.Tensor | None = None,
    beta: tf.Tensor | None = None,
    *,
    epsilon: float = 1e-3,
) -> tf.Tensor:
    """Normalizes over the last axis, then scales and shifts each channel.

    The input gradient is exact. Keeps the normalized input, one float per element, which the gradient of gamma needs
    too, and one float for each vector along the last axis.

    Args:
        x: float tensor `[batch, ..., channels]` of rank 2 to 4. Statistics of float16 and bfloat16 are computed in
            float32.
        gamma: float tensor `[channels]`, or `None` for a scale of one.
        beta: float tensor `[channels]`, or `None` for no shift.
        epsilon: small number added to the variance.

    Returns:
        Tensor with the shape and dtype of `x`.

    Reference:
        Layer Normalization (Ba et al., 2016), equations 3 and 4.
    """
    wide = wide_dtype(x.dtype)

    @tf.custom_gradient
    def normalize(x):
        centered = tf.cast(x, wide)
        centered -= tf.reduce_mean(centered, -1, keepdims=True)
        inverse_deviation = tf.math.rsqrt(tf.reduce_mean(centered * centered, -1, keepdims=True) + epsilon)
        normalized = tf.cast(centered * inverse_deviation, x.dtype)

        def grad(dy):
            dy, y = tf.cast(dy, wide), tf.cast(normalized, wide)
            mean_dy, mean_product = (tf.reduce_mean(part, -1, keepdims=True) for part in (dy, dy * y))
            return tf.cast((dy - mean_dy - y * mean_product) * inverse_deviation, x.dtype)

        return normalized, grad

    return affine(normalize(x), beta, gamma)
