"""Splits a network at a place into a frozen prefix and a trainable suffix."""

import dataclasses

import keras

from tinytl_tf.backbones.describe import describe
from tinytl_tf.backbones.nodes import network_nodes
from tinytl_tf.errors import InputError
from tinytl_tf.networks.spec import CLASSIFIER, STEM

__all__ = ["SplitModel", "dequantizing", "last_split", "split_model", "split_places"]


@dataclasses.dataclass(frozen=True)
class SplitModel:
    """A network in two parts, which share the network's layers.

    Attributes:
        place: name of the first place of the suffix.
        prefix: model that maps images `(batch, height, width, 3)` with pixels of 0 to 255 to features; nothing in it is
            trained.
        suffix: model that maps features to logits `(batch, classes)`.
    """

    place: str
    prefix: keras.Model
    suffix: keras.Model

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one image."""
        return tuple(self.suffix.input_shape[1:])


def split_places(model: keras.Model) -> list[str]:
    """Returns the places at which `split_model` can split a network, from the input to the output.

    These are the places of `NetworkSpec` except the stem, and the classifier. The suffix must depend on only one
    tensor from before the place: the features.
    """
    return [place for place, boundary in _boundaries(model).items() if boundary is not None]


def last_split(model: keras.Model) -> str | None:
    """Returns the last place before which nothing is trained, or None if there is no such place.

    The layers before that place produce the same features in every epoch.
    """
    trained = {id(variable) for variable in model.trainable_variables}
    found = None
    for place, boundary in _boundaries(model).items():
        if boundary is None:
            continue
        prefix = keras.Model(model.inputs[0], boundary)
        if any(id(variable) in trained for variable in prefix.variables):
            break
        found = place
    return found


def split_model(model: keras.Model, place: str) -> SplitModel:
    """Splits a network before a place.

    Args:
        model: network of `tinytl_tf.backbones`; the parts share its layers, and nothing is copied.
        place: name of the first place of the suffix, one of `split_places`.

    Returns:
        The prefix and the suffix.

    Raises:
        InputError: if the network cannot be split there; or if a variable before the place is trained.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=64, width=0.35, weights=None)
        >>> split_model(model, "block_13").feature_shape
        (4, 4, 32)
    """
    _require_place(model, place)
    boundary = _boundaries(model)[place]
    prefix = keras.Model(model.inputs[0], boundary, name=f"{model.name}_prefix")
    trained = [variable.path for variable in prefix.trainable_variables]
    if trained:
        listed = ", ".join(trained[:3]) + (f" and {len(trained) - 3} more" if len(trained) > 3 else "")
        raise InputError(
            f"expected nothing to train before {place!r}, got {listed}: layers before a split are frozen; train from "
            "there on only, or split at an earlier place"
        )
    suffix = keras.Model(boundary, model.outputs[0], name=f"{model.name}_suffix")
    return SplitModel(place, prefix, suffix)


def dequantizing(suffix: keras.Model, scale: float, zero_point: int) -> keras.Model:
    """Returns a suffix that takes the integer features of an int8 prefix and dequantizes them in its first layer.

    Args:
        suffix: suffix made by `split_model`; the result shares its layers.
        scale: quantization scale of the features.
        zero_point: integer that represents 0.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=64, width=0.35, weights=None)
        >>> dequantizing(split_model(model, "head").suffix, 0.1, 3).layers[1].name
        'dequantize'
    """
    features = keras.Input(suffix.input_shape[1:], name="features")
    x = keras.layers.Rescaling(scale, -scale * zero_point, name="dequantize")(features)
    values = {id(suffix.inputs[0]): x}
    for node in network_nodes(suffix):  # node by node, since tiling needs the suffix's inner layers
        args, kwargs = node.arguments.fill_in(values)
        values[id(node.outputs[0])] = node.operation(*args, **kwargs)
    return keras.Model(features, values[id(suffix.outputs[0])], name=suffix.name)


def _require_place(model: keras.Model, place: str) -> None:
    places = split_places(model)
    if place not in places:
        raise InputError(
            f"expected a place at which the network can be split, one of {', '.join(places)}, got {place!r:.80}"
        )


def _boundaries(model: keras.Model) -> dict[str, keras.KerasTensor | None]:
    """Returns, for each place, the only tensor that enters it and all later places; None if there is more than one."""
    spec = describe(model)
    names = {name: spec.boundary(name) for name in (*spec.places, CLASSIFIER) if name != STEM}
    return {name: model.get_layer(layer).output if layer else None for name, layer in names.items()}
