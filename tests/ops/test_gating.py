import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, assert_same, draw, images, property_test, value_and_gradients
from tests.ops.test_activations import BY_NAME, PLAIN
from tinytl_tf import ops


@property_test(max_examples=20)
@given(
    shape=images(),
    name=st.sampled_from([None, *PLAIN]),
    dtype=st.sampled_from(DTYPES),
    graph=st.booleans(),
    storage=st.sampled_from(["bool", "bytes", "bits"]),
)
def test_equals_autodiff(shape, name, dtype, graph, storage):
    batch, _, _, channels = shape
    activation, plain = (lambda x: x, lambda x: x) if name is None else (ops.ACTIVATIONS[name], PLAIN[name])
    gates = draw([batch, 1, 1, channels], dtype, seed=1)

    def fused(x, gates):
        with ops.mask_storage(storage if not graph else "bool"):  # numbers need a known batch
            return ops.gate(x, gates, None if name is None else activation)

    tolerance = BY_NAME.get(name, BY_NAME["relu"])
    assert_same(
        fused, lambda x, g: plain(x) * g, [draw(shape, dtype, seed=0) * 4, gates], graph=graph, tolerance=tolerance
    )


@pytest.mark.parametrize("rank", [2, 3])
def test_other_ranks(rank):
    x = draw((2, 5, 4)[-rank:] if rank == 3 else (2, 4), "float32", seed=0)
    gates = draw((2, 1, 4) if rank == 3 else (2, 4), "float32", seed=1)
    assert_same(lambda x, g: ops.gate(x, g, ops.silu), lambda x, g: tf.nn.silu(x) * g, [x, gates])


def test_a_tape_may_ask_twice():
    x, gates = draw([1, 3, 3, 2], "float32", seed=0), draw([1, 1, 1, 2], "float32", seed=1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, gates])
        y = ops.gate(x, gates, ops.relu6)
    first, second = (tape.gradient(y, [x, gates]) for _ in range(2))
    expected = value_and_gradients(lambda x, g: tf.nn.relu6(x) * g, [x, gates], tf.ones_like(x))[1:]
    for got in (first, second):
        for mine, theirs in zip(got, expected, strict=True):
            tf.debugging.assert_near(mine, theirs)
