"""`FrozenConv2D` against keras' Conv2D and BatchNormalization in inference mode."""

import itertools

import keras
import numpy as np
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tests.layers.keras_layer_test import run_layer_test
from tests.ops.test_kept import kept
from tinytl_tf.layers import FrozenConv1D, FrozenConv2D, FrozenDepthwiseConv1D, FrozenDepthwiseConv2D

# float64, so that nothing but a wrong formula can be told apart; float32 keeps about 1e-6 for sums of 100 terms.
TOLERANCE = {"float64": 1e-11, "float32": 1e-5}

SUBSETS = [names for n in range(4) for names in itertools.combinations(("kernel", "norm/gamma", "norm/beta"), n)]

# (height, width), kernel size, strides, padding
GEOMETRIES = [
    ((8, 8), 1, 1, "same"),
    ((9, 6), 3, 1, "same"),
    ((8, 8), 3, 2, "same"),
    ((7, 9), 3, 2, "same"),
    ((7, 6), 5, 2, "same"),
    ((8, 7), 7, 2, "same"),
    ((9, 8), 3, 2, "valid"),
    ((7, 7), 5, 1, "valid"),
    ((8, 6), 5, 2, ((2, 2), (2, 2))),
    ((6, 7), 3, 1, ((0, 1), (2, 0))),
    ((3, 3), 1, 2, "same"),
]


def pair(depthwise, geometry, channels, train, dtype):
    """Our layer and the plain Keras layers with the same, non-trivial variables."""
    size, kernel_size, strides, padding = geometry
    options = {"strides": strides, "padding": padding, "epsilon": 1e-2, "train": train, "dtype": dtype}
    ours = FrozenDepthwiseConv2D(kernel_size, **options) if depthwise else FrozenConv2D(5, kernel_size, **options)
    explicit = not isinstance(padding, str)
    common = {"strides": strides, "padding": "valid" if explicit else padding, "use_bias": False, "dtype": dtype}
    if depthwise:
        convolution = keras.layers.DepthwiseConv2D(kernel_size, **common)
    else:
        convolution = keras.layers.Conv2D(5, kernel_size, **common)
    norm = keras.layers.BatchNormalization(epsilon=1e-2, dtype=dtype)
    pad = keras.layers.ZeroPadding2D(padding if explicit else 0, dtype=dtype)

    def plain(x):
        return norm(convolution(pad(x)), training=False)

    x = random((2, *size, channels), dtype=dtype)
    ours(x), plain(x)
    variables = [ours.kernel, ours.norm.gamma, ours.norm.beta, ours.norm.moving_mean, ours.norm.moving_variance]
    theirs = [convolution.kernel, *norm.weights]
    for seed, (mine, his) in enumerate(zip(variables, theirs, strict=True)):
        value = random(mine.shape, seed, dtype)
        mine.assign(np.abs(value) + 0.1 if "variance" in mine.path else value)
        his.assign(mine)
    return x, ours, plain, dict(zip(("kernel", "norm/gamma", "norm/beta"), theirs, strict=False))


