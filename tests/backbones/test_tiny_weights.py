"""The tiny networks of mit-han-lab compute what the models of their weight files do; the files are the user's."""

import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest
from packaging.version import Version

from tinytl_tf.backbones import build
from tinytl_tf.errors import InputError
from tinytl_tf.networks.from_table import from_table

FOLDER = pathlib.Path(__file__).parents[2] / ".." / "shared" / "weights"
FILES = {
    "mcunet_5fps": "mcunet-5fps_imagenet_dequant.keras",
    "proxyless_w0.3": "proxyless-w0.3_imagenet_dequant.keras",
    "mbv2_w0.35": "mbv2-w0.35_imagenet_dequant.keras",
}


def weights(name):
    path = FOLDER / FILES[name]
    if not path.is_file():
        pytest.skip(f"the weights {path.name} of mit-han-lab/tiny-training are not here")
    return str(path)


@pytest.mark.parametrize("name", FILES)
def test_answers_and_features_are_those_of_the_original(name):
    path = weights(name)
    with zipfile.ZipFile(path) as archive:
        writer = json.loads(archive.read("metadata.json"))["keras_version"]
    if Version(keras.version()) < Version(writer):
        pytest.skip(f"Keras {keras.version()} does not read files of Keras {writer}")
    original = keras.models.load_model(path, compile=False)
    model = build(name, classes=1000, resolution=128, weights=path)
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    photos = np.round(np.asarray(keras.ops.image.resize(coarse, (128, 128), interpolation="bicubic")).clip(0, 255))
    expected = original(photos / 127.5 - 1)  # ends with a softmax
    np.testing.assert_allclose(keras.ops.softmax(model(photos)), expected, rtol=1e-3, atol=1e-6)
    features = keras.Model(original.input, original.get_layer("classifier").input)(photos / 127.5 - 1)
    own = keras.Model(model.input, model.get_layer("pool").output)(photos)
    np.testing.assert_allclose(own, features, atol=1e-3 * np.abs(features).max())


@pytest.mark.parametrize("name", FILES)
def test_another_table_is_refused(name):
    others = [other for other in FILES if other != name]
    with pytest.raises(InputError, match="it is of another network|does not fit"):
        build(others[0], classes=10, resolution=128, weights=weights(name))


@pytest.mark.parametrize(("name", "features", "blocks"), [("mcunet_5fps", 160, 14), ("proxyless_w0.3", 96, 20)])
def test_the_tables_end_with_their_last_block(name, features, blocks):
    spec = from_table(name, resolution=64, classes=5)
    assert (spec.shape(spec.features), len(spec.blocks)) == ((features,), blocks)
    assert spec.places[-1] == f"block_{blocks - 1}"
    model = build(name, classes=5, resolution=64, weights=None)
    assert model.get_layer("classifier").kernel.shape == (features, 5)
    assert not [layer for layer in model.layers if layer.name.startswith("head")]


def test_mobilenet_v2_has_the_channels_of_its_width():
    tiny = from_table("mbv2_w0.35", resolution=64, classes=5)
    full = from_table("mobilenet_v2", resolution=64, classes=5, width=0.35)
    for place in tiny.places:
        own, other = ([layer.shape for layer in spec.layers_of(place)] for spec in (tiny, full))
        assert own[: len(other)] == other, place
    assert (tiny.shape(tiny.features), tiny.places) == ((112,), full.places[:-1])
