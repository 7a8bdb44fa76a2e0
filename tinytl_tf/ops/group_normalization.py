"""Group normalization with its exact gradient, at rank 4 and below."""

import tensorflow as tf

__all__ = ["group_norm"]


def group_norm(
    x: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    *,
    groups: int,
    epsilon: float = 1e-3,
) -> tf.Tensor:
    """Normalises each image over space and over the channels of a group, then scales and shifts each channel.

    The input gradient is the true one, which needs the normalized input even where gamma is frozen; the paper's
    accounting charges nothing for it. Statistics are gathered over space first, so that all that follows is a vector of
    a number a channel.

    Args:
        x: float tensor `[batch, height, width, channels]`; height and width known.
        gamma: float tensor `[channels]`.
        beta: float tensor `[channels]`.
        groups: number of groups; divides `channels`.
        epsilon: added to the variance.

    Returns:
        Tensor of the shape and dtype of `x`.

    Reference:
        Group Normalization (Wu and He, 2018), equations 1 to 3.
    """
    _, height, width, channels = x.shape
    if channels % groups:
        raise ValueError(f"groups must divide the channels, got {groups} groups for input {tuple(x.shape)}")

    def over_group(vector):
        """Mean of a `[batch, 1, 1, channels]` tensor within each group, given back to each of its channels."""
        mean = tf.reduce_mean(tf.reshape(vector, [-1, groups, channels // groups]), axis=2, keepdims=True)
        return tf.reshape(mean * tf.ones([channels // groups], vector.dtype), [-1, 1, 1, channels])

    def over_space(tensor):
        return tf.reduce_mean(tensor, axis=[1, 2], keepdims=True)

    @tf.custom_gradient
    def op(x, gamma, beta):
        centerd = x - over_group(over_space(x))
        inverse_deviation = tf.math.rsqrt(over_group(over_space(centerd * centerd)) + epsilon)
        normalized = centerd * inverse_deviation

        def grad(dy):
            mean_dy, mean_product = over_space(dy), over_space(dy * normalized)
            dx = dy * gamma - over_group(mean_dy * gamma) - normalized * over_group(mean_product * gamma)
            dgamma = tf.reduce_sum(mean_product, axis=[0, 1, 2]) * (height * width)
            dbeta = tf.reduce_sum(mean_dy, axis=[0, 1, 2]) * (height * width)
            return dx * inverse_deviation, dgamma, dbeta

        return normalized * gamma + beta, grad

    return op(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))  # A custom gradient takes no Keras variable.