def check(depthwise, geometry, train, dtype):
    x, ours, plain, theirs = pair(depthwise, geometry, channels=3, train=train, dtype=dtype)
    chosen = [v for name in train for v in ours.trainable_variables if v.path.endswith(f"/{name}")]
    assert len(chosen) == len(train) == len(ours.trainable_variables)
    y, gradients = value_and_gradients(ours, x, chosen)
    expected, expected_gradients = value_and_gradients(plain, x, [theirs[name] for name in train])
    assert ours.compute_output_shape(x.shape) == tuple(expected.shape)
    for mine, his in zip([y, *gradients], [expected, *expected_gradients], strict=True):
        assert mine.dtype == dtype
        assert_close(mine, his, TOLERANCE[dtype])


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_equals_keras_for_every_geometry(depthwise, geometry):
    check(depthwise, geometry, ("norm/beta",), "float64")
    check(depthwise, geometry, ("kernel", "norm/gamma", "norm/beta"), "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
@pytest.mark.parametrize("train", SUBSETS, ids=lambda names: "+".join(names) or "nothing")
def test_equals_keras_for_every_subset_that_is_trained(train, depthwise, dtype):
    check(depthwise, ((7, 8), 3, 2, "same"), train, dtype)


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
def test_frozen_kernel_gets_no_gradient(depthwise):
    x, ours, *_ = pair(depthwise, GEOMETRIES[0], channels=3, train=["norm/beta"], dtype="float32")
    _, (dx, kernel_gradient) = value_and_gradients(ours, x, [ours.kernel])
    assert dx is not None
    assert kernel_gradient is None


# Keras' words for the layer, ours where they differ, and the shape of the input without its batch.
KERAS_WORDS = {
    "rectangular": ({"kernel_size": (1, 7), "padding": "valid"}, (6, 9, 4)),
    "strides": ({"kernel_size": (3, 2), "strides": (2, 1), "padding": "VALID"}, (7, 6, 4)),
    "dilation": ({"kernel_size": 3, "dilation_rate": (2, 1), "padding": "SAME", "use_bias": False}, (8, 7, 4)),
    "groups": ({"kernel_size": [3, 3], "strides": [2, 2], "groups": 2, "padding": "same"}, (7, 8, 4)),
    "causal": ({"kernel_size": 3, "dilation_rate": 2, "padding": "causal"}, (11, 4)),
    "signal": ({"kernel_size": (5,), "strides": 2, "padding": "same", "use_bias": False}, (12, 4)),
    "depthwise": ({"kernel_size": (3, 5), "strides": (2, 2), "padding": "same", "use_bias": False}, (7, 8, 4)),
    "depthwise dilation": ({"kernel_size": 3, "dilation_rate": 2, "padding": "valid"}, (7, 8, 4)),
    "depthwise signal": ({"kernel_size": 5, "strides": 2, "padding": "same"}, (12, 4)),
}
CLASSES = {
    ("plain", 3): (FrozenConv2D, keras.layers.Conv2D),
    ("plain", 2): (FrozenConv1D, keras.layers.Conv1D),
    ("depthwise", 3): (FrozenDepthwiseConv2D, keras.layers.DepthwiseConv2D),
    ("depthwise", 2): (FrozenDepthwiseConv1D, keras.layers.DepthwiseConv1D),
}


@pytest.mark.parametrize("case", KERAS_WORDS)
def test_takes_the_words_of_keras_without_a_norm(case):
    options, shape = KERAS_WORDS[case]
    kind = "depthwise" if case.startswith("depthwise") else "plain"
    ours_class, his_class = CLASSES[kind, len(shape)]
    options = {"use_bias": True, **options, "activation": "relu", "dtype": "float64"}
    options |= {} if kind == "depthwise" else {"filters": 8}
    names = ["kernel", "bias"] if options["use_bias"] else ["kernel"]
    ours, his = ours_class(**options, norm=False, train=names), his_class(**options)
    x = random((2, *shape))
    ours(x), his(x)
    assert [v.path.removeprefix(f"{ours.path}/") for v in ours.weights] == names
    for seed, (variable, theirs) in enumerate(zip(ours.weights, his.weights, strict=True)):
        variable.assign(random(variable.shape, seed))
        theirs.assign(variable)
    y, gradients = value_and_gradients(ours, x, ours.weights)
    expected, expected_gradients = value_and_gradients(his, x, his.weights)
    for mine, theirs in zip([y, *gradients], [expected, *expected_gradients], strict=True):
        assert_close(mine, theirs, TOLERANCE["float64"])
    again = ours_class.from_config(ours.get_config())
    again(x)
    again.set_weights(ours.get_weights())
    np.testing.assert_array_equal(again(x), y)
    assert again.train == tuple(names)
    assert ours.compute_output_shape((None, *shape)) == his.compute_output_shape((None, *shape))
    unknown = (None,) * len(shape) + shape[-1:]
    assert ours.compute_output_shape(unknown) == his.compute_output_shape(unknown)


@pytest.mark.parametrize("train", [("norm/beta",), ("kernel", "norm/gamma", "norm/beta")], ids=["beta", "all"])
@pytest.mark.parametrize("layer_class", [FrozenConv1D, FrozenDepthwiseConv1D])
def test_signals_have_norms_too(layer_class, train):
    """As an image of one row."""
    signal = layer_class(*([6] if layer_class is FrozenConv1D else []), kernel_size=3, strides=2, train=train)
    image_class = FrozenConv2D if layer_class is FrozenConv1D else FrozenDepthwiseConv2D
    image = image_class(*([6] if layer_class is FrozenConv1D else []), kernel_size=(1, 3), strides=(1, 2), train=train)
    x = random((2, 9, 4), dtype="float32")
    image(x[:, None]), signal(x)
    for seed, (variable, theirs) in enumerate(zip(signal.weights, image.weights, strict=True)):
        variable.assign(np.abs(random(variable.shape, seed)) + 0.1)
        theirs.assign(np.reshape(variable, theirs.shape))
    y, gradients = value_and_gradients(signal, x, signal.trainable_variables)
    expected, expected_gradients = value_and_gradients(lambda x: image(x[:, None])[:, 0], x, image.trainable_variables)
    for mine, theirs in zip([y, *gradients], [expected, *expected_gradients], strict=True):
        np.testing.assert_allclose(np.ravel(mine), np.ravel(theirs), atol=1e-5)


def test_activation_comes_after_the_norm_and_keeps_a_mask():
    layer = FrozenConv2D(5, 3, activation="relu6", train=["norm/beta"])
    plain = FrozenConv2D.from_config({**layer.get_config(), "activation": None, "name": "plain"})
    x = 9 * random((2, 6, 6, 3), dtype="float32")
    layer(x), plain(x)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(x), np.clip(plain(x), 0, 6))
    assert kept(layer, (2, 6, 6, 3)) == [("bool", (2, 6, 6, 5))]
    assert kept(FrozenConv2D(5, 3, norm=False, use_bias=True, train=["bias"]), (2, 6, 6, 3)) == []


