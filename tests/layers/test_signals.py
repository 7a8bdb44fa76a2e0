"""A network of signals, as those of an accelerometer: the same network of Keras' layers, trained and in LiteRT."""

import keras
import numpy as np
import tensorflow as tf

from tests.litert import convert, describe, run
from tinytl_tf.layers import (
    Activation,
    AveragePooling,
    FrozenConv1D,
    FrozenDepthwiseConv1D,
    GlobalAveragePooling,
    MaxPooling,
)

STEPS, CHANNELS, CLASSES = 64, 3, 4


def ours():
    return keras.Sequential(
        [
            keras.Input((STEPS, CHANNELS)),
            FrozenConv1D(16, 5, strides=2, norm=False, use_bias=True, activation="relu", train=["bias"]),
            MaxPooling(3, 2, "same"),
            FrozenDepthwiseConv1D(3, norm=False, train=["kernel"]),
            FrozenConv1D(24, 3, padding="causal", dilation_rate=2, norm=False, use_bias=True, train=["bias", "kernel"]),
            Activation("relu6"),
            AveragePooling(2),
            GlobalAveragePooling(),
            keras.layers.Dense(CLASSES),
        ]
    )


def plain():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((STEPS, CHANNELS)),
            layers.Conv1D(16, 5, strides=2, padding="same", activation="relu"),
            layers.MaxPooling1D(3, 2, "same"),
            layers.DepthwiseConv1D(3, padding="same", use_bias=False),
            layers.Conv1D(24, 3, padding="causal", dilation_rate=2),
            layers.ReLU(6),
            layers.AveragePooling1D(2),
            layers.GlobalAveragePooling1D(),
            layers.Dense(CLASSES),
        ]
    )


def test_trains_in_litert_as_keras_own_layers_do_in_tensorflow():
    network, his = ours(), plain()
    for seed, (variable, theirs) in enumerate(zip(network.weights, his.weights, strict=True)):
        value = np.random.default_rng(seed).standard_normal(variable.shape) * 0.3
        variable.assign(value)
        theirs.assign(value)
    trained = [i for i, variable in enumerate(network.weights) if variable.trainable]
    assert [network.weights[i].name for i in trained] == ["bias", "kernel", "kernel", "bias", "kernel", "bias"]
    x = np.random.default_rng(9).standard_normal((2, STEPS, CHANNELS)).astype("float32")

    def gradients(model, x):
        variables = [model.weights[i].value for i in trained]
        with tf.GradientTape() as tape:
            logits = model(x)
            loss = tf.reduce_sum(logits * tf.constant([1.0, -2.0, 3.0, 0.5]))
        return logits, tape.gradient(loss, variables), variables

    def step(x):
        logits, found, variables = gradients(network, x)
        outputs = {"logits": logits}
        for i, (variable, gradient) in enumerate(zip(variables, found, strict=True)):
            # Without an assignment the converter would make a constant of the variable.
            outputs |= {f"gradient_{i}": gradient, f"updated_{i}": variable.assign_sub(0.01 * gradient)}
        return outputs

    logits, expected, _ = gradients(his, x)
    model = convert(step, [tf.TensorSpec(x.shape, name="x")])
    for xnnpack in (True, False):
        found = run(model, {"x": x}, xnnpack=xnnpack)
        np.testing.assert_allclose(found["logits"], logits, atol=1e-5)
        for i, gradient in enumerate(expected):
            np.testing.assert_allclose(found[f"gradient_{i}"], gradient, atol=1e-5 * np.abs(gradient).max())
    assert describe(model).custom == ()
    assert describe(model).rank <= 4
