import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.autodiff import DTYPES, TOLERANCE, assert_same, draw, property_test
from tinytl_tf import ops


def plain(logits, labels, smoothing):
    classes = logits.shape[-1]
    target = tf.one_hot(labels, classes, dtype=logits.dtype)
    target = (1 - smoothing) * target + smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(target, logits)


@property_test(max_examples=60)
@given(
    batch=st.integers(1, 5),
    classes=st.integers(1, 12),
    smoothing=st.sampled_from((0.0, 0.1, 1.0)),
    label_dtype=st.sampled_from(("int32", "int64")),
    dtype=st.sampled_from(DTYPES),
)
def test_equals_autodiff(batch, classes, smoothing, label_dtype, dtype):
    labels = tf.range(batch, dtype=label_dtype) * 7 % classes
    assert_same(
        lambda logits: ops.softmax_cross_entropy(logits, labels, label_smoothing=smoothing),
        lambda logits: plain(logits, labels, smoothing),
        [draw([batch, classes], dtype, seed=0) * 5],
        tolerance=TOLERANCE,
    )


def test_unknown_batch():
    logits, labels = draw([4, 6], "float32", seed=0), tf.constant([0, 5, 2, 2])

    @tf.function(input_signature=[tf.TensorSpec([None, 6]), tf.TensorSpec([None], tf.int32)])
    def step(logits, labels):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = ops.softmax_cross_entropy(logits, labels, label_smoothing=0.1)
        return loss, tape.gradient(loss, logits)

    loss, gradient = step(logits, labels)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        expected = plain(logits, labels, 0.1)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, tape.gradient(expected, logits), atol=1e-6)


def test_sure_and_wrong_stays_finite():
    assert_same(
        lambda logits: ops.softmax_cross_entropy(logits, tf.constant([0, 1])),
        lambda logits: plain(logits, tf.constant([0, 1]), 0.0),
        [tf.constant([[-1e4, 1e4], [-1e4, 1e4]])],
    )
