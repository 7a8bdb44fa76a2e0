"""The product of squeeze-and-excitation, fused with the activation before it."""

from collections.abc import Callable

import tensorflow as tf

from tinytl_tf.ops.masks import keep_input, mask_storage, storage_at_once

__all__ = ["gate"]


def gate(x: tf.Tensor, gates: tf.Tensor, activation: Callable[[tf.Tensor], tf.Tensor] | None = None) -> tf.Tensor:
    """Returns `activation(x) * gates`, which multiplies each channel of each image by one number.

    Keeps `x`, one float per element, and the gates, and recomputes the activation in the backward pass. The gradient of
    the gates needs the activation's output, so `gate(silu(x), gates)` would keep that output in addition to the `x`
    that `silu` keeps. The squeeze path may use `silu(x)`, which keeps the same `x`. For ReLU, the fusion saves only the
    mask, since the product needs one float per element in any case: the activation's input or its output.

    Args:
        x: float tensor `[batch, ..., channels]`.
        gates: float tensor `[batch, 1, ..., 1, channels]` with the rank of `x`.
        activation: an element-wise op (see `ACTIVATIONS`), or `None`; `x` is kept in both cases.

    Returns:
        Tensor with the shape and dtype of `x`.

    Reference:
        Squeeze-and-Excitation Networks (Hu et al., 2018), equation 4.
    """
    x = tf.convert_to_tensor(x)
    space = list(range(1, x.shape.rank - 1))

    @tf.custom_gradient
    def op(x, gates):
        again, at_once = keep_input(x), storage_at_once()

        def grad(dy):
            if activation is None:
                return dy * gates, tf.reduce_sum(dy * x, space, keepdims=True)
            z = again(dy)
            with mask_storage(at_once), tf.GradientTape() as tape:
                tape.watch(z)
                y = activation(z)
            dgates = tf.reduce_sum(dy * y, space, keepdims=True)
            return tape.gradient(y, z, output_gradients=dy * gates), dgates

        return (x if activation is None else activation(x)) * gates, grad

    return op(x, tf.convert_to_tensor(gates))
