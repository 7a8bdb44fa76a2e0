"""Storage of activations for the backward pass: a mask, as bool, bytes or bits, or the input.

A mask here is a float tensor of zeros and ones. Comparisons, selects and casts of bools run outside XNNPACK in LiteRT
and cut the graph into pieces there, so an exported file keeps a mask as numbers and computes it with arithmetic only.

Worked example: a ReLU6 with an output of float32 `[1, 48, 48, 16]`, 147,456 bytes. The storage `"bytes"` keeps a mask
of 36,864 bytes for backward, `"bits"` one of 4,608:

    mask       float32 [1, 48, 48, 16]  1 where 0 < y < 6
    slabs      float32 [1, 8, 144, 32]  the same elements as 8 slabs
    packed     uint8   [1, 1, 144, 32]  slab 0 + 2 slab 1 + ... + 128 slab 7: this is kept
    unpacked   float32 [1, 8, 144, 32]  bit k: the fraction of packed / 2^(k + 1) is at least one half
    gradient   float32 [1, 48, 48, 16]  dy times the unpacked mask
"""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

__all__ = ["keep_input", "keep_mask", "mask_storage", "storage_at_once"]

_BITS = 8
_WORTH_ROWS = 4096  # elements; below it the records of six operators take more than the bits save
_LANES = 32  # channels of the depthwise convolution that packs; any number that divides and fills a vector register
# Beyond it a product with any output of an activation is over 1, unless that is below 1e-30.
_HUGE = 1e30
# Raises a fraction of exactly one half, which would round to even; smaller fractions stay below one half or one.
_ABOVE_ONE = np.float32(1 + 2**-16)
_HALVES = _ABOVE_ONE * 0.5 ** np.arange(1, _BITS + 1, dtype=np.float32)

_storage = contextvars.ContextVar("mask_storage", default=("bool", False))


@contextlib.contextmanager
def mask_storage(storage: str, *, wait: bool = True) -> Iterator[None]:
    """Sets how the activations that are traced within keep their masks.

    Args:
        storage: `"bool"`, the fastest in TensorFlow; `"bytes"`, the fewest operators in LiteRT; `"bits"`, an eighth of
            their memory; `"rows"`, the same with neighbors in a byte, as a product with a matrix, which is for
            TensorFlow Lite Micro; `"floats"`, for masks that are used at once. Masks of a number of elements that is
            not a multiple of 256 (`"rows"`: of 8, or below 4096) stay bytes.
        wait: whether masks that are numbers are tied to the gradient that they are for. With a delegate the runtime
            runs all that can run, so all masks of the network would exist as floats at once. Without one it keeps to
            the order of the file, and the five operators of a tie are for nothing.

    Example:
    >>> with mask_storage("bits"):  # doctest: +SKIP
    ...     logits = model(images)
    """
    if storage not in ("bool", "bytes", "bits", "rows", "floats"):
        raise ValueError(f'storage must be "bool", "bytes", "bits", "rows" or "floats", got {storage!r}')
    token = _storage.set((storage, wait))
    try:
        yield
    finally:
        _storage.reset(token)


def storage_at_once() -> str:
    """Returns the storage of masks that are computed in backward and read at once; call it in the forward pass."""
    return "bool" if _storage.get()[0] == "bool" else "floats"


