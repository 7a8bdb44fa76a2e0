"""Scale and shift of each channel, which keeps the input only if the scale is trained."""

import tensorflow as tf

__all__ = ["affine"]


@tf.custom_gradient
def _shift(x, shift):
    # BiasAddGrad becomes SUM in LiteRT; in TensorFlow, it is the fastest sum over all axes except the last.
    return x + shift, lambda dy: (dy, tf.raw_ops.BiasAddGrad(out_backprop=dy))


@tf.custom_gradient
def _scale(x, scale):
    return x * scale, lambda dy: (dy * scale, tf.raw_ops.BiasAddGrad(out_backprop=dy * x))


def affine(x: tf.Tensor, shift: tf.Tensor | None, scale: tf.Tensor | None = None) -> tf.Tensor:
    """Returns `x * scale + shift`; keeps `x` only for the gradient of a scale.

    Args:
        x: float tensor `[batch, ..., channels]` of rank 2 or more.
        shift: float tensor `[channels]`, or `None` for no shift.
        scale: float tensor `[channels]` that gets a gradient, or `None` for a scale of one. Fold a frozen scale into
            the preceding kernel instead, where it costs nothing.

    Returns:
        Tensor with the shape and dtype of `x`.

    Reference:
        TinyTL, equation 2: the gradient of a bias is the sum of the output gradient.
    """
    # A custom gradient does not accept a Keras variable.
    scaled = x if scale is None else _scale(x, tf.convert_to_tensor(scale))
    return scaled if shift is None else _shift(scaled, tf.convert_to_tensor(shift))
