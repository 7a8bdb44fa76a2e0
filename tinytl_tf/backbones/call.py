"""A call to a layer without a counterpart in this package; it can be repeated in another network."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf.errors import InputError
from tinytl_tf.layers import BranchedAttention, SelectiveWrapper

__all__ = ["Call"]


@dataclasses.dataclass(frozen=True)
class Call:
    """A call to a layer or a `keras.ops` operation in a model.

    Attributes:
        operation: layer or operation.
        node: node of the call in the model's graph; it holds the arguments.
    """

    operation: keras.Operation
    node: Any

    def run(self, inputs: Sequence[Any]) -> Any:
        """Returns the output of the operation in inference mode for the given inputs."""
        args, kwargs = self.arguments(inputs)
        if isinstance(self.operation, keras.Layer):
            kwargs["training"] = False
        return self.operation(*args, **kwargs)

    def again(self, name: str, inputs: Sequence[keras.KerasTensor], ports: Sequence[str] = ()) -> keras.KerasTensor:
        """Repeats the call in another network.

        A layer with variables is copied into that network. If its configuration does not reproduce the layer, the
        layer is shared instead: it belongs to that network from then on.

        Args:
            name: name of the layer in that network.
            inputs: input tensors in that network.
            ports: inner layers that branches are added to; the outputs of the branches are the last inputs.

        Raises:
            InputError: if the layer is already shared with a network under a different name.
        """
        own = len(inputs) - len(ports)
        args, kwargs = self.arguments(inputs[:own])
        if not isinstance(self.operation, keras.Layer):
            return _named(self.operation, name)(*args, **kwargs)
        layer = _copy_of(self.operation, args, kwargs) or self.operation
        if layer is self.operation and any(_is_of_another(variable, layer, name) for variable in layer.weights):
            raise InputError(
                f"expected layers that can be copied, got {layer.name!r} ({type(layer).__name__}), which is part of "
                "another network already; give it a get_config and from_config, or build the model again"
            )
        if ports:
            return BranchedAttention(layer, ports, name=name)(*args, branches=list(inputs[own:]), **kwargs)
        return SelectiveWrapper(layer, name=name)(*args, **kwargs)

    def arguments(self, inputs: Sequence[Any]) -> tuple[tuple, dict[str, Any]]:
        """Returns the arguments of the call, with the model's tensors replaced by `inputs`."""
        values = {id(tensor): value for tensor, value in zip(self.node.input_tensors, inputs, strict=True)}
        args, kwargs = self.node.arguments.fill_in(values)
        kwargs.pop("training", None)
        return args, kwargs


def _named(operation: keras.Operation, name: str) -> keras.Operation:
    """Returns a copy of an operation with a new name, or the operation itself if copying fails."""
    try:
        return type(operation).from_config({**operation.get_config(), "name": name})
    except Exception:  # an argument is not a value that Keras can serialize
        return operation


def _copy_of(layer: keras.Layer, args: tuple, kwargs: dict[str, Any]) -> keras.Layer | None:
    """Returns a built layer with the same class, configuration and values, or `None` if copying fails."""
    if not layer.variables:
        return None
    try:
        copy = type(layer).from_config(layer.get_config())
        copy(*args, **kwargs)
        copy.set_weights(layer.get_weights())
        args, kwargs = keras.tree.map_structure(_example, (args, kwargs))
        pairs = zip(*(keras.tree.flatten(one(*args, training=False, **kwargs)) for one in (copy, layer)), strict=True)
        if not all(np.array_equal(mine, own, equal_nan=True) for mine, own in pairs):
            return None  # a configuration stores functions by name; the name may refer to a different function
    except Exception:  # a layer that needs more than its configuration can raise any error
        return None
    return copy


def _example(argument: Any) -> Any:
    """Returns random values for a symbolic tensor; other arguments are returned unchanged."""
    if not isinstance(argument, keras.KerasTensor):
        return argument
    shape = [size or 1 for size in argument.shape]
    return tf.cast(np.random.default_rng(0).normal(size=shape), argument.dtype)


def _is_of_another(variable: keras.Variable, layer: keras.Layer, name: str) -> bool:
    return not variable.path.startswith((f"{layer.path}/", f"{name}/"))
