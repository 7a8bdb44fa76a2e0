"""A run that takes seconds: packed JPEGs of colored shapes, and a network of a few blocks that configs can name."""

import io
import pathlib

import numpy as np
from ml_collections import ConfigDict
from PIL import Image, ImageDraw

from tinytl_tf.configs import default

CLASSES = ("blue pie", "green square", "red disc")
COLORS = ((60, 80, 220), (60, 220, 80), (220, 60, 60))
SIDE = 40
TRAIN, TEST = 8, 3  # images of a class
BATCH_SIZE = 6
STEPS = TRAIN * len(CLASSES) // BATCH_SIZE  # of an epoch
BACKBONE = "tiny"


def write_shapes(path: pathlib.Path) -> pathlib.Path:
    """Writes the packed set."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(len(CLASSES)), TRAIN + TEST)
    files = [_jpeg(label, rng) for label in labels]
    np.savez(
        path,
        jpeg=np.frombuffer(b"".join(files), np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
        label=labels,
        classes=np.array(CLASSES),
        split=np.repeat(["train", "test"], [TRAIN * len(CLASSES), TEST * len(CLASSES)]),
    )
    return path


def _jpeg(label: int, rng: np.random.Generator) -> bytes:
    image = Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(0, 120, 3).tolist()))
    left, top = rng.integers(0, SIDE // 2, 2).tolist()
    box = (left, top, left + SIDE // 2, top + SIDE // 2)
    draw = ImageDraw.Draw(image)
    if label == 0:
        draw.pieslice(box, 0, 270, fill=COLORS[0])
    elif label == 1:
        draw.rectangle(box, fill=COLORS[1])
    else:
        draw.ellipse(box, fill=COLORS[2])
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def architecture():
    """The table of the network; the import is here because the parent of `tests/e2e` needs no TensorFlow."""
    from tinytl_tf.backbones import Architecture, Block

    return Architecture(
        name=BACKBONE,
        stem_filters=8,
        blocks=(
            Block(expand=1, kernel_size=3, filters=8, strides=1),
            Block(expand=2, kernel_size=3, filters=16, strides=2),
        ),
        head_filters=32,
        activation="relu6",
        pixel_mean=127.5,
        pixel_deviation=127.5,
        norm_epsilon=1e-3,
        imagenet_weights=None,
    )


def write_weights(path: pathlib.Path) -> pathlib.Path:
    """Writes a file of weights in Keras' own layers, as `backbone.weights` takes it; the import as above."""
    import keras

    def convolve(layer):
        return [layer, keras.layers.BatchNormalization()]

    keras.utils.set_random_seed(7)
    layers = [keras.Input((SIDE, SIDE, 3)), *convolve(keras.layers.Conv2D(8, 3, use_bias=False))]
    for expanded, filters in ((None, 8), (16, 16)):
        if expanded:
            layers += convolve(keras.layers.Conv2D(expanded, 1, use_bias=False))
        layers += convolve(keras.layers.DepthwiseConv2D(3, use_bias=False))
        layers += convolve(keras.layers.Conv2D(filters, 1, use_bias=False))
    layers += [*convolve(keras.layers.Conv2D(32, 1, use_bias=False)), keras.layers.GlobalAveragePooling2D()]
    keras.Sequential([*layers, keras.layers.Dense(5)]).save_weights(path)
    return path


def open_branches(model) -> None:
    """Moves what a branch starts at zero with, its last kernel or norm: the first kernel has no gradient there."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith(("/pointwise_kernel", "_lora/b")) and not variable.numpy().any():
            variable.assign(rng.normal(0, 0.1, variable.shape))
        if variable.path.endswith("/final_norm/gamma"):
            variable.assign(np.ones(variable.shape))


def overrides(shapes: pathlib.Path) -> dict:
    """What is changed in `configs/default.py`, by dotted key."""
    return {
        "scheme": "tinytl-lb",
        "backbone.name": BACKBONE,
        "backbone.resolution": SIDE,
        "backbone.weights": "",
        "data.name": str(shapes),
        "training.epochs": 3,
        "training.batch_size": BATCH_SIZE,
        "training.learning_rate": 0.03,
    }


def config(shapes: pathlib.Path) -> ConfigDict:
    """The default configuration with the overrides."""
    result = default.get_config()
    result.update_from_flattened_dict(overrides(shapes))
    return result


def argv(shapes: pathlib.Path, **changed) -> list[str]:
    """The same as flags of `tinytl train`; `changed` has sections as dictionaries."""
    values = overrides(shapes) | {f"{section}.{key}": v for section, keys in changed.items() for key, v in keys.items()}
    return [f"--config={default.__file__}", *(f"--config.{key}={value}" for key, value in values.items())]
