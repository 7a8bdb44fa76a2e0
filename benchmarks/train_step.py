"""Time of a training step in Keras: compares our layers with the same scheme written in plain Keras.

Command:
    python benchmarks/train_step.py

Both train MobileNetV2 with random weights in float32, with SGD and the same batch and image size, in one process. Their
steps alternate, so that changes of the machine's speed affect both. Prints a row for each scheme: the median time of
each in milliseconds, and the ratio.
"""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from tinytl_tf import backbones
from tinytl_tf.networks import schemes
from tinytl_tf.networks.branches import LITE_RESIDUAL, branch_places, with_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.spec import CLASSIFIER, INPUT, LayerSpec
from tinytl_tf.training import make_optimizer, make_train_step

_RESOLUTION = flags.DEFINE_integer("resolution", 128, "Input size in pixels.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images per step.")
_STEPS = flags.DEFINE_integer("steps", 30, "Steps for the median.")
CLASSES = 102
PLAIN_SCHEMES = {
    "last": lambda path: path.startswith(CLASSIFIER),
    "tinytl-b": lambda path: path.startswith(CLASSIFIER) or path.endswith("beta"),
    "tinytl-lb": lambda path: path.startswith(CLASSIFIER) or path.endswith("beta") or LITE_RESIDUAL in path,
    "norm+last": lambda path: path.startswith(CLASSIFIER) or path.endswith(("beta", "gamma")),
    "full": lambda path: True,
}


def plain_network(resolution: int, lite_residual: bool) -> keras.Model:
    """Returns the network built from Keras layers, named so that a scheme finds its variables."""
    spec = from_table("mobilenet_v2", resolution=resolution, classes=CLASSES)
    if lite_residual:
        spec = with_branches(spec, branch_places(spec))
    outputs = {INPUT: keras.Input(spec.input_shape)}
    for layer in spec.layers:
        outputs[layer.name] = PLAIN[layer.kind](layer, *(outputs[source] for source in layer.inputs))
    return keras.Model(outputs[INPUT], outputs[spec.layers[-1].name])


def _plain_convolution(spec: LayerSpec, x: keras.KerasTensor) -> keras.KerasTensor:
    options = {"strides": spec.strides, "padding": "same", "use_bias": False, "name": spec.name}
    if spec.kind == "depthwise":
        x = keras.layers.DepthwiseConv2D(spec.kernel_size, **options)(x)
    else:
        x = keras.layers.Conv2D(spec.shape[-1], spec.kernel_size, **options)(x)
    return keras.layers.BatchNormalization(epsilon=1e-3, name=f"{spec.name}_norm")(x, training=False)


def _plain_branch(spec: LayerSpec, x: keras.KerasTensor) -> keras.KerasTensor:
    layers, size, strides = keras.layers, spec.option("kernel_size"), spec.option("strides")
    x = layers.ZeroPadding2D(size // 2)(layers.AveragePooling2D(2)(x))
    half = x.shape[-1] // 2
    # Grouped convolutions of Keras have no gradient on some CPUs: use one convolution for each half of the channels.
    halves = [
        layers.Conv2D(half, size, strides, use_bias=False, name=f"{spec.name}_{index}")(part)
        for index, part in enumerate((x[..., :half], x[..., half:]))
    ]
    x = layers.Concatenate()(halves)
    x = layers.GroupNormalization(x.shape[-1] // 8, name=f"{spec.name}_norm")(x)
    x = layers.Conv2D(spec.shape[-1], 1, use_bias=False, name=f"{spec.name}_pointwise")(layers.ReLU()(x))
    return layers.Resizing(*spec.shape[:2], interpolation="bilinear")(x)


PLAIN = {
    "rescale": lambda spec, x: keras.layers.Rescaling(spec.option("scale"), spec.option("offset"))(x),
    "convolution": _plain_convolution,
    "depthwise": _plain_convolution,
    "activation": lambda spec, x: keras.layers.ReLU(6.0)(x),
    "add": lambda spec, *inputs: keras.layers.Add()(inputs),
    "global_pool": lambda spec, x: keras.layers.GlobalAveragePooling2D()(x),
    "dropout": lambda spec, x: keras.layers.Dropout(spec.option("rate"))(x),
    "dense": lambda spec, x: keras.layers.Dense(CLASSES, name=spec.name)(x),
    LITE_RESIDUAL: _plain_branch,
}


def plain_step(scheme: str, resolution: int):
    """Returns a training step of the plain network, in the style of Keras' guides."""
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
    """Returns a training step of the same network built from our layers."""
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
