"""Activations that keep only a mask or one tensor for the backward pass."""

import math

import numpy as np
import tensorflow as tf

from tinytl_tf.ops.masks import keep_input, keep_mask

__all__ = [
    "ACTIVATIONS",
    "elu",
    "gelu",
    "gelu_tanh",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "tanh",
]

# Abramowitz and Stegun, Handbook of Mathematical Functions, formula 7.1.26: the coefficients of a polynomial in
# 1 / (1 + _ERF_RATE * z) that is erfc(z) * exp(z * z) for z >= 0.
_ERF_RATE = 0.3275911
_ERF_COEFFICIENTS = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
_CUBIC = 0.044715  # coefficient of the tanh form of GELU


@tf.custom_gradient
def relu(x: tf.Tensor) -> tf.Tensor:
    """`max(x, 0)`, for any shape; keeps only a mask (see `mask_storage`), where TensorFlow keeps the complete output.

    Reference:
        TinyTL, table 1.
    """
    y = tf.nn.relu(x)
    return y, keep_mask(y, None)


@tf.custom_gradient
def relu6(x: tf.Tensor) -> tf.Tensor:
    """`min(max(x, 0), 6)`, for any shape; keeps a mask (see `mask_storage`).

    Reference:
        TinyTL, table 1.
    """
    y = tf.nn.relu6(x)
    return y, keep_mask(y, 6.0)


def leaky_relu(x: tf.Tensor, negative_slope: float = 0.2) -> tf.Tensor:
    """`x` above zero and `negative_slope * x` below, for any shape; keeps a mask (see `mask_storage`).

    Args:
        x: float tensor.
        negative_slope: slope below zero. The default is that of `keras.activations.leaky_relu`;
            `keras.layers.LeakyReLU` uses 0.3.
    """
    slope = float(np.float32(negative_slope))  # TensorFlow's operator has a float32 slope even for float64

    @tf.custom_gradient
    def op(x):
        masked = keep_mask(tf.nn.relu(x), None)

        def grad(dy):
            passed = masked(dy)
            return passed + slope * (dy - passed)  # this form gives exactly `dy` above zero

        return tf.nn.leaky_relu(x, slope), grad

    return op(x)


@tf.custom_gradient
def hard_sigmoid(x: tf.Tensor) -> tf.Tensor:
    """`relu6(x + 3) / 6`, for any shape; keeps a mask (see `mask_storage`)."""
    y = tf.nn.relu6(x + 3.0)
    masked = keep_mask(y, 6.0)
    return y / 6.0, lambda dy: masked(dy) / 6.0


@tf.custom_gradient
def sigmoid(x: tf.Tensor) -> tf.Tensor:
    """`1 / (1 + exp(-x))`, for any shape; keeps its output, from which the derivative is computed."""
    y = tf.sigmoid(x)
    return y, lambda dy: dy * (y * (1.0 - y))


@tf.custom_gradient
def tanh(x: tf.Tensor) -> tf.Tensor:
    """`tanh(x)`, for any shape; keeps its output, from which the derivative is computed."""
    y = tf.tanh(x)
    return y, lambda dy: dy * (1.0 - y * y)


@tf.custom_gradient
def elu(x: tf.Tensor) -> tf.Tensor:
    """`x` above zero and `exp(x) - 1` below, for any shape; keeps its output, from which the derivative is computed."""
    y = tf.nn.elu(x)
    return y, lambda dy: dy * (tf.minimum(y, 0.0) + 1.0)


@tf.custom_gradient
def hard_swish(x: tf.Tensor) -> tf.Tensor:
    """`x * relu6(x + 3) / 6`, for any shape; keeps its input, from which the derivative is computed.

    The derivative is `relu6(x + 3) / 6 + x / 6` between -3 and 3, 0 below and 1 above.

    Reference:
        TinyTL, table 1.
    """
    kept = keep_input(x)

    def grad(dy):
        z = kept(dy)
        inside = tf.where(tf.abs(z) < 3.0, z, tf.zeros([], z.dtype))
        return dy * (tf.nn.relu6(z + 3.0) + inside) / 6.0

    return x * tf.nn.relu6(x + 3.0) / 6.0, grad


@tf.custom_gradient
def silu(x: tf.Tensor) -> tf.Tensor:
    """`x * sigmoid(x)`, also known as swish, for any shape; keeps its input and recomputes the sigmoid in backward."""
    kept = keep_input(x)

    def grad(dy):
        z = kept(dy)
        gate = tf.sigmoid(z)
        return dy * gate * (1.0 + z * (1.0 - gate))

    return x * tf.sigmoid(x), grad


@tf.custom_gradient
def gelu(x: tf.Tensor) -> tf.Tensor:
    """`x` times the cumulative normal distribution function of `x`, for any shape; keeps its input.

    LiteRT has no operator for the error function. The formula used instead has an error of at most 1.5e-7, about the
    rounding error of float32; in float64, this op has the same error.

    Reference:
        Gaussian Error Linear Units (Hendrycks and Gimpel, 2016), equation 1; Abramowitz and Stegun, formula 7.1.26.
    """
    kept = keep_input(x)

    def grad(dy):
        z = kept(dy)
        density = tf.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))
        return dy * (_normal_distribution(z) + z * density)

    return x * _normal_distribution(x), grad


def _normal_distribution(x: tf.Tensor) -> tf.Tensor:
    """Returns the cumulative distribution function of the standard normal distribution."""
    z = tf.abs(x) * math.sqrt(0.5)
    t = 1.0 / (1.0 + _ERF_RATE * z)
    tail = tf.zeros([], x.dtype)
    for coefficient in _ERF_COEFFICIENTS:
        tail = (tail + coefficient) * t
    return 0.5 + tf.sign(x) * (0.5 - 0.5 * tail * tf.exp(-z * z))


@tf.custom_gradient
def gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    """The tanh form of `gelu`, Keras' `gelu(x, approximate=True)`, for any shape; keeps its input.

    Reference:
        Gaussian Error Linear Units (Hendrycks and Gimpel, 2016), section 2.
    """
    kept = keep_input(x)

    def grad(dy):
        z = kept(dy)
        t = _gelu_tanh(z)
        slope = math.sqrt(2 / math.pi) * (1.0 + 3 * _CUBIC * z * z)
        return dy * 0.5 * (1.0 + t + z * (1.0 - t * t) * slope)

    return 0.5 * x * (1.0 + _gelu_tanh(x)), grad


def _gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    return tf.tanh(math.sqrt(2 / math.pi) * x * (1.0 + _CUBIC * x * x))


ACTIVATIONS = {
    op.__name__: op
    for op in (
        relu,
        relu6,
        leaky_relu,
        hard_sigmoid,
        hard_swish,
        sigmoid,
        tanh,
        elu,
        silu,
        gelu,
        gelu_tanh,
    )
}
