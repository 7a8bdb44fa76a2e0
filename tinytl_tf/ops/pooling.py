"""Average pooling over windows and over the complete image; neither keeps anything for the backward pass."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tinytl_tf.ops.padding import Pads, as_pair, pad_or_crop, resolve_pool_padding
from tinytl_tf.ops.upsampling import upsample_with_zeros

__all__ = ["average_pool", "global_average_pool"]


def average_pool(
    x: tf.Tensor,
    pool_size: int | Sequence[int] = 2,
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
) -> tf.Tensor:
    """Mean of each window; keeps nothing for the backward pass.

    With `"same"`, padding is not part of the mean, as in TensorFlow and LiteRT. AvgPoolGrad is not a builtin operator
    of LiteRT. If the strides equal the window size, the gradient of each output is spread over its window. Otherwise,
    the output gradient is average-pooled without stride, with zeros inserted between its rows and columns.

    Args:
        x: float tensor `[batch, height, width, channels]` with static height and width.
        pool_size: size of the window, one number or `(rows, columns)`.
        strides: strides of the window, one number or `(rows, columns)`; `None` for the size of the window.
        padding: `"same"` or `"valid"`, which drops rows and columns that do not fill a window.

    Returns:
        Tensor `[batch, out_height, out_width, channels]` with the dtype of `x`.

    Raises:
        ValueError: if the padding is invalid; or if a window is larger than the padded input.
    """
    size = as_pair(pool_size)
    strides = size if strides is None else as_pair(strides)
    height, width = x.shape[1:3]
    pads = resolve_pool_padding(padding, (height, width), size, strides)

    @tf.custom_gradient
    def op(x):
        def grad(dy):
            # Windows at the edge are means of fewer elements. Factors per axis avoid a large constant for all windows.
            for axis, pad in enumerate(pads):
                if any(pad):
                    dy = dy * tf.constant(_shares(axis, x.shape, dy.shape, size, strides, pads), dy.dtype)
            if strides != size:
                spread, spread_pads = upsample_with_zeros(dy, (height, width), size, strides, pads)
                return tf.nn.avg_pool2d(pad_or_crop(spread, spread_pads), size, 1, "VALID")
            rows, columns = dy.shape[1] * size[0], dy.shape[2] * size[1]
            dx = tf.image.resize(dy * (1.0 / (size[0] * size[1])), [rows, columns], method="nearest")
            (top, _), (left, _) = pads
            return pad_or_crop(dx, ((-top, height + top - rows), (-left, width + left - columns)))

        return tf.nn.avg_pool2d(x, size, strides, padding.upper()), grad

    return op(x)


def _shares(
    axis: int, shape: Sequence[int], pooled: Sequence[int], size: Sequence[int], strides: Sequence[int], pads: Pads
) -> np.ndarray:
    """Returns, for each window along an axis, its length divided by its length inside the input.

    The shape is `[1, rows, 1, 1]` or `[1, 1, columns, 1]`.
    """
    start = np.arange(pooled[axis + 1]) * strides[axis] - pads[axis][0]
    inside = np.minimum(start + size[axis], shape[axis + 1]) - np.maximum(start, 0)
    return np.reshape(size[axis] / inside, [1, -1, 1, 1] if axis == 0 else [1, 1, -1, 1])


def global_average_pool(x: tf.Tensor, *, keepdims: bool = False) -> tf.Tensor:
    """Mean over height and width.

    Args:
        x: float tensor `[batch, height, width, channels]` with static height and width.
        keepdims: whether the two axes are kept with length 1.

    Returns:
        Tensor `[batch, channels]`, or `[batch, 1, 1, channels]` with `keepdims`.
    """
    _, height, width, channels = x.shape

    @tf.custom_gradient
    def op(x):
        def grad(dy):
            share = tf.reshape(dy, [-1, 1, 1, channels]) * (1.0 / (height * width))
            # LiteRT's BROADCAST_TO copies element by element and is forty times slower.
            return tf.image.resize(share, [height, width], method="nearest")

        return tf.reduce_mean(x, axis=[1, 2], keepdims=keepdims), grad

    return op(x)
