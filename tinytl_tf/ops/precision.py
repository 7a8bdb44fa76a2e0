"""The dtype of sums over many elements."""

import tensorflow as tf

__all__ = ["wide_dtype"]


def wide_dtype(dtype: tf.DType) -> tf.DType:
    """Returns float32 for the two halves, whose squares overflow or lose their digits, and `dtype` for others."""
    return tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype
