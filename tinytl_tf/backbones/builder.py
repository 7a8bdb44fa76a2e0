"""Builds a network from its table of blocks."""

import functools
from collections.abc import Collection

import keras
import numpy as np

from tinytl_tf.backbones.branch_weights import AUTO, PRETRAINED, load_branches, shipped_fit
from tinytl_tf.backbones.features import FEATURES
from tinytl_tf.backbones.weights import load_weights
from tinytl_tf.errors import InputError
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.layers import (
    Activation,
    FrozenConv2D,
    FrozenDepthwiseConv2D,
    GlobalAveragePooling,
    LiteResidual,
)
from tinytl_tf.networks.architectures import (
    Architecture,
    PlacedBlock,
    check_places,
    check_sizes,
    get_architecture,
    lay_out,
)

__all__ = ["build"]


def build(
    architecture: str | Architecture,
    *,
    classes: int,
    resolution: int,
    width: float = 1.0,
    lite_residual: bool | Collection[str] = False,
    branch_final_norm: bool = False,
    dropout: float = 0.2,
    weights: str | None = "imagenet",
    branch_weights: str | None = None,
    seed: int = 0,
) -> keras.Model:
    """Builds a network with everything frozen but the classifier.

    Args:
        architecture: a key of `ARCHITECTURES`, or a table of your own.
        classes: number of outputs.
        resolution: height and width of the images, in pixels.
        width: multiplies the number of channels.
        lite_residual: whether each block but the first gets a lite residual branch, or the names of those that do.
        branch_final_norm: whether the branches end with a norm, as in the paper, see `LiteResidual`.
        dropout: share of features dropped before the classifier while training in Keras.
        weights: `"imagenet"`, the path of a weight file, or `None` for random ones. The file's classifier is
            taken if it has as many classes.
        branch_weights: the path of a file of pre-trained branches, `"pretrained"` for those that come with the package,
            `"auto"` for these where they were trained inside the same weights, or `None` for random ones that start
            as zero.
        seed: of everything that is drawn: branches, classifier and dropout.

    Returns:
        A functional `keras.Model` from images `(batch, resolution, resolution, 3)`, RGB of 0 to 255, to logits
        `(batch, classes)`. Normalisation is inside.

    Raises:
        InputError: for an unknown name, an impossible size, weights that are missing or do not fit, or settings of
            Keras that are not ours.

    Example:
    >>> model = build("mobilenet_v2", classes=17, resolution=128, weights=None)
    >>> model.output_shape
    (None, 17)
    """
    require_keras_settings()
    if isinstance(architecture, str):
        architecture = get_architecture(architecture)
    name = architecture.name
    check_sizes(name, classes=classes, resolution=resolution, width=width, lite_residual=bool(lite_residual))
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be at least 0 and below 1, got {dropout}")
    keras.utils.set_random_seed(seed)

    images = keras.Input((resolution, resolution, 3), name="image")
    scale = 1 / np.asarray(architecture.pixel_deviation)
    offset = -np.asarray(architecture.pixel_mean) * scale
    x = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name="normalize")(images)
    layout = lay_out(architecture, width)
    with_branch = layout.branches if lite_residual is True else lite_residual or ()
    check_places("lite residuals", with_branch, layout.branches)
    convolve = functools.partial(_convolution, architecture)
    x = convolve("stem", x, layout.stem_filters, kernel_size=3, strides=2)
    for block in layout.blocks:
        y = _main_branch(x, block, convolve)
        if block.name in with_branch:
            kernel_size, global_pool = block.branch
            branch = LiteResidual(
                block.filters,
                kernel_size,
                block.strides,
                global_pool=global_pool,
                final_norm=branch_final_norm,
                name=f"{block.name}_lite_residual",
            )
            y = keras.layers.Add(name=f"{block.name}_add_lite_residual")([y, branch(x)])
        if block.shortcut:
            y = keras.layers.Add(name=f"{block.name}_add_shortcut")([x, y])
        x = y

    if layout.head_filters:
        x = convolve("head", x, layout.head_filters, kernel_size=1)
    x = GlobalAveragePooling(name=FEATURES)(x)
    x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    bound = x.shape[-1] ** -0.5
    classifier = keras.layers.Dense(
        classes, kernel_initializer=keras.initializers.RandomUniform(-bound, bound, seed=seed), name="classifier"
    )
    model = keras.Model(images, classifier(x), name=name)
    if weights is not None:
        load_weights(model, architecture, weights, width=width)
    if branch_weights == AUTO:
        branch_weights = PRETRAINED if with_branch and shipped_fit(model, architecture, width) else None
    if branch_weights is not None:
        load_branches(model, architecture, branch_weights, width=width)
    return model


def _main_branch(x, block: PlacedBlock, convolve):
    """Expanding 1x1, depthwise and projecting 1x1 convolution."""
    if block.expanded > block.inputs:
        x = convolve(f"{block.name}_expand", x, block.expanded, kernel_size=1)
    x = convolve(f"{block.name}_depthwise", x, None, kernel_size=block.kernel_size, strides=block.strides)
    return convolve(f"{block.name}_project", x, block.filters, kernel_size=1, activate=False)


def _convolution(architecture: Architecture, name, x, filters, *, kernel_size, strides=1, activate=True):
    """Convolution with its norm and activation; depthwise where `filters` is `None`."""
    around = (kernel_size // 2, kernel_size // 2)
    options = {
        "strides": strides,
        "padding": (around, around) if architecture.padding == "symmetric" else "same",
        "epsilon": architecture.norm_epsilon,
        "name": name,
    }
    if filters is None:
        layer = FrozenDepthwiseConv2D(kernel_size, **options)
    else:
        layer = FrozenConv2D(filters, kernel_size, **options)
    x = layer(x)
    return Activation(architecture.activation, name=f"{name}_activation")(x) if activate else x
