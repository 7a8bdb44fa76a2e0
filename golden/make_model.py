"""The network of the golden files: small, with every kind of layer, and weights that are the same everywhere."""

import pathlib

import keras
import numpy as np

from tinytl_tf import backbones
from tinytl_tf.backbones import Architecture, Block
from tinytl_tf.export import export
from tinytl_tf.networks.schemes import apply_scheme, get_scheme
from tinytl_tf.tflite.manifest import Manifest

# The fifth class has no photo, and its name two bytes for its first letter.
LABELS = ("stripes", "disk", "cross", "leaf", "éclair")
SIZE = 64  # pixels of a side
BATCH_SIZE = 4
OPTIMIZER = "momentum"  # has slots; the signs of Adam's steps would differ where a gradient is near zero
ARCHITECTURE = Architecture(
    name="golden",
    stem_filters=8,
    blocks=(
        Block(expand=1, kernel_size=3, filters=8, strides=1),
        Block(expand=3, kernel_size=3, filters=16, strides=2, repeats=2),
        Block(expand=3, kernel_size=5, filters=16, strides=2),
        Block(expand=3, kernel_size=3, filters=24, strides=2),
    ),
    head_filters=64,
    activation="relu6",
    pixel_mean=127.5,
    pixel_deviation=127.5,
    norm_epsilon=1e-3,
    imagenet_weights=None,
)


def build(images: np.ndarray) -> keras.Model:
    """Returns the network, ready to be exported under the scheme tinytl-lb.

    Nothing is trained: kernels are drawn by NumPy, and the statistics of each norm are those of its input, so that a
    second run gives the same weights but for rounding.

    Args:
        images: uint8 `[n, SIZE, SIZE, 3]`, over which the statistics are taken.
    """
    scheme = get_scheme("tinytl-lb")
    branches = {"lite_residual": scheme.lite_residual, "branch_final_norm": True}  # every kind of layer
    model = backbones.build(ARCHITECTURE, classes=len(LABELS), resolution=SIZE, weights=None, **branches)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if len(variable.shape) > 1:
            variable.assign(_kernel(variable, rng))
    for layer in model.layers:
        if hasattr(layer, "final_norm"):  # a branch starts at zero, where its kernels would have no gradient
            layer.final_norm.gamma.assign(rng.uniform(0.2, 0.5, layer.final_norm.gamma.shape))
        elif hasattr(layer, "norm"):
            output = keras.Model(model.input, layer.output)(images.astype(np.float32)).numpy()
            layer.norm.moving_mean.assign(output.mean((0, 1, 2)))
            layer.norm.moving_variance.assign(output.var((0, 1, 2)))
            layer.norm.beta.assign(rng.uniform(0, 0.5, layer.norm.beta.shape))
        if layer.name == "head":  # features that few places of few photos have tell the classes apart
            layer.norm.gamma.assign(np.full(layer.norm.gamma.shape, 4))
            layer.norm.beta.assign(np.full(layer.norm.beta.shape, -4))
    apply_scheme(model.weights, scheme)
    return model


def _kernel(variable: keras.Variable, rng: np.random.Generator) -> np.ndarray:
    """He's rule by the inputs of one output; of a depthwise kernel these are one channel's."""
    shape = variable.shape
    inputs = np.prod(shape[:2]) if "depthwise" in variable.path else np.prod(shape[:-1])
    return rng.normal(0, (2 / inputs) ** 0.5, shape)


def write(
    path: pathlib.Path, model: keras.Model, batches: tuple, *, frozen_weights: str = "float32", spare_classes: int = 0
) -> Manifest:
    """Exports the model and its manifest; int8 is judged on `batches`, see `export`."""
    return export(
        model,
        path,
        labels=LABELS,
        optimizer=OPTIMIZER,
        batch_size=BATCH_SIZE,
        save_optimizer=True,
        frozen_weights=frozen_weights,
        spare_classes=spare_classes,
        photos=batches,
        overwrite=True,
    )
