"""Builds a network, with its weights and branches, from its name."""

import inspect
import numbers
from collections.abc import Collection
from typing import Any

import keras

from tinytl_tf.backbones.branch_weights import AUTO, PRETRAINED, load_branches, shipped_fit
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.backbones.network_builder import build_network
from tinytl_tf.backbones.sources import check_source, is_source, load_source, source_spec
from tinytl_tf.backbones.weights import load_weights
from tinytl_tf.errors import InputError
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.networks.architectures import ARCHITECTURES, Architecture, check_sizes, get_architecture
from tinytl_tf.networks.branches import LITE_RESIDUAL, BranchChoice, add_branches
from tinytl_tf.networks.depths import with_depths
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.kernel_options import read_kernels, with_kernel_options
from tinytl_tf.networks.listing import default_resolution
from tinytl_tf.networks.sizes import Resolution, image_size
from tinytl_tf.networks.spec import NetworkSpec

__all__ = ["build", "canonical_name", "check_network", "network_spec"]

_TABLES_OF_KERAS = {"MobileNetV2": "mobilenet_v2"}
_IMAGENET_CLASSES = 1000


def build(
    architecture: str | Architecture | keras.Model,
    *,
    classes: int | None = None,
    resolution: Resolution | None = None,
    width: float = 1.0,
    branch_final_norm: bool = False,
    dropout: float = 0.2,
    weights: str | None = "imagenet",
    branch_weights: str | None = None,
    preprocess_input: str = "",
    kernels: Collection[str] = (),
    feature_places: Collection[str] = (),
    seed: int = 0,
    **branches: BranchChoice,
) -> keras.Model:
    """Builds a network in which everything except the classifier is frozen.

    Args:
        architecture: a key of `ARCHITECTURES`; your own table; the name of a `keras.applications` network, such as
            `"MobileNetV2"`; a name in one of the forms in `tinytl_tf.backbones.sources`, such as `"file:my.keras"`; or
            a Keras model (see `from_keras`).
        classes: number of outputs. For a table, `None` means the 1000 ImageNet classes; with ImageNet weights, the
            pre-trained classifier is loaded too. For a Keras model, `None` keeps the model's own classifier.
        resolution: height and width of the images in pixels, as one number or a pair; `None` for the size that the
            weights were trained on, or for the model's own size.
        width: multiplier for the number of channels; only for tables.
        branch_final_norm: whether lite residuals end with a norm, as in the paper; see `LiteResidual`.
        dropout: fraction of features dropped before the classifier during training in Keras.
        weights: `"imagenet"`, the path of a weight file, or `None` for random weights. The file's classifier is loaded
            if it has the same number of classes. A network from a file or from your own function has its own weights.
        branch_weights: path of a file of pre-trained branches; `"pretrained"` for the file that ships with the package;
            `"auto"` for that file if its branches were trained with the same frozen weights; or `None` for random
            branches with an initial output of zero.
        preprocess_input: preprocessing of pixels before a model from a file or function; see `load_source`.
        kernels: places with options for training their wide kernel. `"block_14:1/4"` lets a scheme train the first
            quarter of its output channels only, `"block_14:8bit"` keeps its input in 8 bits until the backward pass,
            and `"block_14:1/4:8bit"` does both; see `KernelOptions`.
        feature_places: places whose pooled outputs a new classifier reads in addition to the features, or `"late"` for
            the late places; see `with_depths`.
        seed: seed for the branches, the classifier and dropout.
        **branches: for each kind of branch, a key of `BRANCHES`, the places that get one. `lite_residual=True` adds one
            to every block that has room for one, except the first block; `lite_residual=["block_2"]` adds a single
            one; `lora=4` adds LoRA of rank 4 to every layer that can have it; and
            `lora={"places": ["block_2", "head"], "rank": 8}` adds it at two places.

    Returns:
        A `Network`, a functional `keras.Model` that maps images `(batch, height, width, 3)`, RGB from 0 to 255, to
        logits `(batch, classes)`. Normalization is inside.

    Raises:
        InputError: if the name is unknown; if a size is impossible; if the weights are missing or do not fit; or if a
            Keras setting is not supported.

    Example:
        >>> model = build("mobilenet_v2", classes=17, resolution=128, weights=None)
        >>> model.output_shape
        (None, 17)
    """
    require_keras_settings()
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be at least 0 and below 1, got {dropout}")
    options = {"dropout": dropout, "branch_final_norm": branch_final_norm, "kernels": kernels, "seed": seed}
    options |= {"feature_places": feature_places}
    if isinstance(architecture, keras.Model):
        _refuse_for_models(resolution, width, weights, branch_weights)
        return from_keras(
            architecture, classes=classes, preprocess_input=preprocess_input or None, **options, **branches
        )
    architecture = canonical_name(architecture)
    options |= {"classes": _classes(architecture, classes), "resolution": _resolution(architecture, resolution)}
    options |= {"width": width, "weights": weights}
    if isinstance(architecture, str) and is_source(architecture):
        name = architecture
        model = _build_source(name, preprocess_input=preprocess_input, **options, **branches)
    else:
        table = get_architecture(architecture) if isinstance(architecture, str) else architecture
        _refuse_preprocessing(table.name, preprocess_input)
        name = table.name
        model = _build_table(table, **options, **branches)
    if branch_weights == AUTO:
        branch_weights = PRETRAINED if branches.get(LITE_RESIDUAL) and shipped_fit(model, name, width) else None
    if branch_weights is not None:
        load_branches(model, name, branch_weights, width=width)
    return model


