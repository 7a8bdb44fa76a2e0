"""A built network is what its description says, and says the same of itself."""

import keras
import pytest

from tests import tiny_network
from tinytl_tf.backbones import build
from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.network_builder import build_network
from tinytl_tf.networks.branches import branch_places, with_branches
from tinytl_tf.networks.from_table import from_table


@pytest.mark.parametrize(
    ("name", "width", "resolution", "settings"),
    [
        (tiny_network.ARCHITECTURE, 1.0, 64, {}),
        (tiny_network.ARCHITECTURE, 1.0, 64, {"final_norm": True}),
        ("mobilenet_v2", 0.35, 75, {}),
        pytest.param("proxyless_w0.3", 1.0, 33, {"final_norm": True}, marks=pytest.mark.thorough),
    ],
)
def test_a_built_network_is_described_as_its_table(name, width, resolution, settings):
    spec = from_table(name, resolution=resolution, classes=5, width=width)
    spec = with_branches(spec, branch_places(spec), **settings)
    model = build_network(spec)
    assert describe(model) == spec
    shapes = {variable.path: variable.shape for variable in spec.variables}
    assert shapes == {variable.path: tuple(variable.shape) for variable in model.weights}
    if name is tiny_network.ARCHITECTURE:
        assert describe(keras.models.clone_model(model)) == spec


def test_builder_and_description_have_the_same_branches():
    model = build(tiny_network.ARCHITECTURE, classes=3, resolution=64, weights=None, lite_residual=["block_2"])
    spec = from_table(tiny_network.ARCHITECTURE, resolution=64, classes=3)
    assert describe(model) == with_branches(spec, ["block_2"])


def test_a_loaded_network_is_described_as_it_was(tmp_path):
    model = build(tiny_network.ARCHITECTURE, classes=3, resolution=64, weights=None, lite_residual=True)
    model.save(tmp_path / "model.keras")
    assert describe(keras.models.load_model(tmp_path / "model.keras")) == describe(model)


def test_activations_of_keras_are_activations():
    images = keras.Input((8, 8, 3))
    x = keras.layers.Activation("softmax", name="stem_choice")(keras.layers.Rescaling(1 / 255)(images))
    x = keras.layers.Dense(3, name="classifier")(keras.layers.Flatten()(x))
    layer = describe(keras.Model(images, x)).layer("stem_choice")
    assert (layer.kind, layer.option("activation"), layer.place) == ("activation", "softmax", "stem")
