import numpy as np
import pytest
import tensorflow as tf

from tests.litert import convert, run
from tests.ops.test_kept import kept
from tinytl_tf import ops

NUMBERS = ("bytes", "bits", "rows", "floats")
ACTIVATIONS = {"relu": ops.relu, "relu6": ops.relu6}
DIVISIBLE = [(1, 16, 16, 1), (2, 8, 8, 16), (1, 1, 1, 256), (3, 256), (1, 7, 5, 256)]
OTHERS = [(1, 5, 5, 3), (255,), (1, 4, 4, 8), (1, 1, 1, 1)]
# Both sides of each edge as near as float32 goes, and the far ends. Below 1e-30 an output is zero or not by rounding.
EDGES = np.float32([0.0, -0.0, 6.0, 1e-30, 1e-20, -1e-30, -1e-45, 1e30, -1e30, 3e38, -3e38, 1.0, -1.0, 3.0])
EDGES = np.concatenate([EDGES, np.nextafter(np.float32(6), np.float32([0, 9])), np.nextafter(EDGES[:1], EDGES[:1] - 1)])


def gradient(activation, storage, x, dy):
    """The input gradient for an output gradient."""
    x = tf.constant(x)
    with tf.GradientTape() as tape, ops.mask_storage(storage):
        tape.watch(x)
        y = activation(x)
    return tape.gradient(y, x, output_gradients=tf.constant(dy)).numpy()


def drawn(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * 4).astype(np.float32), rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [*DIVISIBLE, *OTHERS])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_all_storages_give_the_same_gradient(name, shape):
    x, dy = drawn(shape)
    expected = gradient(ACTIVATIONS[name], "bool", x, dy)
    if expected.size > 1:
        assert 0 < np.count_nonzero(expected) < expected.size
    for storage in NUMBERS:
        np.testing.assert_array_equal(gradient(ACTIVATIONS[name], storage, x, dy), expected)


@pytest.mark.parametrize("storage", ["bool", *NUMBERS])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("size", [256, 255, 4104])  # "rows" packs from 4096 on
def test_edges(name, storage, size):
    """Every edge at every one of the eight places that share a byte."""
    for start in range(8 if size % 8 == 0 else 1):
        x = np.resize(np.roll(np.repeat(EDGES, 3), start * 5), size)
        dy = drawn([size])[1]
        inside = (x > 0) & ((x < 6) | (name == "relu"))
        np.testing.assert_array_equal(gradient(ACTIVATIONS[name], storage, x, dy), np.where(inside, dy, 0))


@pytest.mark.parametrize("size", [256, 255])
@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("place", [0, 100])
@pytest.mark.parametrize("storage", ["bool", *NUMBERS])
def test_a_gradient_that_is_not_finite_is_not_hidden(storage, size, bad, place):
    """So that `train` refuses the step; every storage may spoil more, but none less, than the plain product."""
    x, dy = np.ones(size, np.float32), drawn([size])[1]
    x[::3] = -1
    for inside in (True, False):
        x[place] = 1 if inside else -1
        dy[place] = bad
        found = gradient(ops.relu6, storage, x, dy)
        assert not np.isfinite(found[place])
        if place:
            others = np.arange(size) != place
            np.testing.assert_array_equal(found[others], np.where(x > 0, dy, 0)[others])


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize(
    ("storage", "shape", "expected"),
    [
        ("bool", (2, 8, 8, 16), ("bool", (2, 8, 8, 16))),
        ("bytes", (2, 8, 8, 16), ("uint8", (2, 8, 8, 16))),
        ("bits", (2, 8, 8, 16), ("uint8", (1, 1, 8, 32))),
        ("bits", (1, 7, 5, 256), ("uint8", (1, 1, 35, 32))),
        ("bits", (1, 5, 5, 3), ("uint8", (1, 5, 5, 3))),
    ],
)
def test_what_is_kept(activation, storage, shape, expected):
    def op(x):
        with ops.mask_storage(storage):
            return activation(x)

    assert kept(op, shape) == [expected]
    if storage == "bits" and np.prod(shape) % 256 == 0:
        assert np.prod(expected[1]) == np.prod(shape) // 8


@pytest.mark.parametrize("storage", NUMBERS)
@pytest.mark.parametrize("shape", [(1, 8, 8, 16), (1, 5, 5, 3)])
def test_litert_gives_the_same(storage, shape):
    def fn(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            with ops.mask_storage(storage):
                y = ops.relu6(x)
        return {"y": y, "dx": tape.gradient(y, x, output_gradients=dy)}

    model = convert(fn, [tf.TensorSpec(shape, name="x"), tf.TensorSpec(shape, name="dy")])
    x, dy = drawn(shape, seed=1)
    x.ravel()[: len(EDGES)] = np.resize(EDGES, min(x.size, len(EDGES)))
    for xnnpack in (False, True):
        outputs = run(model, {"x": x, "dy": dy}, xnnpack=xnnpack)
        np.testing.assert_array_equal(outputs["y"], np.clip(x, 0, 6))
        np.testing.assert_array_equal(outputs["dx"], np.where((x > 0) & (x < 6), dy, 0))


def test_doubles_keep_a_comparison():
    x, dy = drawn((2, 256))
    for storage in NUMBERS:
        found = gradient(ops.relu6, storage, x.astype(np.float64), dy.astype(np.float64))
        np.testing.assert_array_equal(found, np.where((x > 0) & (x < 6), dy, 0))


def test_storage_ends_with_its_block_and_is_checked():
    assert kept(ops.relu, (1, 256)) == [("bool", (1, 256))]
    with pytest.raises(RuntimeError), ops.mask_storage("bits"):
        raise RuntimeError
    assert kept(ops.relu, (1, 256)) == [("bool", (1, 256))]
    with pytest.raises(ValueError) as error, ops.mask_storage("nibbles"):
        pass
    assert str(error.value) == 'storage must be "bool", "bytes", "bits", "rows" or "floats", got \'nibbles\''
