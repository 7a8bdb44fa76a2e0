"""Time of a training step in Keras: our layers against the same scheme written plainly in Keras.

Command:
    python benchmarks/train_step.py

Both train MobileNetV2 with random weights in float32, SGD, the same batch and image size, in one process; the steps
alternate, so that a change of the machine's speed meets both. Prints a row for each scheme: median milliseconds of
each and their ratio.
"""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from tinytl_tf import backbones, schemes
from tinytl_tf.training import get_optimizer, make_train_step

_RESOLUTION = flags.DEFINE_integer("resolution", 128, "Pixels of a side.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images of a step.")
_STEPS = flags.DEFINE_integer("steps", 30, "Steps to take the median of.")
CLASSES = 102


def plain_step(trained: str, resolution: int):
    """Returns a step of keras.applications.MobileNetV2 with frozen statistics and `trained` variables."""
    base = keras.applications.MobileNetV2((resolution, resolution, 3), include_top=False, pooling="avg", weights=None)
    model = keras.Sequential([base, keras.layers.Dropout(0.2), keras.layers.Dense(CLASSES)])
    model.build((None, resolution, resolution, 3))
    dense = list(model.layers[-1].trainable_variables)
    chosen = {
        "last": dense,
        "tinytl-b": [v for v in base.trainable_variables if v.path.endswith("beta")] + dense,
        "norm+last": [v for v in base.trainable_variables if v.path.endswith(("beta", "gamma"))] + dense,
        "full": list(base.trainable_variables) + dense,
    }[trained]
    optimizer = get_optimizer("sgd")
    optimizer.build(chosen)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, labels, learning_rate):
        optimizer.learning_rate.assign(learning_rate)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in chosen])
            features = base(tf.cast(images, tf.float32) / 127.5 - 1, training=False)
            loss = loss_of(labels, model.layers[-1](model.layers[1](features, training=True)))
        optimizer.apply(tape.gradient(loss, [variable.value for variable in chosen]))
        return {"loss": loss}

    return step


def our_step(scheme: str, resolution: int):
    """Returns a step of the same network made of our layers."""
    model = backbones.build("mobilenet_v2", classes=CLASSES, resolution=resolution, weights=None)
    schemes.apply_scheme(model.weights, schemes.get_scheme(scheme))
    return make_train_step(model, model.trainable_variables, get_optimizer("sgd"))


def main(_) -> None:
    """Prints the table."""
    rng = np.random.default_rng(0)
    shape = (_BATCH_SIZE.value, _RESOLUTION.value, _RESOLUTION.value, 3)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    labels = rng.integers(0, CLASSES, _BATCH_SIZE.value).astype(np.int32)
    print("| scheme | plain Keras ms | ours ms | ours / plain |\n|---|---|---|---|")
    for scheme in ("last", "tinytl-b", "norm+last", "full"):
        steps = {"plain": plain_step(scheme, _RESOLUTION.value), "ours": our_step(scheme, _RESOLUTION.value)}
        times = {name: [] for name in steps}
        for _ in range(3 + _STEPS.value):
            for name, step in steps.items():
                started = time.perf_counter()
                float(step(images, labels, np.float32(1e-3))["loss"])
                times[name].append(1e3 * (time.perf_counter() - started))
        plain, ours = (statistics.median(times[name][3:]) for name in ("plain", "ours"))
        print(f"| {scheme} | {plain:.1f} | {ours:.1f} | {ours / plain:.2f} |", flush=True)


if __name__ == "__main__":
    app.run(main)
