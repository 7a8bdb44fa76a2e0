"""The dtype for sums over many elements."""

import tensorflow as tf

__all__ = ["wide_dtype"]


def wide_dtype(dtype: tf.DType) -> tf.DType:
    """Returns float32 for float16 and bfloat16, whose squares overflow or lose digits; otherwise `dtype`."""
    return tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype
