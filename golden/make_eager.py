"""What eager TensorFlow computes on the steps of the golden float32 model; no exported file has a part in it."""

from typing import Any

import keras
import make_training
import numpy as np
import tensorflow as tf
from make_model import OPTIMIZER

from tinytl_tf.training import make_optimizer


def train(model: keras.Model, pixels: np.ndarray) -> list[dict[str, Any]]:
    """Takes the steps of the plan, then those that go on from them; returns loss, accuracy and applied of each.

    Each batch goes through the network as a whole, with Keras' own loss and optimizer. The model is left as it was.

    Args:
        model: That of `make_model.build`.
        pixels: uint8 `[n, SIZE, SIZE, 3]`, the photos in order.
    """
    start = model.get_weights()
    optimizer = make_optimizer(OPTIMIZER)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    results = []
    for step in make_training.plan() + make_training.continued():
        images, labels = pixels[step["photos"]].astype(np.float32), np.array(step["labels"], np.int32)
        with tf.GradientTape() as tape:
            logits = model(images, training=False)
            loss = loss_of(labels, logits)
        optimizer.learning_rate.assign(np.float32(step["learning_rate"]))
        optimizer.apply(tape.gradient(loss, [variable.value for variable in model.trainable_variables]))
        right = np.mean(np.argmax(logits, axis=1) == labels)
        results.append(
            {
                "loss": make_training.short(np.float32(loss)),
                "accuracy": make_training.short(np.float32(right)),
                "applied": 1,
            }
        )
    model.set_weights(start)
    return results
