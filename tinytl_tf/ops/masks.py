"""Storage for the backward pass of activations: a mask, as bools, bytes or bits, or the input.

A mask here is a float tensor of zeros and ones. In LiteRT, comparisons, selects and casts of bools run outside XNNPACK
and split the graph into pieces. Therefore an exported file keeps a mask as numbers and computes it with arithmetic
only.

Example: a ReLU6 with a float32 output of `[1, 48, 48, 16]`, 147,456 bytes. For backward, the storage `"bytes"` keeps a
mask of 36,864 bytes, and `"bits"` keeps one of 4,608 bytes:

    mask       float32 [1, 48, 48, 16]  1 where 0 < y < 6
    slabs      float32 [1, 8, 144, 32]  the same elements as 8 slabs
    packed     uint8   [1, 1, 144, 32]  slab 0 + 2 slab 1 + ... + 128 slab 7; this is kept
    unpacked   float32 [1, 8, 144, 32]  bit k is 1 if the fraction of packed / 2^(k + 1) is at least one half
    gradient   float32 [1, 48, 48, 16]  dy times the unpacked mask
"""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

__all__ = ["keep_bytes", "keep_input", "keep_mask", "mask_storage", "storage_at_once"]

_BITS = 8
_WORTH_ROWS = 4096  # elements; for fewer, the records of six operators take more memory than the bits save
_LANES = 32  # channels of the packing convolution; any number that divides the size and fills a vector register
# Its product with any activation output of 1e-30 or more is 1 or more.
_HUGE = 1e30
# Raises a fraction of exactly one half, which would round to even; smaller fractions stay below one half or one.
_ABOVE_ONE = np.float32(1 + 2**-16)
_HALVES = _ABOVE_ONE * 0.5 ** np.arange(1, _BITS + 1, dtype=np.float32)

_storage = contextvars.ContextVar("mask_storage", default=("bool", False))


@contextlib.contextmanager
def mask_storage(storage: str, *, wait: bool = True) -> Iterator[None]:
    """Sets how activations traced inside the context store their masks.

    Args:
        storage: one of the following. `"bool"` is the fastest in TensorFlow. `"bytes"` takes the fewest operators in
            LiteRT. `"bits"` takes an eighth of the memory of `"bytes"`. `"rows"` takes as little, packs neighbors into
            a byte by a matrix product, and is for TensorFlow Lite Micro. `"floats"` is for masks that are used
            immediately. With `"bits"`, a mask is stored as bytes if its number of elements is not a multiple of 256;
            with `"rows"`, if it is not a multiple of 8 or is below 4096.
        wait: whether masks stored as numbers are unpacked only after the gradient that they apply to exists. With a
            delegate, the runtime runs every operator as soon as it can, so without waiting, all masks of the network
            would exist as floats at the same time. Without a delegate, the runtime follows the order of the file, and
            the five operators for waiting are of no use.

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
    """Returns the storage for masks that are computed in backward and used immediately; call it in the forward pass."""
    return "bool" if _storage.get()[0] == "bool" else "floats"


def keep_mask(y: tf.Tensor, ceiling: float | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """Keeps a mask of the elements with `0 < y` and, if there is a ceiling, `y < ceiling`.

    Args:
        y: output of an activation, from 0 to `ceiling`. Masks are stored as numbers only for float32; outputs below
            1e-30 may then give mask values between 0 and 1, which are rounded.
        ceiling: largest output, or `None`.

    Returns:
        A function that maps an output gradient to the input gradient, which is zero where the mask is zero.
    """
    storage, wait = _storage.get()
    if storage == "bool" or y.dtype != tf.float32:
        mask = y > 0 if ceiling is None else tf.logical_and(y > 0, y < ceiling)
        # A product, since selects are slow in TensorFlow.
        return lambda dy: dy * tf.cast(mask, dy.dtype)
    slope = _HUGE if ceiling is None else (ceiling - y) * _HUGE
    # The product is never negative, so -1 has no effect. The converter fuses the range -1 to 1 into the product.
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


def keep_bytes(x: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Keeps whole numbers of 0 to 255 as bytes.

    Args:
        x: float32 tensor of such numbers.

    Returns:
        A function of an output gradient, of any shape. It returns `x` as a tensor that, with a delegate, does not exist
        before that gradient.
    """
    storage, wait = _storage.get()
    kept = tf.cast(x, tf.uint8)
    return lambda dy: tf.cast(_tied(kept, dy) if wait and storage != "bool" else kept, tf.float32)


def keep_input(x: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """Keeps the input of an activation that recomputes its forward pass in backward.

    Compilers merge two identical computations into one, whose result would then be kept for backward in addition to
    `x`. Adding a zero derived from the gradient prevents this in the LiteRT converter; in TensorFlow, a control
    dependency does.

    Args:
        x: float tensor.

    Returns:
        A function of an output gradient with the shape of `x`. It returns `x` as a tensor that does not exist before
        that gradient.
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
    """Returns a zero that cannot exist before a gradient does; NaN if the gradient's first element is NaN."""
    return tf.minimum(tf.abs(tf.slice(dy, [0] * dy.shape.rank, [1] * dy.shape.rank)), 0.0)


def _tied(kept: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """Returns the same bytes as a tensor that cannot exist before a gradient does."""
    return tf.bitwise.bitwise_xor(kept, tf.cast(_zero_of(dy), tf.uint8))


def _pack(mask: tf.Tensor, size: int) -> tf.Tensor:
    """Packs eight slabs of the mask into the bits of one: a depthwise convolution with powers of two."""
    slabs = tf.reshape(mask, [1, _BITS, size // (_BITS * _LANES), _LANES])
    powers = np.tile(2.0 ** np.arange(_BITS, dtype=np.float32)[:, None, None, None], (1, 1, _LANES, 1))
    return tf.cast(tf.nn.depthwise_conv2d(slabs, powers, [1, 1, 1, 1], "VALID"), tf.uint8)


def _unpack(packed: tf.Tensor) -> tf.Tensor:
    """Unpacks the eight slabs."""
    return _bits_of(packed, _HALVES[None, :, None, None])


def _pack_rows(mask: tf.Tensor, size: int) -> tf.Tensor:
    """Packs eight neighbors of the mask into the bits of a byte: a matrix product with powers of two."""
    powers = 2.0 ** np.arange(_BITS, dtype=np.float32)[:, None]
    return tf.cast(tf.matmul(tf.reshape(mask, [size // _BITS, _BITS]), powers), tf.uint8)


def _unpack_rows(packed: tf.Tensor) -> tf.Tensor:
    """Unpacks the rows of eight neighbors."""
    return _bits_of(packed, _HALVES[None])


def _bits_of(packed: tf.Tensor, halves: np.ndarray) -> tf.Tensor:
    """Returns the bits as floats: bit k of p is 1 if the fraction of p / 2**(k + 1) is at least one half."""
    shifted = tf.cast(packed, tf.float32) * halves
    # In this form, two tensors of the full size exist at once; a difference of ROUND and FLOOR would need three.
    return tf.round(shifted - tf.floor(shifted))