def keep_mask(y: tf.Tensor, ceiling: float | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Keeps where `0 < y`, and `y < ceiling` if there is one.

    Args:
        y: output of an activation, from 0 to `ceiling`. Float32 where masks are stored as numbers; outputs
            below 1e-30 then count as their rounded values.
        ceiling: the largest output, or `None`.

    Returns:
        A function from an output gradient to the input gradient: zero where the mask is.
    """
    storage, wait = _storage.get()
    if storage == "bool" or y.dtype != tf.float32:
        mask = y > 0 if ceiling is None else tf.logical_and(y > 0, y < ceiling)
        # A product: selects are slow in TensorFlow.
        return lambda dy: dy * tf.cast(mask, dy.dtype)
    slope = _HUGE if ceiling is None else (ceiling - y) * _HUGE
    # Never negative, so that -1 bounds nothing; the converter knows the range -1 to 1 and puts it into the product.
    mask = tf.minimum(tf.maximum(y * slope, -1.0), 1.0)
    if storage == "floats":
        return lambda dy: dy * mask
    size = math.prod(y.shape)
    if storage == "rows" and size % _BITS == 0 and size >= _WORTH_ROWS:
        kept = _pack_rows(mask, size)
        return lambda dy: dy * tf.reshape(_unpack_rows(_tied(kept, dy) if wait else kept), dy.shape)
    if storage != "bits" or size % (_BITS * _LANES):
        kept = tf.cast(mask, tf.uint8)
        return lambda dy: dy * tf.cast(_tied(kept, dy) if wait else kept, tf.float32)
    kept = _pack(mask, size)
    return lambda dy: dy * tf.reshape(_unpack(_tied(kept, dy) if wait else kept), dy.shape)


def keep_input(x: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Keeps the input of an activation that computes its forward pass again in backward.

    Compilers merge two equal computations into one, whose result then waits for backward in addition to `x`. A
    sum with a zero of the gradient stops the converter to LiteRT; TensorFlow respects a control dependency.

    Args:
        x: float tensor.

    Returns:
        A function from an output gradient of the shape of `x` to `x`, as a tensor that does not exist before that
        gradient.
    """
    storage, _ = _storage.get()
    if storage == "floats":
        return lambda dy: x
    if storage == "bool":

        def again(dy):
            with tf.control_dependencies([dy]):
                return tf.identity(x)

        return again
    return lambda dy: x + _zero_of(dy)


def _zero_of(dy: tf.Tensor) -> tf.Tensor:
    """A zero, or NaN for a gradient that begins with NaN, that cannot exist before a gradient does."""
    return tf.minimum(tf.abs(tf.slice(dy, [0] * dy.shape.rank, [1] * dy.shape.rank)), 0.0)


def _tied(kept: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """The same bytes, but they cannot exist before a gradient does."""
    return tf.bitwise.bitwise_xor(kept, tf.cast(_zero_of(dy), tf.uint8))


def _pack(mask: tf.Tensor, size: int) -> tf.Tensor:
    """Eight slabs of the mask in the bits of one: a sum of slabs times powers of two, as a depthwise convolution."""
    slabs = tf.reshape(mask, [1, _BITS, size // (_BITS * _LANES), _LANES])
    powers = np.tile(2.0 ** np.arange(_BITS, dtype=np.float32)[:, None, None, None], (1, 1, _LANES, 1))
    return tf.cast(tf.nn.depthwise_conv2d(slabs, powers, [1, 1, 1, 1], "VALID"), tf.uint8)


def _unpack(packed: tf.Tensor) -> tf.Tensor:
    """The slabs again."""
    return _bits_of(packed, _HALVES[None, :, None, None])


def _pack_rows(mask: tf.Tensor, size: int) -> tf.Tensor:
    """Eight neighbors of the mask in the bits of one: a product with powers of two."""
    powers = 2.0 ** np.arange(_BITS, dtype=np.float32)[:, None]
    return tf.cast(tf.matmul(tf.reshape(mask, [size // _BITS, _BITS]), powers), tf.uint8)


def _unpack_rows(packed: tf.Tensor) -> tf.Tensor:
    """The rows of eight again."""
    return _bits_of(packed, _HALVES[None])


def _bits_of(packed: tf.Tensor, halves: np.ndarray) -> tf.Tensor:
    """Bit k of p is set if the fraction of p / 2**(k + 1) is at least a half."""
    shifted = tf.cast(packed, tf.float32) * halves
    # In this form two tensors of the full size exist at once; as the difference of ROUND and FLOOR it were three.
    return tf.round(shifted - tf.floor(shifted))
