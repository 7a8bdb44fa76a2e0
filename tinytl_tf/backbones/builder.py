"""Builds a network from its description."""

from collections.abc import Collection, Mapping

import keras

from tinytl_tf.backbones.branch_weights import AUTO, PRETRAINED, load_branches, shipped_fit
from tinytl_tf.backbones.call import Call
from tinytl_tf.backbones.kinds import KINDS
from tinytl_tf.backbones.weights import load_weights
from tinytl_tf.errors import InputError
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.networks.architectures import Architecture, check_sizes, get_architecture
from tinytl_tf.networks.branches import branch_places, with_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.spec import INPUT, NetworkSpec

__all__ = ["build", "build_network"]


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
    table = get_architecture(architecture) if isinstance(architecture, str) else architecture
    check_sizes(table.name, classes=classes, resolution=resolution, width=width, lite_residual=bool(lite_residual))
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be at least 0 and below 1, got {dropout}")
    spec = from_table(table, resolution=resolution, classes=classes, width=width, dropout=dropout)
    places = branch_places(spec) if lite_residual is True else lite_residual or ()
    spec = with_branches(spec, places, **({"final_norm": True} if branch_final_norm else {}))
    model = build_network(spec, seed=seed)
    if weights is not None:
        load_weights(model, table, weights, width=width)
    if branch_weights == AUTO:
        branch_weights = PRETRAINED if places and shipped_fit(model, table, width) else None
    if branch_weights is not None:
        load_branches(model, table, branch_weights, width=width)
    return model


def build_network(spec: NetworkSpec, *, calls: Mapping[str, Call] | None = None, seed: int = 0) -> keras.Model:
    """Builds a network from its description, with random weights.

    Args:
        spec: the description.
        calls: by the names of layers that have no counterpart here, what is called.
        seed: of everything that is drawn.

    Returns:
        A functional `keras.Model` from `(batch, *spec.input_shape)` to logits.

    Raises:
        InputError: if settings of Keras are not ours.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> build_network(from_table("mcunet_5fps", resolution=64, classes=2)).output_shape
        (None, 2)
    """
    require_keras_settings()
    keras.utils.set_random_seed(seed)
    tensors = {INPUT: keras.Input(spec.input_shape, name=INPUT)}
    for layer in spec.layers:
        inputs = [tensors[name] for name in layer.inputs]
        if layer.kind in KINDS:
            tensors[layer.name] = KINDS[layer.kind](layer, seed)(inputs if len(inputs) > 1 else inputs[0])
        else:
            tensors[layer.name] = calls[layer.name].again(layer.name, inputs)
    return keras.Model(tensors[INPUT], tensors[spec.layers[-1].name], name=spec.name)
