"""Networks whose classifier reads several depths."""

import keras
import numpy as np
import pytest

from tests import tiny_network
from tinytl_tf.backbones import build
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.backbones.split import split_model, split_places
from tinytl_tf.errors import InputError
from tinytl_tf.networks.depths import with_depths
from tinytl_tf.networks.from_table import from_table

DEPTHS = ("block_1", "block_3")


@pytest.fixture(scope="module")
def model():
    return tiny_network.build("last", feature_places=DEPTHS)


def test_the_description_is_that_of_the_network(model):
    options = {"resolution": tiny_network.RESOLUTION, "classes": len(tiny_network.LABELS)}
    assert describe(model) == with_depths(from_table(tiny_network.ARCHITECTURE, **options), DEPTHS)


@pytest.mark.parametrize("branch", [{}, {"lite_residual": True}, {"lora": {"places": "late", "wide": True}}])
def test_a_saved_network_comes_back_with_its_branches(tmp_path, branch):
    options = {"classes": 4, "resolution": 64, "weights": None}
    network = build(tiny_network.ARCHITECTURE, feature_places=DEPTHS, **options, **branch)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert describe(loaded) == describe(network)
    images = tiny_network.photos(1, 2)[0][0].astype(np.float32)
    np.testing.assert_array_equal(loaded(images), network(images))


def test_a_pooled_output_is_that_with_the_branches_of_its_place():
    network = build(
        tiny_network.ARCHITECTURE, classes=4, resolution=64, weights=None, feature_places=DEPTHS, lite_residual=True
    )
    spec = describe(network)
    assert spec.layer("depths_block_3").inputs == ("block_3_add_lite_residual",)
    assert spec.layer("depths_block_1").inputs == ("block_1_add_lite_residual",)


def test_pretrained_weights_load_and_the_classifier_is_new(tmp_path):
    options = {"classes": 5, "resolution": 64, "width": 0.35}
    path = tmp_path / "weights.weights.h5"
    keras.applications.MobileNetV2((64, 64, 3), alpha=0.35, classes=5, weights=None).save_weights(path)
    source, network = (build("mobilenet_v2", weights=str(path), feature_places=p, **options) for p in ((), "late"))
    assert network.get_layer("classifier").kernel.shape[0] > source.get_layer("classifier").kernel.shape[0]
    values = {v.path: v.numpy() for v in source.weights}
    for variable in network.weights:
        if not variable.path.startswith("classifier"):
            np.testing.assert_array_equal(variable.numpy(), values[variable.path])


def test_it_splits_before_the_first_depth_and_before_the_classifier(model):
    """All depths before the split come as one tensor: the trunk stays on an accelerator."""
    assert split_places(model) == ["block_0", "block_1", "block_2", "classifier"]
    parts = split_model(model, "classifier")
    assert parts.feature_shape == (32 + 16 + 24,)
    images = tiny_network.photos(1, 2)[0][0].astype(np.float32)
    np.testing.assert_allclose(parts.suffix(parts.prefix(images)), model(images), rtol=1e-5, atol=1e-6)


def test_a_keras_model_without_a_head():
    base = keras.Sequential(
        [
            keras.layers.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(12, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
        ]
    )
    places = describe(from_keras(base, classes=3)).places
    network = from_keras(base, classes=3, feature_places=places[:-1])
    assert network.get_layer("classifier").kernel.shape == (8 + 12 + 16, 3)
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    outputs = [images]
    for layer in base.layers:
        outputs.append(layer(outputs[-1]))
    pooled = [np.mean(values, (1, 2)) for values in (outputs[-1], *outputs[2:-1])]
    expected = np.concatenate(pooled, -1) @ network.get_layer("classifier").kernel.numpy()
    np.testing.assert_allclose(network(images), expected, rtol=1e-4, atol=1e-5)


def test_the_models_own_classifier_reads_its_features_only():
    base = keras.Sequential(
        [keras.layers.Input((8, 8, 3)), keras.layers.Rescaling(1.0), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    with pytest.raises(InputError, match="^expected no feature_places without classes=, got 'late': the model's own"):
        from_keras(base, feature_places="late")
