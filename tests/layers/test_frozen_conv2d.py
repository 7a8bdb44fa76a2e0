"""`FrozenConv2D` against keras' Conv2D and BatchNormalization in inference mode."""

import itertools

import keras
import numpy as np
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import FrozenConv2D, FrozenDepthwiseConv2D

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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters must be an integer above 0, got 0"),
        ({"kernel_size": (3, 3)}, "kernel_size must be an integer above 0, got (3, 3)"),
        ({"strides": 1.0}, "strides must be an integer above 0, got 1.0"),
        ({"padding": "SAME"}, 'padding must be "same", "valid" or ((top, bottom), (left, right)), got \'SAME\''),
        ({"padding": 1}, 'padding must be "same", "valid" or ((top, bottom), (left, right)), got 1'),
    ],
)
def test_refuses_wrong_arguments_at_once(arguments, message):
    with pytest.raises(ValueError) as error:
        FrozenConv2D(**{"filters": 8, "kernel_size": 3, **arguments})
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, None, 8, 3), "conv needs a known height and width of 1 or more, got (None, 8)"),
        ((None, 2, 8, 3), "kernel (3, 3) is larger than input (2, 8) with padding ((0, 0), (0, 0))"),
    ],
)
def test_refuses_wrong_inputs(shape, message):
    with pytest.raises(ValueError) as error:
        FrozenConv2D(8, 3, padding="valid", name="conv")(keras.Input(batch_shape=shape))
    assert message in str(error.value)
