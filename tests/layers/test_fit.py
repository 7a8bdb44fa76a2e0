"""compile, fit and evaluate of models made of our layers."""

import keras
import numpy as np
import pytest

from tests.layers.test_selective_layer import network
from tinytl_tf.layers import FrozenConv2D, GlobalAveragePooling, LiteResidual
from tinytl_tf.networks.schemes import apply_scheme, get_scheme


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            FrozenConv2D(8, 3, 2, train=["norm/beta"]),
            LiteResidual(8, 3, train=["kernel", "final_norm/gamma"], final_norm=True),
            GlobalAveragePooling(),
            keras.layers.Dense(2),
        ]
    )


def nested():
    """A user's model around one of ours, whose classifier is made a feature."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 1, name="users_own")(images)
    return keras.Model(images, keras.layers.Dense(2, name="users_top")(network()(x)))


def with_a_scheme():
    model = network()
    apply_scheme(model.weights, get_scheme("tinytl-lb"))
    return model


@pytest.mark.thorough
@pytest.mark.parametrize("make", [with_a_scheme, nested, sequential], ids=lambda make: make.__name__)
def test_fit_lowers_the_loss_and_leaves_frozen_variables_alone(make):
    keras.utils.set_random_seed(0)
    model = make()
    model.compile(
        keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 22)
    images = (random.standard_normal((22, 8, 8, 3)) + labels[:, None, None, None]).astype("float32")
    before, _ = model.evaluate(images, labels, batch_size=8, verbose=0)
    frozen = {v.path: v.numpy() for v in model.weights if not v.trainable}
    chosen = {v.path: v.numpy() for v in model.trainable_variables}
    model.fit(images, labels, batch_size=8, epochs=6, verbose=0)  # the last batch has 6 images
    after, _ = model.evaluate(images, labels, batch_size=5, verbose=0)
    assert after < 0.8 * before
    assert len(frozen) >= 4
    for variable in model.weights:
        if variable.path in frozen:
            np.testing.assert_array_equal(variable, frozen[variable.path], err_msg=variable.path)
        else:
            # The kernels of a branch move from the second step on: at first its last gamma is zero.
            assert np.any(variable.numpy() != chosen[variable.path]), variable.path