@pytest.mark.parametrize("layer_class", [FrozenConv2D, FrozenDepthwiseConv2D])
def test_a_file_of_an_older_version_is_read(layer_class):
    """Its configuration has one number for both directions and none of the newer arguments."""
    old = {"name": "conv", "train": ["norm/beta"], "kernel_size": 3, "strides": 2, "padding": "same", "epsilon": 0.01}
    layer = layer_class.from_config(old | ({"filters": 8} if layer_class is FrozenConv2D else {}))
    layer(keras.Input((8, 8, 8)))
    assert [v.path for v in layer.variables] == [
        "conv/kernel",
        "conv/norm/gamma",
        "conv/norm/beta",
        "conv/norm/moving_mean",
        "conv/norm/moving_variance",
    ]
    assert (layer.kernel_size, layer.strides, layer.norm.epsilon) == ((3, 3), (2, 2), 0.01)
    assert layer.compute_output_shape((None, 8, 8, 8)) == (None, 4, 4, 8)


QUICK = ("all", "signal")
LAYER_TESTS = {
    "plain": (FrozenConv2D, {"filters": 8, "kernel_size": 3, "train": ["norm/beta"]}, (8, 8, 16), (8, 8, 8)),
    "all": (
        FrozenConv2D,
        {
            **{"filters": 8, "kernel_size": (3, 2), "strides": (2, 1), "padding": "VALID", "groups": 4},
            **{"norm": False, "use_bias": True, "activation": "relu", "train": ["kernel", "bias"]},
        },
        (8, 8, 16),
        (3, 7, 8),
    ),
    "explicit padding, nothing added": (
        FrozenConv2D,
        {"filters": 8, "kernel_size": 3, "padding": ((1, 0), (0, 1)), "norm": False, "train": ["kernel"]},
        (8, 8, 16),
        (7, 7, 8),
    ),
    "depthwise": (
        FrozenDepthwiseConv2D,
        {"kernel_size": 3, "dilation_rate": 2, "norm": False, "use_bias": True, "train": ["kernel", "bias"]},
        (8, 8, 16),
        (8, 8, 16),
    ),
    "signal": (
        FrozenConv1D,
        {"filters": 8, "kernel_size": 3, "padding": "causal", "activation": "relu6", "train": ["norm/beta"]},
        (8, 16),
        (8, 8),
    ),
    "depthwise signal": (
        FrozenDepthwiseConv1D,
        {"kernel_size": 3, "strides": 2, "padding": (1, 1), "train": ["norm/beta"]},
        (8, 16),
        (4, 16),
    ),
}


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.thorough) for case in LAYER_TESTS]
)
def test_passes_the_layer_test_of_keras(case):
    layer_class, options, shape, output_shape = LAYER_TESTS[case]
    run_layer_test(layer_class, options, (2, *shape), (2, *output_shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters must be an integer above 0, got 0"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size must be an integer above 0 or a pair of them, got (3, 3, 3)"),
        ({"kernel_size": (3, 0)}, "kernel_size must be an integer above 0 or a pair of them, got (3, 0)"),
        ({"strides": 1.0}, "strides must be an integer above 0 or a pair of them, got 1.0"),
        ({"padding": "full"}, 'padding must be "same", "valid" or ((top, bottom), (left, right)), got \'full\''),
        ({"padding": "causal"}, 'padding must be "same", "valid" or ((top, bottom), (left, right)), got \'causal\''),
        ({"padding": 1}, 'padding must be "same", "valid" or ((top, bottom), (left, right)), got 1'),
        ({"strides": 2, "dilation_rate": 3}, "dilation_rate must be 1 where strides are (2, 2), got (3, 3)"),
        ({"groups": 3}, "groups must divide filters, got 3 groups and 8 filters"),
        ({"use_bias": True}, "use_bias must be False with a norm, whose beta is a bias; or give norm=False"),
        ({"activation": "swish2"}, "activation must be None or one of ["),
        ({"data_format": "channels_first"}, "data_format must be 'channels_last', got 'channels_first'; transpose"),
        ({"kernel_regularizer": "l2"}, "kernel_regularizer must be None, got 'l2'; leave it out"),
        ({"kernel_initializer": "zeros"}, "kernel_initializer must be None, got 'zeros'; assign"),
        ({"depth_multiplier": 2}, "depth_multiplier must be 1, got 2; repeat the input's channels"),
    ],
)
def test_refuses_wrong_arguments_at_once(arguments, message):
    with pytest.raises(ValueError) as error:
        FrozenConv2D(**{"filters": 8, "kernel_size": 3, **arguments})
    assert str(error.value).startswith(message)


def test_refuses_groups_of_a_depthwise_convolution_and_pairs_of_a_signal():
    with pytest.raises(ValueError, match="groups must not be given"):
        FrozenDepthwiseConv2D(3, groups=2)
    with pytest.raises(ValueError, match=r"kernel_size must be an integer above 0 or a tuple of one, got \(3, 3\)"):
        FrozenConv1D(8, (3, 3))


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (None, None, 8, 3), "conv needs a known height and width of 1 or more, got (None, 8)"),
        ({}, (None, 2, 8, 3), "a window of (3, 3) is larger than input (2, 8) with padding ((0, 0), (0, 0))"),
        ({"groups": 2}, (None, 8, 8, 3), "groups must divide the input's channels in conv, got 2 groups of 3"),
    ],
)
def test_refuses_wrong_inputs(options, shape, message):
    with pytest.raises(ValueError) as error:
        FrozenConv2D(8, 3, padding="valid", name="conv", **options)(keras.Input(batch_shape=shape))
    assert message in str(error.value)


def test_refuses_a_signal_of_unknown_length():
    with pytest.raises(ValueError, match=r"conv needs a known length of 1 or more, got \(None,\)"):
        FrozenConv1D(8, 3, name="conv")(keras.Input((None, 3)))
