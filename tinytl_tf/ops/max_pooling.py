"""Max pooling that keeps one byte per output for the backward pass."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from tinytl_tf.ops.masks import _tied
from tinytl_tf.ops.padding import Pads, as_pair, pad_or_crop, resolve_pool_padding
from tinytl_tf.ops.pooling import average_pool

__all__ = ["max_pool"]

_MOST_TAPS = 256  # number of values that a byte can have
# Its product with any difference of two activations of 1e-30 or more is 1 or more.
_HUGE = 1e30


def max_pool(
    x: tf.Tensor,
    pool_size: int | Sequence[int] = 2,
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
) -> tf.Tensor:
    """Maximum of each window; keeps one byte per output for backward: the index of the first maximum in its window.

    LiteRT has no MaxPoolGrad, and TensorFlow's MaxPoolGrad keeps the input and the output. The index is computed with
    arithmetic only. In every profile, it is unpacked only after the gradient exists, like masks with `wait` (see
    `mask_storage`). Elements of a window that differ by less than 1e-30 may be treated as equal.

    Args:
        x: float tensor `[batch, height, width, channels]` with static height and width.
        pool_size: size of the window, one number or `(rows, columns)`; at most 256 elements.
        strides: strides of the window, one number or `(rows, columns)`; `None` for the size of the window.
        padding: `"same"` or `"valid"`, which drops rows and columns that do not fill a window.

    Returns:
        Tensor `[batch, out_height, out_width, channels]` with the dtype of `x`. As in TensorFlow, the gradient of each
        output goes to the first maximum of its window in row-major order.

    Raises:
        ValueError: if the padding is invalid; or if a window is larger than the padded input or has more than 256
            elements.

    Example:
    >>> x = tf.reshape([1.0, 3.0, 3.0, 2.0], [1, 2, 2, 1])
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = max_pool(x)
    >>> tf.reshape(tape.gradient(y, x), [-1]).numpy()
    array([0., 1., 0., 0.], dtype=float32)
    """
    size = as_pair(pool_size)
    strides = size if strides is None else as_pair(strides)
    if size[0] * size[1] > _MOST_TAPS:
        raise ValueError(f"expected a window of at most {_MOST_TAPS} numbers, got {size}; pool in two steps")
    if size == (1, 1):  # the mean of one element, which needs no index
        return average_pool(x, size, strides, padding)
    pads = resolve_pool_padding(padding, x.shape[1:3], size, strides)

    @tf.custom_gradient
    def op(x):
        y = tf.nn.max_pool2d(x, size, strides, padding.upper())
        kept = tf.cast(_first_maximum(x, y, size, strides, pads), tf.uint8)

        def grad(dy):
            # Otherwise, its float copy and a mask for each position would be computed, and kept, as early as possible.
            index = tf.cast(_tied(kept, dy), dy.dtype)
            return _spread(dy, index, x.shape[1:3], size, strides, pads)

        return y, grad

    return op(x)


def _first_maximum(x: tf.Tensor, y: tf.Tensor, size: Sequence[int], strides: Sequence[int], pads: Pads) -> tf.Tensor:
    """Returns, for each output, how many elements of its window precede the first maximum."""
    _, height, width, _ = y.shape
    (down, across), (rows, columns) = strides, ((height - 1) * strides[0] + 1, (width - 1) * strides[1] + 1)
    if any(map(any, pads)):
        x = tf.pad(x, [[0, 0], *pads, [0, 0]], constant_values=y.dtype.min)
    count = None
    # Starts with the second to last element: if no other element is the maximum, the last one is.
    for row, column in reversed(list(_taps(size))[:-1]):
        tap = x[:, row : row + rows : down, column : column + columns : across, :]
        below = tf.minimum(tf.cast(y - tap, tf.float32) * _HUGE, 1.0)  # 0 at a maximum, 1 elsewhere
        count = below if count is None else below * (count + 1.0)
    return count


def _spread(
    dy: tf.Tensor,
    index: tf.Tensor,
    input_size: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    pads: Pads,
) -> tf.Tensor:
    """Returns the input gradient: each element of `dy` goes to the position in its window that `index` gives."""
    (down, across), (_, height, width, _) = strides, dy.shape
    # Positions that are `strides` apart form one phase, with room for windows that extend beyond the last position.
    more = [(length - 1) // stride for length, stride in zip(size, strides, strict=True)]
    phases = {}
    for number, (row, column) in enumerate(_taps(size)):
        here = 1.0 - tf.minimum(tf.abs(index - float(number)), 1.0)
        top, left = row // down, column // across
        part = pad_or_crop(dy * here, ((top, more[0] - top), (left, more[1] - left)))
        phase = (row % down, column % across)
        phases[phase] = phases[phase] + part if phase in phases else part
    dx = _interleaved(phases, (min(size[0], down), min(size[1], across)), strides)
    rows, columns = (height + more[0]) * down, (width + more[1]) * across
    (top, _), (left, _) = pads
    return pad_or_crop(dx, ((-top, input_size[0] + top - rows), (-left, input_size[1] + left - columns)))


def _interleaved(phases: dict[tuple[int, int], tf.Tensor], filled: Sequence[int], strides: Sequence[int]) -> tf.Tensor:
    """Returns the tensor whose slices `[:, row::down, column::across]` are the phases; missing phases are zero.

    Uses concatenations and reshapes at rank 4, so that the phases can be written and freed one by one.
    """
    (down, across), (rows, columns) = strides, filled
    _, height, width, channels = phases[0, 0].shape
    if down == across == 1:
        return phases[0, 0]
    lines = []
    for row in range(rows):
        line = tf.concat([phases[row, column] for column in range(columns)], axis=-1)
        line = tf.pad(line, [[0, 0], [0, 0], [0, 0], [0, (across - columns) * channels]]) if columns < across else line
        lines.append(tf.reshape(line, [-1, 1, width * across * channels]))
    dx = tf.concat(lines, axis=1)
    dx = tf.pad(dx, [[0, 0], [0, down - rows], [0, 0]]) if rows < down else dx
    return tf.reshape(dx, [-1, height * down, width * across, channels])


def _taps(size: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Returns the positions in a window, in row-major order."""
    return ((row, column) for row in range(size[0]) for column in range(size[1]))
