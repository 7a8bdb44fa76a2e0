"""Scale and shift of each channel, keeping the input only when the scale is trained."""

import tensorflow as tf

__all__ = ["affine"]


@tf.custom_gradient
def _shift(x, shift):
    # BiasAddGrad becomes SUM in LiteRT and is the fastest sum over all axes but the last in TensorFlow.
    return x + shift, lambda dy: (dy, tf.raw_ops.BiasAddGrad(out_backprop=dy))


@tf.custom_gradient
def _scale(x, scale):
    return x * scale, lambda dy: (dy * scale, tf.raw_ops.BiasAddGrad(out_backprop=dy * x))


def affine(x: tf.Tensor, shift: tf.Tensor | None, scale: tf.Tensor | None = None) -> tf.Tensor:
    """Returns `x * scale + shift`; keeps `x` for the gradient of a scale, and nothing without a scale.

    Args:
        x: float tensor `[batch, ..., channels]` of rank 2 or more.
        shift: float tensor `[channels]`, or `None` for no shift.
        scale: float tensor `[channels]` that gets a gradient, or `None` for a scale of one. Fold a frozen
            scale into the kernel before it, where it costs nothing.

    Returns:
        Tensor of the shape and dtype of `x`.

    Reference:
        TinyTL, equation 2: the gradient of a bias is the sum of the output's gradient.
    """
    # A custom gradient takes no Keras variable.
    scaled = x if scale is None else _scale(x, tf.convert_to_tensor(scale))
    return scaled if shift is None else _shift(scaled, tf.convert_to_tensor(shift))
