"""Average pooling over windows and over the whole image; neither keeps anything for backward."""

import tensorflow as tf

from tinytl_tf.ops.padding import pad_or_crop

__all__ = ["average_pool", "global_average_pool"]


def average_pool(x: tf.Tensor, size: int = 2) -> tf.Tensor:
    """Mean of windows that do not overlap; rows and columns that fill no window are left out.

    Args:
        x: float tensor `[batch, height, width, channels]`; height and width known.
        size: height, width and stride of the window.

    Returns:
        Tensor `[batch, height // size, width // size, channels]`.
    """
    height, width = x.shape[1:3]
    if min(height, width) < size:
        raise ValueError(f"a window of {size} needs an input at least as large, got {tuple(x.shape)}")

    @tf.custom_gradient
    def op(x):
        def grad(dy):
            rows, columns = dy.shape[1] * size, dy.shape[2] * size
            # AvgPoolGrad is no builtin; each gradient goes in equal parts to its window.
            dx = tf.image.resize(dy * (1.0 / size**2), [rows, columns], method="nearest")
            return pad_or_crop(dx, ((0, height - rows), (0, width - columns)))

        return tf.nn.avg_pool2d(x, size, size, "VALID"), grad

    return op(x)


def global_average_pool(x: tf.Tensor, *, keepdims: bool = False) -> tf.Tensor:
    """Mean over height and width.

    Args:
        x: float tensor `[batch, height, width, channels]`; height and width known.
        keepdims: whether the two axes stay, with length 1.

    Returns:
        Tensor `[batch, channels]`, or `[batch, 1, 1, channels]` with `keepdims`.
    """
    _, height, width, channels = x.shape

    @tf.custom_gradient
    def op(x):
        def grad(dy):
            share = tf.reshape(dy, [-1, 1, 1, channels]) * (1.0 / (height * width))
            # BROADCAST_TO copies number by number in LiteRT, forty times slower.
            return tf.image.resize(share, [height, width], method="nearest")

        return tf.reduce_mean(x, axis=[1, 2], keepdims=keepdims), grad

    return op(x)
