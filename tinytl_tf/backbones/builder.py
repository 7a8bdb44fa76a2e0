"""Builds a network from its table of blocks."""

import functools

import keras

from tinytl_tf.backbones.architectures import ARCHITECTURES, Architecture
from tinytl_tf.backbones.weights import load_weights
from tinytl_tf.channels import make_divisible
from tinytl_tf.errors import InputError
from tinytl_tf.layers import (
    Activation,
    FrozenConv2D,
    FrozenDepthwiseConv2D,
    GlobalAveragePooling,
    LiteResidual,
    kernel_schedule,
)

__all__ = ["build"]

DOWNSAMPLING = 32


def build(
    architecture: str | Architecture,
    *,
    classes: int,
    resolution: int,
    width: float = 1.0,
    lite_residual: bool = False,
    dropout: float = 0.2,
    weights: str | None = "imagenet",
    seed: int = 0,
) -> keras.Model:
    """Builds a network with everything frozen but the classifier.

    Args:
        architecture: a key of `ARCHITECTURES`, or a table of your own.
        classes: number of outputs.
        resolution: height and width of the images, in pixels.
        width: multiplies the number of channels.
        lite_residual: whether each block but the first gets a lite residual branch.
        dropout: share of features dropped before the classifier while training in Keras.
        weights: `"imagenet"`, the path of a weight file, or `None` for random ones. The file's classifier is
            taken if it has as many classes.
        seed: of everything that is drawn: branches, classifier and dropout.

    Returns:
        A functional `keras.Model` from images `(batch, resolution, resolution, 3)`, RGB of 0 to 255, to logits
        `(batch, classes)`. Normalisation is inside.

    Raises:
        InputError: for an unknown name, an impossible size, or weights that are missing or do not fit.

    Example:
    >>> model = build("mobilenet_v2", classes=17, resolution=128, weights=None)
    >>> model.output_shape
    (None, 17)
    """
    if isinstance(architecture, str):
        architecture = _architecture(architecture)
    name = architecture.name
    _check_sizes(classes=classes, resolution=resolution, width=width, dropout=dropout)
    smallest = DOWNSAMPLING + 1 if lite_residual else DOWNSAMPLING  # A branch pools 2x2 windows of the last blocks.
    if resolution < smallest:
        needs = "with lite residual branches" if lite_residual else "at all"
        raise InputError(
            f"{name} needs images of {smallest} pixels or more to run {needs}, got resolution {resolution}"
        )
    keras.utils.set_random_seed(seed)

    images = keras.Input((resolution, resolution, 3), name="image")
    scale = 1 / architecture.pixel_deviation
    x = keras.layers.Rescaling(scale, -architecture.pixel_mean * scale, name="normalise")(images)
    convolve = functools.partial(_convolution, architecture)
    x = convolve("stem", x, make_divisible(architecture.stem_filters * width), kernel_size=3, strides=2)

    rows = [
        (block, block.strides if repetition == 0 else 1)
        for block in architecture.blocks
        for repetition in range(block.repeats)
    ]
    schedule = kernel_schedule([strides for _, strides in rows])
    for index, ((block, strides), (kernel_size, global_pool)) in enumerate(zip(rows, schedule, strict=True)):
        filters = make_divisible(int(block.filters * width))
        y = _main_branch(f"block_{index}", x, block, strides, filters, convolve)
        if lite_residual and index > 0:
            branch = LiteResidual(
                filters, kernel_size, strides, global_pool=global_pool, name=f"block_{index}_lite_residual"
            )
            y = keras.layers.Add(name=f"block_{index}_add_lite_residual")([y, branch(x)])
        if strides == 1 and x.shape[-1] == filters:
            y = keras.layers.Add(name=f"block_{index}_add_shortcut")([x, y])
        x = y

    x = convolve("head", x, make_divisible(architecture.head_filters * max(width, 1.0)), kernel_size=1)
    x = GlobalAveragePooling(name="pool")(x)
    x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    bound = x.shape[-1] ** -0.5
    classifier = keras.layers.Dense(
        classes, kernel_initializer=keras.initializers.RandomUniform(-bound, bound, seed=seed), name="classifier"
    )
    model = keras.Model(images, classifier(x), name=name)
    if weights is not None:
        load_weights(model, architecture, weights, width=width)
    return model


def _main_branch(name, x, block, strides, filters, convolve):
    """Expanding 1x1, depthwise and projecting 1x1 convolution."""
    if block.expand > 1:
        x = convolve(f"{name}_expand", x, block.expand * x.shape[-1], kernel_size=1)
    x = convolve(f"{name}_depthwise", x, None, kernel_size=block.kernel_size, strides=strides)
    return convolve(f"{name}_project", x, filters, kernel_size=1, activate=False)


def _convolution(architecture: Architecture, name, x, filters, *, kernel_size, strides=1, activate=True):
    """Convolution with its norm and activation; depthwise where `filters` is `None`."""
    epsilon = architecture.norm_epsilon
    if filters is None:
        layer = FrozenDepthwiseConv2D(kernel_size, strides=strides, epsilon=epsilon, name=name)
    else:
        layer = FrozenConv2D(filters, kernel_size, strides, epsilon=epsilon, name=name)
    x = layer(x)
    return Activation(architecture.activation, name=f"{name}_activation")(x) if activate else x


def _architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise InputError(f"unknown backbone {name!r}; choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def _check_sizes(*, classes: int, resolution: int, width: float, dropout: float) -> None:
    if classes < 2:
        raise InputError(f"a classifier needs at least 2 classes, got {classes}")
    if resolution < 1:
        raise InputError(f"resolution must be a positive number of pixels, got {resolution}")
    if not 0 < width <= 4:
        raise InputError(f"width must be above 0 and at most 4, got {width}")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be at least 0 and below 1, got {dropout}")
