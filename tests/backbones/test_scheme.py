"""The scheme of a network: which of its variables it says are trained, and what is refused."""

import keras
import numpy as np
import pytest

from tests import tiny_network
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import get_scheme


def own_model():
    images = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False)(keras.layers.Rescaling(1 / 255)(images))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    return keras.Model(images, keras.layers.Dense(3, name="kind")(keras.layers.GlobalAveragePooling2D()(x)))


def test_a_scheme_goes_by_its_name_or_itself():
    model = tiny_network.build("last")
    by_name = apply_scheme(model, "tinytl-b").variables
    assert by_name == apply_scheme(model, get_scheme("tinytl-b")).variables == tuple(model.trainable_variables)


def test_places_narrow_it():
    model = tiny_network.build("tinytl-lb")
    trained = {
        v.path.split("/")[0]
        for v in apply_scheme(model, "tinytl-lb", biases=["head"], lite_residuals=["block_2"]).variables
    }
    assert trained == {"head", "block_2_lite_residual", "classifier"}


def test_a_bias_of_a_convolution_is_a_bias():
    network = from_keras(own_model())
    trained = [variable.path.partition("/")[::2] for variable in apply_scheme(network, "tinytl-b").variables]
    assert [own for _, own in trained] == ["norm/beta", "bias", "kernel", "bias"]
    assert [layer.split("_conv2d")[0] for layer, _ in trained] == ["stem", "block_0", "classifier", "classifier"]


def test_statistics_stay_in_fit_and_what_is_trained_survives_saving(tmp_path):
    network = from_keras(own_model())
    apply_scheme(network, "tinytl-b")
    frozen = {v.path: v.numpy() for v in network.non_trainable_variables if "seed" not in v.path}
    trained = [v.path for v in network.trainable_variables]
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype(np.float32)
    network.fit(images, np.arange(8) % 3, verbose=0)
    for variable in network.non_trainable_variables:
        if "seed" not in variable.path:
            np.testing.assert_array_equal(variable, frozen[variable.path])
    network.save(tmp_path / "network.keras")
    for again in (keras.models.load_model(tmp_path / "network.keras"), keras.models.clone_model(network)):
        assert [v.path for v in again.trainable_variables] == trained


def test_a_model_of_keras_is_refused_before_anything_changes():
    model = own_model()
    with pytest.raises(InputError, match=r"^expected layers whose variables are trained one by one, got Conv2D "):
        apply_scheme(model, "tinytl-b")
    assert all(layer.trainable for layer in model.layers)
    with pytest.raises(InputError, match=r"^expected a keras.Model, got list; give the model itself$"):
        apply_scheme(model.weights, "tinytl-b")
