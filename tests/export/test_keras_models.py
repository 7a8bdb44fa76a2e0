"""One step of the file of a user's own Keras model, against TensorFlow's gradients of that model itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.backbones.keras_models import L, trained
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.device import TrainableModel
from tinytl_tf.export.build import build_file
from tinytl_tf.export.packing import state_order
from tinytl_tf.export.parity import random_photos
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.networks.schemes import apply_scheme, get_scheme
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.profiles import get_profile

SIZE, CLASSES, BATCH = 24, 4, 2
TOLERANCE = 2e-5  # sums in another order: 6e-6 of the worst variable was measured


def residual():
    """Biases before norms, a pool with padding, a shortcut with a convolution."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = L.MaxPooling2D(3, 2, "same")(
        L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, padding="same")(L.Rescaling(1 / 255)(inputs))))
    )
    for filters, strides in ((8, 1), (12, 2)):
        y = L.ReLU()(L.BatchNormalization()(L.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)))
        y = L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(y))
        x = L.ReLU()(L.Add()([y, L.BatchNormalization()(L.Conv2D(filters, 1, strides)(x)) if strides > 1 else x]))
    return inputs, L.GlobalAveragePooling2D()(x)


def gated():
    """Depthwise multipliers, gates, norms of other axes and a layer that is called as it is."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = L.DepthwiseConv2D(3, 2, "same", depth_multiplier=4, activation="elu")(L.Rescaling(1 / 255)(inputs))
    x = L.LayerNormalization()(L.Conv2DTranspose(8, 3, 2)(L.SeparableConv2D(8, 3, activation="leaky_relu")(x)))
    y = L.Activation("silu")(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x)))
    gates = L.Conv2D(2, 1, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(y))
    y = L.Multiply()([y, L.Conv2D(8, 1, activation="sigmoid")(gates)])
    return inputs, L.GlobalAveragePooling2D()(L.Add()([x, L.BatchNormalization(axis=1)(L.Conv2D(8, 1)(y))]))


def cut():
    """Halves of the channels, a border cut off, and the first token of attention."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = L.Cropping2D(((1, 0), (0, 1)))(
        L.Conv2D(8, 3, 4, padding="same", activation="relu")(L.Rescaling(1 / 255)(inputs))
    )
    x = L.Concatenate()([x[..., 4:], L.Conv2D(4, 3, padding="same", activation="relu")(x[..., :4])])
    x = L.Reshape((25, 8))(x)
    y = L.LayerNormalization()(x)
    return inputs, L.Add()([x, L.MultiHeadAttention(2, 4)(y, y)])[:, 0]


@pytest.mark.thorough
@pytest.mark.parametrize("make", [residual, gated, cut], ids=lambda make: make.__name__)
def test_the_file_trains_as_the_model_would(make, tmp_path):
    inputs, features = make()
    model = trained(keras.Model(inputs, L.Dense(CLASSES)(features)))
    network = from_keras(model)
    apply_scheme(network.weights, get_scheme("tinytl-b"))
    pairs = [_twin(variable, model) for variable in state_order(network.trainable_variables)]
    assert len(pairs) == sum(v.path.endswith(("/beta", "/bias")) for v in network.weights) + 1  # the last kernel
    module = TrainableModule(
        network,
        network.trainable_variables,
        optimizer=get_optimizer("sgd"),
        batch_size=BATCH,
        profile=get_profile("balanced"),
    )
    path = tmp_path / "model.tflite"
    path.write_bytes(build_file(module)[0])
    images, labels = (values[0] for values in random_photos(1, BATCH, (SIZE, SIZE), CLASSES))
    expected = _gradients(model, pairs, images.astype(np.float32), labels)
    for xnnpack in (True, False):
        device = TrainableModel(path, xnnpack=xnnpack, trust=True)
        before = device.state()
        device.train(images, labels, np.float32(1))
        for mine, his in zip(
            np.split(before - device.state(), np.cumsum([g.size for g in expected])[:-1]), expected, strict=True
        ):
            assert np.linalg.norm(mine - his.ravel()) <= TOLERANCE * max(np.linalg.norm(his), 1e-2)


def _twin(variable, model):
    """The variable of the model that has the same values."""
    (found,) = [own for own in model.weights if own.shape == variable.shape and np.array_equal(own, variable)]
    return found


def _gradients(model, variables, images, labels):
    with tf.GradientTape() as tape:
        logits = model(images, training=False)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    return [np.asarray(gradient) for gradient in tape.gradient(loss, [variable.value for variable in variables])]
