"""Describes a Keras model that this package built."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from tinytl_tf.backbones.nodes import network_nodes
from tinytl_tf.layers import (
    Activation,
    AveragePooling,
    BranchedAttention,
    Crop,
    FrozenConv1D,
    FrozenConv2D,
    FrozenDense,
    FrozenDepthwiseConv1D,
    FrozenDepthwiseConv2D,
    FrozenNorm,
    Gate,
    GlobalAveragePooling,
    GroupNorm,
    LayerNorm,
    MaxPooling,
    SelectiveWrapper,
    Upsampling,
)
from tinytl_tf.layers.parted_kernel import PartedKernel
from tinytl_tf.networks.branches import BRANCHES, PORTS, BranchKind
from tinytl_tf.networks.kernel_options import KernelOptions
from tinytl_tf.networks.spec import INPUT, STEM, LayerSpec, NetworkSpec, place_of, place_position
from tinytl_tf.networks.variables import branch_of, variable_spec

__all__ = ["describe", "describe_calls"]


def describe(model: keras.Model) -> NetworkSpec:
    """Returns the description of a network, derived from its layers and their names.

    Args:
        model: network made by `build` or `from_keras`, new or loaded from a file; or a part of such a network.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> from tinytl_tf.networks.from_table import from_table
        >>> model = build("mobilenet_v2", classes=10, resolution=64, width=0.35, weights=None)
        >>> describe(model) == from_table("mobilenet_v2", classes=10, resolution=64, width=0.35)
        True
    """
    return describe_calls(model)[0]


def describe_calls(model: keras.Model) -> tuple[NetworkSpec, dict[str, Any]]:
    """Returns the description of a network, and the node of each layer by name.

    Args:
        model: see `describe`. If a layer is called more than once, each call becomes a separate layer.
    """
    nodes = {}
    names = {id(tensor): INPUT for tensor in model.inputs}
    layers: dict[str, LayerSpec] = {}
    for node in network_nodes(model):
        layer = node.operation
        inputs = tuple(names[id(tensor)] for tensor in node.input_tensors)
        kind, fields = _read(layer)
        name = _unused(layer.name, layers)
        layers[name] = LayerSpec(
            name,
            kind,
            inputs,
            tuple(node.outputs[0].shape[1:]),
            place_of(name) or _inherited(inputs, layers),
            tuple(map(variable_spec, getattr(layer, "weights", ()))),
            branch=branch_of(name),
            **fields,
        )
        nodes[name] = node
        names |= {id(tensor): name for tensor in node.outputs}
    spec = NetworkSpec(model.name, tuple(model.inputs[0].shape[1:]), tuple(_with_dropout_behind(layers)))
    return spec, nodes


def _unused(name: str, layers: Mapping[str, LayerSpec]) -> str:
    """Returns the name, with a suffix for further calls to the same layer."""
    return name if name not in layers else _unused(f"{name}_again", layers)


def _inherited(inputs: Sequence[str], layers: Mapping[str, LayerSpec]) -> str:
    """Returns the place of a layer with no place in its name: the last of its inputs' places."""
    places = [layers[name].place for name in inputs if name != INPUT]
    return max(places, key=place_position, default=STEM)


def _with_dropout_behind(layers: Mapping[str, LayerSpec]) -> Iterator[LayerSpec]:
    """Yields the layers, with dropout right before the classifier assigned to the classifier's place."""
    *_, last = layers.values()
    behind, name = set(), last.inputs[0]
    while name != INPUT and layers[name].kind == "dropout":
        behind.add(name)
        name = layers[name].inputs[0]
    for name, layer in layers.items():
        yield dataclasses.replace(layer, place=last.place) if name in behind else layer


