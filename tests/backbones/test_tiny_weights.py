"""The tiny networks of mit-han-lab compute what the models of their weight files do; the files are the user's."""

import json
import pathlib
import zipfile

import keras
import numpy as np
import pytest
from packaging.version import Version

from tinytl_tf.backbones import ARCHITECTURES, build
from tinytl_tf.errors import InputError
from tinytl_tf.networks.architectures import lay_out

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
    layout = lay_out(ARCHITECTURES[name])
    assert (layout.head_filters, layout.features, len(layout.blocks)) == (0, features, blocks)
    assert layout.places[-1] == f"block_{blocks - 1}"
    model = build(name, classes=5, resolution=64, weights=None)
    assert model.get_layer("classifier").kernel.shape == (features, 5)
    assert not [layer for layer in model.layers if layer.name.startswith("head")]


def test_mobilenet_v2_has_the_channels_of_its_width():
    tiny, full = lay_out(ARCHITECTURES["mbv2_w0.35"]), lay_out(ARCHITECTURES["mobilenet_v2"], 0.35)
    assert tiny.blocks == full.blocks
    assert (tiny.stem_filters, tiny.head_filters, tiny.features) == (full.stem_filters, 0, 112)
