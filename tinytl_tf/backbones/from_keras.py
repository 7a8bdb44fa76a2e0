"""Rebuilds a user's Keras model with the layers of this package."""

import dataclasses
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tinytl_tf.backbones.call import Call
from tinytl_tf.backbones.head import split_head, unused_name
from tinytl_tf.backbones.keras_reader import KerasReader, stable_name
from tinytl_tf.backbones.kernel_values import pair_values
from tinytl_tf.backbones.network_builder import build_network
from tinytl_tf.backbones.same_outputs import check_same_outputs
from tinytl_tf.errors import InputError
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.layers import SelectiveLayer
from tinytl_tf.networks.branches import BranchChoice, add_branches
from tinytl_tf.networks.depths import with_depths
from tinytl_tf.networks.kernel_options import read_kernels, with_kernel_options
from tinytl_tf.networks.places import assign_places
from tinytl_tf.networks.spec import CLASSIFIER, INPUT, LayerSpec, NetworkSpec

__all__ = ["RAW_PIXELS", "from_keras"]

_logger = logging.getLogger(__name__)

RAW_PIXELS = "raw"  # value of preprocess_input for models that take pixels of 0 to 255
_RGB = 3
# Layers that only move or select pixels.
_MOVING = (
    keras.layers.CenterCrop,
    keras.layers.Permute,
    keras.layers.RandomCrop,
    keras.layers.Resizing,
    keras.layers.ZeroPadding2D,
)


def from_keras(
    model: keras.Model,
    *,
    classes: int | None = None,
    branch_final_norm: bool = False,
    preprocess_input: Callable[[Any], Any] | str | None = None,
    dropout: float = 0.2,
    examples: np.ndarray | None = None,
    kernels: Collection[str] = (),
    feature_places: Collection[str] = (),
    seed: int = 0,
    **branches: BranchChoice,
) -> keras.Model:
    """Returns a network that computes the same as a Keras model, and that trains and exports like those from `build`.

    Nested models become one flat network. Convolutions, norms, activations, pools and dense layers are rebuilt with
    layers that keep little for the backward pass, and their weights are copied. Batch normalization never updates its
    statistics. Other layers are copied and always run in inference mode. If a layer's configuration does not reproduce
    it, the layer is shared with the model: freezing or training it in the network affects the model too. Layers that
    only augment images or regularize are dropped, except `Dropout`. Layer names begin with their place; see
    `NetworkSpec`. Everything except the classifier is frozen, whatever the model's `trainable` is.

    Args:
        model: a functional model, a `Sequential` model, a subclass that calls layers in `call`, or a nesting of these;
            it must have one input and one output.
        classes: number of outputs of a new classifier. It replaces the model's classifier, or is appended to a model
            that lacks one. `None` keeps the model's classifier but removes its softmax or sigmoid, so that the network
            ends with logits. Removing a sigmoid logs a warning, since an exported file applies softmax to logits
            unless it is exported with `task="multilabel"`. A classifier without a bias gets one that starts at zero.
        branch_final_norm: whether lite residuals end with a norm, as in the paper; see `LiteResidual`.
        preprocess_input: preprocessing of pixels of 0 to 255 if it is not part of the model, for example
            `keras.applications.resnet50.preprocess_input`; `"raw"` if the model takes such pixels directly.
        dropout: fraction of features dropped before a new classifier during training in Keras; dropout right before
            the replaced classifier is removed.
        examples: inputs `[n, ...]` for comparing the network with the model, images with pixels of 0 to 255. By
            default, they are random.
        kernels: places with options for training their wide kernel; see `build`.
        feature_places: places whose pooled outputs a new classifier reads in addition to the features; see `build`.
        seed: seed for the branches and a new classifier.
        **branches: for each kind of branch, the places that get one; see `build`.

    Returns:
        A `Network`, a functional `keras.Model` that maps inputs like the model's (raw pixels for images) to logits
        `(batch, classes)`.

    Raises:
        InputError: if the model has several inputs or outputs; if a layer is not supported; or if the preprocessing of
            pixels is unknown. The message names the layer.
        ParityError: if the outputs of the network and the model differ; the message names the first layer that
            differs.

    Example:
        >>> base = keras.applications.MobileNetV3Small((64, 64, 3), include_top=False, weights=None)
        >>> network = from_keras(base, classes=5, lite_residual=["block_2"])
        >>> network.output_shape
        (None, 5)
    """
    require_keras_settings()
    _check_arguments(classes, dropout)
    if feature_places and classes is None:
        raise InputError(
            f"expected no feature_places without classes=, got {feature_places!r:.80}: the model's own classifier "
            "reads its last features only; give classes= for a new one"
        )
    reader = KerasReader()
    body = reader.body(model)
    shape = _require_one_end(body)
    before = reader.read(_as_model(preprocess_input, shape), [INPUT]) if callable(preprocess_input) else INPUT
    output = reader.read(body, [before])
    layers = _with_pixels(reader.layers, reader.calls, shape, preprocess_input)
    head = split_head(layers, output, reader.values, classes, dropout)
    if head.activation == "sigmoid":
        _logger.warning('%s ends with a sigmoid for each output: export it with task="multilabel"', model.name)
    placed = assign_places(head.layers)
    names = _placed_names(placed)
    spec = NetworkSpec(stable_name(model), shape, tuple(_renamed(layer, names) for layer in placed))
    spec = with_depths(spec, feature_places)
    spec = add_branches(spec, branches, final_norm=branch_final_norm)
    spec = with_kernel_options(spec, read_kernels(kernels))
    calls = {names[name]: call for name, call in reader.calls.items() if name in names}
    network = build_network(spec, calls=calls, seed=seed)
    values = {names[name]: own for name, own in reader.values.items() if name in names}
    _assign(network, {**values, CLASSIFIER: head.values})
    outputs = {names[name]: node for node, name in reader.outputs if name in names}
    check_same_outputs(network, model, reader.body, outputs, names[head.features], head, preprocess_input, examples)
    return network


