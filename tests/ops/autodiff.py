"""Compares our gradients with TensorFlow's automatic differentiation."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from hypothesis import settings
from hypothesis import strategies as st

__all__ = ["DTYPES", "HALVES", "assert_same", "draw", "images", "property_test", "value_and_gradients"]

DTYPES = ("float64", "float32")
HALVES = ("float16", "bfloat16")

# The largest sums here have about 1000 terms: that many half-ulps, and room for a few operations after the sum.
# Halves are judged on small integers, whose products and sums they hold exactly, unless an op divides.
TOLERANCE = {"float64": 1e-13, "float32": 1e-5, "float16": 0.0, "bfloat16": 0.0}

property_test = functools.partial(settings, derandomize=True, deadline=None, database=None)


def images(channels: Sequence[int] = (1, 2, 5), least: int = 1) -> st.SearchStrategy:
    """Shapes `(batch, height, width, channels)`, odd and even, from one pixel on."""
    size = st.integers(least, 9)
    return st.tuples(st.integers(1, 3), size, size, st.sampled_from(channels))


def draw(shape: Sequence[int], dtype: str, seed: int) -> tf.Tensor:
    """Numbers of a normal distribution, or -1, 0 and 1 where the dtype is a half."""
    random = np.random.default_rng(seed)
    values = random.integers(-1, 2, shape) if dtype in HALVES else random.standard_normal(shape)
    return tf.constant(values, dtype)


def value_and_gradients(fn: Callable, arguments: Sequence[tf.Tensor], dy: tf.Tensor) -> list:
    """Returns the value of `fn` and the gradient of each argument for the output's gradient `dy`."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(arguments)
        y = fn(*arguments)
    return [y, *tape.gradient(y, arguments, output_gradients=dy)]


def assert_same(
    ours: Callable,
    plain: Callable,
    arguments: Sequence[tf.Tensor],
    *,
    frozen: int = 0,
    graph: bool = False,
    tolerance: dict[str, float] = TOLERANCE,
    least: float = 0.0,
) -> None:
    """Compares value and gradients, relative to the largest number expected in each.

    Args:
        ours: the op.
        plain: the same function in TensorFlow's own operators.
        arguments: tensors, all of one dtype.
        frozen: number of arguments at the end whose gradient has to be `None`.
        graph: whether `ours` runs in a `tf.function` that does not know the batch.
        tolerance: by dtype.
        least: numbers below it are judged as if they were as large, for differences of such numbers.
    """
    dtype = arguments[0].dtype.name
    wide = [tf.cast(a, "float64" if dtype in HALVES else dtype) for a in arguments]
    dy = draw(plain(*wide).shape, dtype, seed=99)
    expected = value_and_gradients(plain, wide, tf.cast(dy, wide[0].dtype))
    got = _in_graph(ours, arguments, dy, frozen) if graph else value_and_gradients(ours, arguments, dy)
    live = len(got) - frozen
    assert got[live:] == [None] * frozen
    for mine, theirs in zip(got[:live], expected[:live], strict=True):
        assert mine.dtype == dtype
        assert mine.shape == theirs.shape
        scale = max(np.abs(theirs).max(), least) or 1.0
        np.testing.assert_allclose(tf.cast(mine, "float64"), theirs, rtol=0, atol=tolerance[dtype] * scale)


def _in_graph(fn: Callable, arguments: Sequence[tf.Tensor], dy: tf.Tensor, frozen: int) -> list:
    """`value_and_gradients` traced with an unknown batch; `None` cannot leave a function, so it is put back here."""
    x, *others = arguments

    def traced(x, dy):
        values = value_and_gradients(fn, [x, *others], dy)
        live = len(values) - frozen
        assert values[live:] == [None] * frozen
        return values[:live]

    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in (x, dy)]
    return [*tf.function(traced, input_signature=specs)(x, dy), *[None] * frozen]
