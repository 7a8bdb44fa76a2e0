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

from tinytl_tf import backbones
from tinytl_tf.networks import schemes
from tinytl_tf.networks.architectures import lay_out
from tinytl_tf.training import make_optimizer, make_train_step

_RESOLUTION = flags.DEFINE_integer("resolution", 128, "Pixels of a side.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images of a step.")
_STEPS = flags.DEFINE_integer("steps", 30, "Steps to take the median of.")
CLASSES = 102
PLAIN_SCHEMES = {
    "last": lambda path: path.startswith("classifier"),
    "tinytl-b": lambda path: path.startswith("classifier") or path.endswith("beta"),
    "tinytl-lb": lambda path: path.startswith("classifier") or path.endswith("beta") or "_lite_residual" in path,
    "norm+last": lambda path: path.startswith("classifier") or path.endswith(("beta", "gamma")),
    "full": lambda path: True,
}


def plain_network(resolution: int, lite_residual: bool) -> keras.Model:
    """Returns the network of the table of blocks in Keras' own layers, named so that a scheme finds its variables."""
    layers = keras.layers
    layout = lay_out(backbones.ARCHITECTURES["mobilenet_v2"])
    images = keras.Input((resolution, resolution, 3))

    def convolve(x, filters, name, kernel_size=1, strides=1, activate=True):
        options = {"strides": strides, "padding": "same", "use_bias": False, "name": name}
        if filters is None:
            x = layers.DepthwiseConv2D(kernel_size, **options)(x)
        else:
            x = layers.Conv2D(filters, kernel_size, **options)(x)
        x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_norm")(x, training=False)
        return layers.ReLU(6.0)(x) if activate else x

    def branch(x, filters, kernel_size, strides, name):
        size = [-(-length // strides) for length in x.shape[1:3]]
        x = layers.ZeroPadding2D(kernel_size // 2)(layers.AveragePooling2D(2)(x))
        half = x.shape[-1] // 2
        # Keras' own groups have no gradient on every CPU: one convolution for each half of the channels.
        halves = [
            layers.Conv2D(half, kernel_size, strides, use_bias=False, name=f"{name}_lite_residual_{index}")(part)
            for index, part in enumerate((x[..., :half], x[..., half:]))
        ]
        x = layers.Concatenate()(halves)
        x = layers.GroupNormalization(x.shape[-1] // 8, name=f"{name}_lite_residual_norm")(x)
        x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_lite_residual_pointwise")(layers.ReLU()(x))
        return layers.Resizing(*size, interpolation="bilinear")(x)

    x = convolve(layers.Rescaling(1 / 127.5, -1)(images), layout.stem_filters, "stem", 3, 2)
    for block in layout.blocks:
        name, y = block.name, x
        if block.expanded > block.inputs:
            y = convolve(y, block.expanded, f"{name}_expand")
        y = convolve(y, None, f"{name}_depthwise", block.kernel_size, block.strides)
        y = convolve(y, block.filters, f"{name}_project", activate=False)
        if lite_residual and block.branch:
            y = layers.Add()([y, branch(x, block.filters, block.branch[0], block.strides, name)])
        x = layers.Add()([x, y]) if block.shortcut else y
    x = layers.GlobalAveragePooling2D()(convolve(x, layout.head_filters, "head"))
    return keras.Model(images, layers.Dense(CLASSES, name="classifier")(layers.Dropout(0.2)(x)))


def plain_step(scheme: str, resolution: int):
    """Returns a step of the plain network, written as Keras' guides write it."""
    model = plain_network(resolution, schemes.get_scheme(scheme).lite_residual)
    chosen = [v for v in model.trainable_variables if PLAIN_SCHEMES[scheme](v.path)]
    optimizer = make_optimizer("sgd")
    optimizer.build(chosen)
    watched = [variable.value for variable in chosen]
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, labels, learning_rate):
        optimizer.learning_rate.assign(learning_rate)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(watched)
            loss = loss_of(labels, model(tf.cast(images, tf.float32), training=True))
        optimizer.apply(tape.gradient(loss, watched))
        return {"loss": loss}

    return step


def our_step(scheme: str, resolution: int):
    """Returns a step of the same network made of our layers."""
    chosen = schemes.get_scheme(scheme)
    model = backbones.build(
        "mobilenet_v2", classes=CLASSES, resolution=resolution, weights=None, lite_residual=chosen.lite_residual
    )
    schemes.apply_scheme(model.weights, chosen)
    return make_train_step(model, model.trainable_variables, make_optimizer("sgd"))


def main(_) -> None:
    """Prints the table."""
    rng = np.random.default_rng(0)
    shape = (_BATCH_SIZE.value, _RESOLUTION.value, _RESOLUTION.value, 3)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    labels = rng.integers(0, CLASSES, _BATCH_SIZE.value).astype(np.int32)
    print("| scheme | plain Keras ms | ours ms | ours / plain |\n|---|---|---|---|")
    for scheme in PLAIN_SCHEMES:
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