def canonical_name(name: Any) -> Any:
    """Returns the name of a network as used in configurations; tables are returned unchanged.

    Raises:
        InputError: if `name` is neither a string nor a table.

    Example:
        >>> canonical_name("MobileNetV2"), canonical_name("ResNet50"), canonical_name("mcunet_5fps")
        ('mobilenet_v2', 'keras:ResNet50', 'mcunet_5fps')
    """
    if isinstance(name, Architecture):
        return name
    if not isinstance(name, str):
        raise InputError(
            f"expected the name of a network, a table of blocks or a keras.Model, got {type(name).__name__}; "
            "`tinytl networks` lists names"
        )
    if name in _TABLES_OF_KERAS:
        return _TABLES_OF_KERAS[name]
    is_of_keras = inspect.isfunction(getattr(keras.applications, name, None))
    return f"keras:{name}" if is_of_keras and name not in ARCHITECTURES else name


def _classes(name: str | Architecture, classes: int | None) -> int:
    if classes is None and isinstance(name, str) and is_source(name):
        raise InputError(f"expected the number of your classes for {name!r}, got none; give classes=5, for example")
    if classes is not None and (isinstance(classes, bool) or not isinstance(classes, numbers.Integral)):
        raise InputError(f"expected classes as a whole number, got {classes!r:.80}; give that of your classes")
    return _IMAGENET_CLASSES if classes is None else int(classes)


def _resolution(name: str | Architecture, resolution: Resolution | None) -> Resolution:
    if resolution is not None:
        height, width = image_size(resolution)
        return height if height == width else (height, width)
    return default_resolution(name) if isinstance(name, str) else name.resolution


def _refuse_for_models(
    resolution: Resolution | None, width: float, weights: str | None, branch_weights: str | None
) -> None:
    """Refuses arguments that a Keras model sets itself: its size, width, weights and branch weights."""
    given = {"resolution": resolution, "width": None if width == 1 else width, "branch_weights": branch_weights}
    given["weights"] = None if weights == "imagenet" else weights
    name = next((name for name, value in given.items() if value is not None), None)
    if name:
        raise InputError(
            f"expected no {name} with a Keras model, which has its own, got {given[name]!r:.80}; leave it out"
        )


def check_network(
    name: str, *, classes: int, resolution: int, width: float, lite_residual: bool, preprocess_input: str = ""
) -> None:
    """Raises `InputError` if a named network cannot have these sizes; checks as much as possible without building it.

    Args:
        name: name of the network; see `build`.
        classes: number of outputs.
        resolution: height and width of the images, in pixels.
        width: multiplier for the number of channels.
        lite_residual: whether the network has lite residuals.
        preprocess_input: see `build`.
    """
    name = canonical_name(name)
    if is_source(name):
        check_source(name, classes=classes, resolution=resolution, width=width)
        return
    table = get_architecture(name)
    _refuse_preprocessing(name, preprocess_input)
    check_sizes(table.name, classes=classes, resolution=resolution, width=width, lite_residual=lite_residual)


def network_spec(
    name: str, *, resolution: int, classes: int, width: float = 1.0, preprocess_input: str = ""
) -> NetworkSpec:
    """Returns the description of a named network, without branches.

    Args:
        name: name of the network; see `build`. A network that is not a table is built once to describe it.
        resolution: height and width of the images, in pixels.
        classes: number of outputs.
        width: multiplier for the number of channels.
        preprocess_input: see `build`.

    Raises:
        InputError: if `build` raises it.

    Example:
        >>> network_spec("mobilenet_v2", resolution=96, classes=10).places[-1]
        'head'
    """
    name = canonical_name(name)
    if is_source(name):
        return source_spec(name, resolution=resolution, classes=classes, preprocess_input=preprocess_input)
    return from_table(name, resolution=resolution, classes=classes, width=width)


def _refuse_preprocessing(name: str, preprocess_input: str) -> None:
    if preprocess_input:
        raise InputError(f"preprocess_input does nothing for {name}, which has its own; leave it empty")


def _build_table(
    table: Architecture,
    *,
    classes: int,
    resolution: int,
    width: float,
    dropout: float,
    weights: str | None,
    branch_final_norm: bool,
    kernels: Collection[str],
    feature_places: Collection[str],
    seed: int,
    **branches: BranchChoice,
) -> keras.Model:
    lite_residual = bool(branches.get(LITE_RESIDUAL))
    check_sizes(table.name, classes=classes, resolution=resolution, width=width, lite_residual=lite_residual)
    spec = from_table(table, resolution=resolution, classes=classes, width=width, dropout=dropout)
    spec = with_depths(spec, feature_places)
    spec = add_branches(spec, branches, final_norm=branch_final_norm)
    spec = with_kernel_options(spec, read_kernels(kernels))
    model = build_network(spec, seed=seed)
    if weights is not None:
        load_weights(model, table, weights, width=width)
    return model


def _build_source(
    name: str,
    *,
    classes: int,
    resolution: int,
    width: float,
    weights: str | None,
    preprocess_input: str,
    **options: Any,
) -> keras.Model:
    check_source(name, classes=classes, resolution=resolution, width=width)
    source = load_source(name, resolution=resolution, weights=weights, preprocess_input=preprocess_input)
    return from_keras(source.model, classes=classes, preprocess_input=source.preprocess_input, **options)
