"""Cross-entropies with label smoothing."""

import tensorflow as tf

__all__ = ["sigmoid_cross_entropy", "softmax_cross_entropy"]


def softmax_cross_entropy(logits: tf.Tensor, labels: tf.Tensor, *, label_smoothing: float = 0.0) -> tf.Tensor:
    """Cross-entropy of each example against a smoothed one-hot target.

    Args:
        logits: float tensor `[batch, classes]`.
        labels: int32 tensor `[batch]` with values in `[0, classes)`. Any other label gives a target without a one; the
            `train` signature guards against it.
        label_smoothing: fraction of the target that is spread evenly over all classes.

    Returns:
        Tensor `[batch]`.

    Reference:
        TinyTL's released recipe: target = (1 - e) * one_hot + e / classes.
    """
    classes = logits.shape[-1]

    @tf.custom_gradient
    def op(logits):
        target = tf.one_hot(labels, classes, dtype=logits.dtype) * (1.0 - label_smoothing) + label_smoothing / classes
        log_probabilities = tf.nn.log_softmax(logits)

        def grad(dy):
            # The target sums to one, so the gradient of the logits is the difference between the two distributions.
            return tf.expand_dims(dy, 1) * (tf.nn.softmax(logits) - target)

        return -tf.reduce_sum(target * log_probabilities, axis=1), grad

    return op(logits)


def sigmoid_cross_entropy(logits: tf.Tensor, labels: tf.Tensor, *, label_smoothing: float = 0.0) -> tf.Tensor:
    """Mean of the cross-entropies of all attributes, for images that may have several attributes.

    Args:
        logits: float tensor `[batch, classes]`.
        labels: float tensor `[batch, classes]`: 1 if the image has the attribute, 0 if not.
        label_smoothing: fraction by which each target is moved toward one half.

    Returns:
        Tensor `[batch]`.

    Reference:
        TinyTL's CelebA (40 attributes).
    """
    classes = logits.shape[-1]

    @tf.custom_gradient
    def op(logits):
        target = labels * (1.0 - label_smoothing) + 0.5 * label_smoothing
        losses = tf.nn.relu(logits) - logits * target + tf.math.log(1.0 + tf.exp(-tf.abs(logits)))

        def grad(dy):
            return tf.expand_dims(dy, 1) * (tf.sigmoid(logits) - target) * (1.0 / classes)

        return tf.reduce_mean(losses, axis=1), grad

    return op(logits)
