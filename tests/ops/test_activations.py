import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, HALVES, TOLERANCE, assert_same, draw, images, property_test
from tinytl_tf.ops import ACTIVATIONS

PLAIN = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "hard_swish": lambda x: x * tf.nn.relu6(x + 3.0) / 6.0,
}
# A half rounds after each of the four operations of hard-swish, half an ulp each (2**-11 and 2**-8).
ROUNDED = TOLERANCE | {"float16": 4 * 2**-11, "bfloat16": 4 * 2**-8}
# The values at which a branch changes, both zeros, and their neighbors.
EDGES = [
    0.0,
    -0.0,
    3.0,
    -3.0,
    6.0,
    -6.0,
    1e-6,
    -1e-6,
    5.99999,
    6.00001,
    2.99999,
    3.00001,
    -2.99999,
    -3.00001,
    1e30,
    -1e30,
]


def test_every_activation_is_judged():
    assert ACTIVATIONS.keys() == PLAIN.keys()


@pytest.mark.parametrize("name", PLAIN)
@property_test(max_examples=40)
@given(shape=images(), dtype=st.sampled_from(DTYPES + HALVES), graph=st.booleans())
def test_equals_autodiff(name, shape, dtype, graph):
    x = draw(shape, dtype, seed=0) * 4
    assert_same(ACTIVATIONS[name], PLAIN[name], [x], graph=graph and dtype in DTYPES, tolerance=ROUNDED)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PLAIN)
def test_edges(name, dtype):
    values = [x for x in EDGES if name != "hard_swish" or abs(x) < 1e30]  # 1e30 squared is infinite in float32.
    assert_same(ACTIVATIONS[name], PLAIN[name], [tf.constant(values, dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_the_smallest_numbers_have_a_gradient(name, dtype):
    """A dead feature of a network that begins is a bias of 1e-8: to take it for zero would keep the bias there."""
    tiny, below_six = np.finfo(dtype).tiny, np.nextafter(np.array(6, dtype), 0)
    x = tf.constant([tiny, -tiny, 1e-8, 1e-6, below_six], dtype)
    assert_same(ACTIVATIONS[name], PLAIN[name], [x])


@pytest.mark.parametrize("name", PLAIN)
def test_any_rank(name):
    for shape in ([], [3], [2, 3]):
        assert_same(ACTIVATIONS[name], PLAIN[name], [draw(shape, "float32", seed=0)])
