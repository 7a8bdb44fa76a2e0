"""`LoRA` against the two products written plainly, and Keras' own test of a layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.gradients import assert_close, random, value_and_gradients
from tests.layers.keras_layer_test import run_layer_test
from tinytl_tf.layers import LoRA


@pytest.mark.parametrize("train", [("a", "b"), ("b",), ("a",), ()], ids=str)
@pytest.mark.parametrize(
    ("shape", "filters", "alpha", "scale"),
    [((3, 6), 5, None, 1.0), ((2, 4, 6), (3, 2), 6, 2.0), ((2, 4, 3, 6), 5, 1.5, 0.5)],
    ids=["rows", "tokens", "image"],
)
def test_equals_the_products(shape, filters, alpha, scale, train):
    layer = LoRA(filters, rank=3, alpha=alpha, train=train, dtype="float64")
    x = random(shape)
    layer.build(shape)
    layer.b.assign(random(layer.b.shape, 1))
    variables = {"a": layer.a, "b": layer.b}
    y, gradients = value_and_gradients(layer, x, [variables[name] for name in train])

    def plain(x):
        return scale * tf.tensordot(tf.tensordot(x, layer.a.value, 1), layer.b.value, 1)

    expected, theirs = value_and_gradients(plain, x, [variables[name] for name in train])
    for ours, plain_one in zip([y, *gradients], [expected, *theirs], strict=True):
        assert_close(ours, plain_one, 1e-12)  # float64 sums of at most 24 products
    assert layer.compute_output_shape(shape) == tuple(y.shape)
    if "a" not in train:  # its gradient is not computed: `x` need not be kept
        assert value_and_gradients(layer, x, [layer.a])[1][1] is None


def test_starts_as_zero_and_a_is_drawn_as_in_the_released_code():
    keras.utils.set_random_seed(0)
    layer = LoRA(8, rank=16, train=["a", "b"])
    assert not np.any(layer(random((2, 400), dtype="float32")))
    assert 0.99 / 20 < np.abs(layer.a).max() <= 1 / 20  # of 6400 draws up to the root of 1/400
    assert abs(np.mean(layer.a)) < 2e-3


@pytest.mark.parametrize("shape", [(2, 6), (2, 5, 6), (2, 4, 3, 6)], ids=["rows", "tokens", "image"])
def test_keras_own_test_of_a_layer(shape):
    arguments = {"filters": 4, "rank": 2, "alpha": 3.0, "train": ["b"]}
    run_layer_test(LoRA, arguments, shape, (*shape[:-1], 4))


@pytest.mark.parametrize("arguments", [{"filters": 0}, {"filters": (2, 0)}, {"filters": 4, "rank": 0}], ids=str)
def test_refuses_sizes_that_are_none(arguments):
    with pytest.raises(ValueError, match="must be an integer above 0, got 0"):
        LoRA(**arguments)