def _check_arguments(classes: int | None, dropout: float) -> None:
    if classes is not None and (not isinstance(classes, int | np.integer) or classes < 1):
        raise InputError(f"classes must be an integer above 0, or None for the model's classifier, got {classes!r}")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be at least 0 and below 1, got {dropout}")


def _require_one_end(model: keras.Model) -> tuple[int, ...]:
    """Returns a model's input shape; refuses models with several inputs or outputs, and networks of this package."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        counts = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise InputError(
            f"expected a model of one input and one output, got {counts}; give keras.Model(input, output) of one task"
        )
    if any(isinstance(layer, SelectiveLayer) for layer in model.layers):
        raise InputError(f"expected a model of Keras' own layers, got {model.name!r}, which is a network already")
    shape, dtype = tuple(model.inputs[0].shape[1:]), keras.backend.standardize_dtype(model.inputs[0].dtype)
    if "float" not in dtype and not _is_image(shape):
        raise InputError(
            f"expected an input of images or of float32, got {dtype} {(None, *shape)}; give the model from the first "
            "layer on that takes floats, for example behind an Embedding"
        )
    if None in shape:
        raise InputError(
            f"expected an input of a fixed size, got {(None, *shape)}: exported files have one; build the model with "
            "input_shape=, or call it on keras.Input of the size to train on"
        )
    return shape


def _as_model(function: Callable[[Any], Any], shape: Sequence[int]) -> keras.Model:
    inputs = keras.Input(shape)
    try:
        model = keras.Model(inputs, function(inputs), name="preprocess_input")
    except Exception as error:  # the user's code can raise any error on symbolic tensors
        raise InputError(
            f"expected preprocess_input to be made of operations of Keras, got {function!r:.80}, which does not run on "
            f"symbolic tensors ({type(error).__name__}); write it with keras.ops, or as a Rescaling layer in the model"
        ) from error
    if tuple(model.output.shape[1:]) != shape:
        raise InputError(
            f"expected preprocess_input to give the model's input, {(None, *shape)}, got {model.output.shape}; "
            "leave resizing to the data"
        )
    return model


def _with_pixels(
    layers: Sequence[LayerSpec],
    calls: Mapping[str, Call],
    shape: tuple[int, ...],
    preprocess_input: Callable | str | None,
) -> list[LayerSpec]:
    """Returns the layers of a network; a network for images takes raw pixels and begins with a rescaling."""
    first = [layer for layer in layers if INPUT in layer.inputs]
    if preprocess_input is not None and not callable(preprocess_input) and preprocess_input != RAW_PIXELS:
        raise InputError(
            f"expected preprocess_input as a function or {RAW_PIXELS!r}, got {preprocess_input!r:.80}; "
            "keras.applications has one for each of its networks"
        )
    if not _is_image(shape) or all(layer.kind == "rescale" for layer in first):
        return list(layers)
    unknown = _first_of_pixels(layers, calls)
    if unknown and preprocess_input is None:
        raise InputError(
            f"expected to know the preprocessing of pixels before {unknown!r}: files take raw photos, and the model "
            "has no Rescaling before it; give preprocess_input=, as keras.applications.resnet50.preprocess_input, or "
            f"preprocess_input={RAW_PIXELS!r} if it takes pixels of 0 to 255"
        )
    name = unused_name("normalize", (layer.name for layer in layers))
    normalize = LayerSpec(name, "rescale", (INPUT,), shape, "", options=(("scale", 1.0), ("offset", 0.0)))
    rewired = (
        dataclasses.replace(
            layer, inputs=tuple(normalize.name if source == INPUT else source for source in layer.inputs)
        )
        for layer in layers
    )
    return [normalize, *rewired]


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == _RGB and shape[-1] == _RGB


def _first_of_pixels(layers: Sequence[LayerSpec], calls: Mapping[str, Call]) -> str:
    """Returns the first layer that computes on raw pixels; "" if all pixels are rescaled first."""
    pixels = {INPUT}
    for layer in layers:
        if not pixels.intersection(layer.inputs):
            continue
        moves = layer.name in calls and isinstance(calls[layer.name].operation, _MOVING)
        if moves or layer.kind in ("crop", "reshape"):
            pixels.add(layer.name)
        elif layer.kind != "rescale" and (layer.kind != "keras" or layer.variables):
            return layer.name
    return ""


def _placed_names(layers: Sequence[LayerSpec]) -> dict[str, str]:
    """Returns the new name of each layer, which begins with the layer's place."""
    names: dict[str, str] = {}
    for layer in layers:
        begins = layer.name == layer.place or layer.name.startswith(f"{layer.place}_")
        names[layer.name] = unused_name(layer.name if begins else f"{layer.place}_{layer.name}", names.values())
    return names


def _renamed(layer: LayerSpec, names: Mapping[str, str]) -> LayerSpec:
    """Returns a layer with its new name; the paths of its variables begin with that name too."""
    name = names[layer.name]
    variables = tuple(
        dataclasses.replace(variable, path=name + variable.path.removeprefix(layer.name), place=layer.place)
        for variable in layer.variables
    )
    inputs = tuple(names.get(source, source) for source in layer.inputs)
    return dataclasses.replace(layer, name=name, inputs=inputs, variables=variables)


def _assign(network: keras.Model, values: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Copies values into the layers' variables; the values are keyed by layer name, then by path in the layer."""
    variables = {variable.path: variable for variable in network.weights}
    for name, own in values.items():
        for path, value in own.items():
            for variable, part in pair_values(variables, f"{name}/{path}", value):
                variable.assign(part)
