"""`LayerNorm` against keras' LayerNormalization."""

import keras
import pytest

from tests.layers.gradients import assert_close, random, value_and_gradients
from tinytl_tf.layers import LayerNorm


@pytest.mark.parametrize("shape", [(3, 12), (2, 5, 12), (2, 3, 4, 12)])
@pytest.mark.parametrize(("center", "scale"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_equals_keras(shape, center, scale, dtype, tolerance):
    x = random(shape, dtype=dtype)
    train = [name for name, there in (("gamma", scale), ("beta", center)) if there]
    ours = LayerNorm(1e-2, center=center, scale=scale, train=train, dtype=dtype)
    plain = keras.layers.LayerNormalization(epsilon=1e-2, center=center, scale=scale, dtype=dtype)
    ours(x), plain(x)
    for seed, (mine, his) in enumerate(zip(ours.weights, plain.weights, strict=True)):
        assert mine.name == his.name
        mine.assign(random(mine.shape, seed, dtype))
        his.assign(mine)
    y, gradients = value_and_gradients(ours, x, ours.weights)
    expected, theirs = value_and_gradients(plain, x, plain.weights)
    for mine, his in zip([y, *gradients], [expected, *theirs], strict=True):
        assert_close(mine, his, tolerance)


def test_epsilon_is_that_of_keras():
    x = random((2, 8)) * 1e-2
    assert_close(LayerNorm(dtype="float64")(x), keras.layers.LayerNormalization(dtype="float64")(x), 1e-12)


def test_refuses_another_rank():
    with pytest.raises(ValueError, match="expected max_ndim=4, found ndim=5"):
        LayerNorm()(random((1, 1, 1, 2, 3)))