def _read(layer: keras.Operation) -> tuple[str, dict[str, object]]:
    """Returns the kind of a layer, and the description fields derived from the layer."""
    if type(layer) in _READERS:
        kind, read = _READERS[type(layer)]
        return kind, read(layer)
    for kind in BRANCHES.values():
        module, name = kind.layer
        if type(layer).__name__ == name and type(layer).__module__.startswith(module):
            return kind.name, _branch(layer, kind)
    if isinstance(layer, SelectiveWrapper):
        wrapped = layer.layer
        kinds = {keras.layers.Dense: "dense", keras.layers.MultiHeadAttention: "attention"}
        options = ((PORTS, layer.ports),) if isinstance(layer, BranchedAttention) else ()
        return kinds.get(type(wrapped), "keras"), {"options": options}
    return "keras", {}


def _window(layer: FrozenConv2D) -> dict[str, object]:
    norm = (("epsilon", layer.epsilon),) if layer.norm else (("norm", False), ("use_bias", layer.use_bias))
    activation = (("activation", layer.activation),) if layer.activation else ()
    depthwise = isinstance(layer, FrozenDepthwiseConv2D | FrozenDepthwiseConv1D)
    kernel = () if depthwise else _kernel_options(layer)
    return {
        "kernel_size": layer.kernel_size,
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation": layer.dilation_rate,
        "groups": layer.kernel.shape[-2] if depthwise else layer.groups,
        "options": (*norm, *activation, *kernel),
    }


def _kernel_options(layer: PartedKernel) -> tuple[tuple[str, object], ...]:
    return KernelOptions(layer.kernel_share, layer.kept_bits).layer_options


def _options(*names: str) -> Callable[[keras.layers.Layer], dict[str, object]]:
    def read(layer):
        values = ((name, getattr(layer, name)) for name in names)
        return {"options": tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in values)}

    return read


def _branch(layer: keras.layers.Layer, kind: BranchKind) -> dict[str, object]:
    """Returns the arguments that recreate the layer of a branch."""
    values = layer.get_config()
    chosen = [
        name
        for name in kind.settings  # "wide" selects layers, and is not an argument of one
        if name not in kind.arguments and values.get(name) not in (None, False, kind.defaults.get(name))
    ]
    options = ((name, values[name]) for name in (*kind.arguments, *chosen))
    return {"options": tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in options)}


def _activation(layer: Activation) -> dict[str, object]:
    slope = () if layer.negative_slope is None else (("negative_slope", layer.negative_slope),)
    return {"options": (("activation", layer.activation), *slope)}


def _pool(layer: MaxPooling | AveragePooling) -> dict[str, object]:
    size = layer.pool_size
    return {"kernel_size": size, "strides": layer.strides or size, "padding": layer.padding}


_NORM = ("epsilon", "center", "scale")
_READERS = {
    keras.layers.Rescaling: ("rescale", _options("scale", "offset")),
    FrozenConv1D: ("convolution", _window),
    FrozenConv2D: ("convolution", _window),
    FrozenDense: ("dense", lambda layer: {"options": _kernel_options(layer)}),
    FrozenDepthwiseConv1D: ("depthwise", _window),
    FrozenDepthwiseConv2D: ("depthwise", _window),
    FrozenNorm: ("norm", _options(*_NORM)),
    LayerNorm: ("layer_norm", _options(*_NORM)),
    GroupNorm: ("group_norm", _options("groups", *_NORM)),
    Activation: ("activation", _activation),
    keras.layers.Activation: ("activation", lambda layer: {"options": (("activation", layer.activation.__name__),)}),
    Gate: ("gate", _options("activation")),
    MaxPooling: ("max_pool", _pool),
    AveragePooling: ("average_pool", _pool),
    Upsampling: ("upsample", _options("size")),
    Crop: ("crop", _options("begin", "size")),
    GlobalAveragePooling: ("global_pool", _options()),
    keras.layers.Add: ("add", _options()),
    keras.layers.Concatenate: ("concatenate", _options("axis")),
    keras.layers.Reshape: ("reshape", _options()),
    keras.layers.Dropout: ("dropout", _options("rate")),
    keras.layers.Dense: ("dense", _options()),
}
