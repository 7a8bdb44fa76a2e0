"""Group normalization with its exact gradient."""

import math

import tensorflow as tf

from tinytl_tf.ops.precision import wide_dtype

__all__ = ["group_norm"]


def group_norm(
    x: tf.Tensor,
    gamma: tf.Tensor | None = None,
    beta: tf.Tensor | None = None,
    *,
    groups: int,
    epsilon: float = 1e-3,
) -> tf.Tensor:
    """Normalizes each image over space and over the channels of a group, then scales and shifts each channel.

    The input gradient is exact; it needs the normalized input even if gamma is frozen. (The paper's accounting does not
    count that.) Keeps the normalized input, one float per element, and one float for each channel of each image.
    Statistics are first averaged over space, so all further steps work on one number per channel.

    Args:
        x: float tensor `[batch, channels]`, `[batch, length, channels]` or `[batch, height, width, channels]`; all
            dimensions except the batch are static. Statistics of float16 and bfloat16 are computed in float32.
        gamma: float tensor `[channels]`, or `None` for a scale of one.
        beta: float tensor `[channels]`, or `None` for no shift.
        groups: number of groups; must divide `channels`.
        epsilon: small number added to the variance.

    Returns:
        Tensor with the shape and dtype of `x`.

    Raises:
        ValueError: if `groups` does not divide the channels.

    Reference:
        Group Normalization (Wu and He, 2018), equations 1 to 3.
    """
    _, *space, channels = x.shape
    if channels % groups:
        raise ValueError(f"groups must divide the channels, got {groups} groups for input {tuple(x.shape)}")
    wide, pixels = wide_dtype(x.dtype), math.prod(space)
    vector_shape = [-1, *[1] * len(space), channels]

    def over_group(vector):
        """Averages a `[batch, 1, ..., 1, channels]` tensor within each group, and repeats the mean for its channels."""
        mean = tf.reduce_mean(tf.reshape(vector, [-1, groups, channels // groups]), axis=2, keepdims=True)
        return tf.reshape(mean * tf.ones([channels // groups], vector.dtype), vector_shape)

    def over_space(tensor):
        return tf.reduce_mean(tensor, axis=list(range(1, len(space) + 1)), keepdims=True) if space else tensor

    def over_images(vector):
        """Sums a `[batch, 1, ..., 1, channels]` mean over images, and multiplies by the number of pixels."""
        return tf.reduce_sum(vector, axis=list(range(len(space) + 1))) * pixels

    @tf.custom_gradient
    def op(x, gamma, beta):
        centered = tf.cast(x, wide)
        centered -= over_group(over_space(centered))
        inverse_deviation = tf.math.rsqrt(over_group(over_space(centered * centered)) + epsilon)
        normalized = tf.cast(centered * inverse_deviation, x.dtype)

        def grad(dy):
            dy, y, scale = tf.cast(dy, wide), tf.cast(normalized, wide), tf.cast(gamma, wide)
            mean_dy, mean_product = over_space(dy), over_space(dy * y)
            dx = dy * scale - over_group(mean_dy * scale) - y * over_group(mean_product * scale)
            dgamma, dbeta = (tf.cast(over_images(mean), gamma.dtype) for mean in (mean_product, mean_dy))
            return tf.cast(dx * inverse_deviation, x.dtype), dgamma, dbeta

        return normalized * gamma + beta, grad

    # A custom gradient does not accept a Keras variable.
    gamma = tf.ones([channels], x.dtype) if gamma is None else tf.convert_to_tensor(gamma)
    beta = tf.zeros([channels], x.dtype) if beta is None else tf.convert_to_tensor(beta)
    return op(x, gamma, beta)
