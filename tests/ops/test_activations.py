import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, HALVES, TOLERANCE, assert_same, draw, images, property_test, value_and_gradients
from tinytl_tf.ops import ACTIVATIONS, leaky_relu

PLAIN = {
    "relu": keras.activations.relu,
    "relu6": keras.activations.relu6,
    "leaky_relu": keras.activations.leaky_relu,
    "hard_sigmoid": keras.activations.hard_sigmoid,
    "hard_swish": keras.activations.hard_silu,
    "sigmoid": tf.sigmoid,  # Keras' puts an attribute on the tensor, which an eager one does not take.
    "tanh": keras.activations.tanh,
    "elu": keras.activations.elu,
    "silu": keras.activations.silu,
    "gelu": lambda x: keras.activations.gelu(x, approximate=False),
    "gelu_tanh": lambda x: keras.activations.gelu(x, approximate=True),
}
# A half rounds after each of the four operations of hard-swish, half an ulp each (2**-11 and 2**-8).
ROUNDED = TOLERANCE | {"float16": 4 * 2**-11, "bfloat16": 4 * 2**-8}
# The polynomial of GELU has numbers of alternating signs up to three times its sum, and eleven roundings.
BY_NAME = dict.fromkeys(PLAIN, ROUNDED) | {
    # TensorFlow rounds a coefficient to float32, for doubles too.
    "gelu_tanh": ROUNDED | {"float64": 1e-8},
    # The formula of the error function is off by 1.5e-7.
    "gelu": {"float64": 1e-6, "float32": 1e-5, "float16": 16 * 2**-11, "bfloat16": 16 * 2**-8},
}
SQUARES = ("hard_swish", "gelu_tanh")  # 1e30 squared is infinite in float32, for TensorFlow's gradient too.
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
    assert_same(
        ACTIVATIONS[name],
        PLAIN[name],
        [x],
        graph=graph and dtype in DTYPES,
        tolerance=BY_NAME[name],
        least=1.0 if dtype in HALVES else 0.0,  # A tanh near one: what is left of a half's slope is the last digit.
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PLAIN)
def test_edges(name, dtype):
    values = [x for x in EDGES if name not in SQUARES or abs(x) < 1e30]
    assert_same(ACTIVATIONS[name], PLAIN[name], [tf.constant(values, dtype)], tolerance=BY_NAME[name])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu"])
def test_the_smallest_numbers_have_a_gradient(name, dtype):
    """A dead feature of a network that begins is a bias of 1e-8: to take it for zero would keep the bias there."""
    tiny, below_six = np.finfo(dtype).tiny, np.nextafter(np.array(6, dtype), 0)
    x = tf.constant([tiny, -tiny, 1e-8, 1e-6, below_six], dtype)
    assert_same(ACTIVATIONS[name], PLAIN[name], [x])


@pytest.mark.parametrize("name", PLAIN)
def test_any_rank(name):
    for shape in ([], [3], [2, 3]):
        assert_same(ACTIVATIONS[name], PLAIN[name], [draw(shape, "float32", seed=0)])


@pytest.mark.parametrize("slope", [0.3, 0.0, -0.5])
def test_leaky_relu_takes_a_slope(slope):
    x = draw([3, 40], "float32", seed=0)
    assert_same(lambda x: leaky_relu(x, slope), lambda x: keras.activations.leaky_relu(x, slope), [x])


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu_tanh"])
def test_large_numbers_have_their_limits(name):
    x = tf.constant([-1e18, -200.0, -40.0, 40.0, 200.0, 1e18])
    y, dx = value_and_gradients(ACTIVATIONS[name], [x], tf.ones([6]))
    np.testing.assert_array_equal(y, tf.nn.relu(x) if name != "silu" else x * tf.sigmoid(x))
    np.testing.assert_allclose(dx, [0, 0, 0, 1, 1, 1], atol=1e-12)
