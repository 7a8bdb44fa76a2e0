import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, HALVES, assert_same, draw, images, property_test
from tinytl_tf import ops


@property_test(max_examples=80)
@given(shape=images(), dtype=st.sampled_from(DTYPES + HALVES), scaled=st.booleans(), graph=st.booleans())
def test_equals_autodiff(shape, dtype, scaled, graph):
    vectors = [draw(shape[3:], dtype, seed=seed) for seed in range(1, 3 if scaled else 2)]
    assert_same(
        ops.affine,
        lambda x, shift, scale=1.0: x * scale + shift,
        [draw(shape, dtype, seed=0), *vectors],
        graph=graph and dtype in DTYPES,
    )


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 5)])
def test_other_ranks_and_no_shift(shape):
    x, vector = draw(shape, "float32", seed=0), draw([5], "float32", seed=1)
    assert_same(ops.affine, lambda x, shift: x + shift, [x, vector])
    assert_same(lambda x, scale: ops.affine(x, None, scale), lambda x, scale: x * scale, [x, vector])


@pytest.mark.parametrize("kind", [tf.Variable, keras.Variable])
def test_vectors_held_in_variables(kind):
    x = draw([2, 3, 4, 5], "float32", seed=0)
    shift, scale = kind(tf.ones([5])), kind(tf.ones([5]))
    with tf.GradientTape() as tape:
        y = ops.affine(x, shift, scale)
    raw = [v.value if kind is keras.Variable else v for v in (shift, scale)]
    dshift, dscale = tape.gradient(y, raw)
    np.testing.assert_allclose(dshift, [24.0] * 5)
    np.testing.assert_allclose(dscale, tf.reduce_sum(x, [0, 1, 2]), atol=1e-5)
