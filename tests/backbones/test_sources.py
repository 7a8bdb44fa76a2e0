"""Networks by names of other sources than tables: what they become, and how they are refused."""

import keras
import numpy as np
import pytest

from tests.backbones import own_network
from tinytl_tf.backbones import build, network_spec
from tinytl_tf.backbones.sources import load_source
from tinytl_tf.configs import default
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import Experiment

SIZES = {"classes": 3, "resolution": 32}
OWN = own_network.__name__


def test_a_function_of_ones_own():
    network = build(f"{OWN}:make", **SIZES)
    assert (network.input_shape, network.output_shape) == ((None, 32, 32, 3), (None, 3))
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    features = keras.Model(network.input, network.get_layer("classifier_dropout").input)
    expected = own_network.make(32)
    expected = keras.Model(expected.input, expected.layers[-2].output)
    np.testing.assert_allclose(features(images), expected(images), rtol=1e-4, atol=1e-4)
    assert network_spec(f"{OWN}:make", **SIZES).places == ("stem", "block_0")


def test_a_saved_model(tmp_path):
    model = own_network.make(32)
    model.save(tmp_path / "my.keras")
    network = build(f"file:{tmp_path}/my.keras", **SIZES, lite_residual=False)
    kernel = next(variable for variable in network.weights if variable.path.startswith("stem"))
    np.testing.assert_array_equal(kernel, model.layers[2].kernel)


def test_a_network_of_applications_has_its_preprocessing():
    source = load_source("keras:ResNet50", resolution=32, weights=None)
    assert source.preprocess_input is keras.applications.resnet50.preprocess_input
    assert source.model.input_shape == (None, 32, 32, 3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("keras:ResNet51", {}, "keras.applications has no network 'ResNet51'; it has ConvNeXtBase, "),
        (
            "keras:MobileNetV3Small",
            {"width": 0.5},
            "width must be 1 for keras:MobileNetV3Small, which ",
        ),
        (
            "keras:Xception",
            {},
            "keras.applications could not make Xception for 32 x 32 pixels with the ",
        ),
        (
            "keras:MobileNetV3Small",
            {"preprocess_input": "raw"},
            "config.backbone.preprocess_input does nothing ",
        ),
        ("file:none.keras", {}, "there is no model file none.keras; save one with model.save('my.keras')"),
        (
            f"{OWN}:none",
            {},
            f"expected a function as module:function, got '{OWN}:",
        ),
        (
            "no_such_module:make",
            {},
            "expected a function as module:function, got 'no_such_module:make' (No ",
        ),
        (
            f"{OWN}:number",
            {},
            f"expected '{OWN}:number' to be a function, got int",
        ),
        (
            f"{OWN}:nothing",
            {},
            f"expected {OWN}:nothing to return a keras.Model",
        ),
        (
            f"{OWN}:make",
            {"weights": "a.h5"},
            f"expected no weight file for '{OWN}",
        ),
        (f"{OWN}:make", {"classes": 1}, "a classifier needs at least 2 classes, got 1"),
        (
            "mobilenet_v2",
            {"preprocess_input": "raw"},
            "preprocess_input does nothing for mobilenet_v2, which ",
        ),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(name, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        build(name, **{**SIZES, "weights": None, **options})
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_model_of_any_size_takes_the_resolution():
    assert build(f"{OWN}:make_of_any_size", **SIZES).input_shape == (None, 32, 32, 3)


def test_a_model_of_other_inputs_is_refused(tmp_path):
    own_network.make(40).save(tmp_path / "my.keras")
    with pytest.raises(
        InputError, match=r"^expected a resolution of 40 x 40 pixels for 'file:.*', which takes .* got 32 x 32$"
    ):
        build(f"file:{tmp_path}/my.keras", **SIZES)
    with pytest.raises(InputError, match=r"^expected a model of RGB images for .*, got \(None, 20, 3\); rebuild"):
        build(f"{OWN}:make_for_signals", **SIZES)


@pytest.mark.parametrize(("scheme", "kind"), [("tinytl-lb", "lite residuals"), ("lora", "LoRA branches")])
def test_a_network_without_a_place_for_branches_is_told(scheme, kind):
    config = default.get_config()
    config.scheme, config.backbone.name, config.backbone.resolution = scheme, f"{OWN}:make", 32
    with pytest.raises(InputError, match=rf"own_network:make has no place for {kind}, which scheme {scheme} trains; "):
        Experiment(config).build_model(3)


def test_a_damaged_file_is_refused(tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"^Keras cannot load .*bad\.keras \(.*\); save the model again with "):
        build(f"file:{tmp_path}/bad.keras", **SIZES)


def test_without_keras_hub_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "keras_hub", None)
    with pytest.raises(InputError, match=r"^hub:resnet_18 needs keras-hub: pip install keras-hub "):
        build("hub:resnet_18", **SIZES)
