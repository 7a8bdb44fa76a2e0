"""A call of a layer that has no counterpart here, which is made again in another network."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from tinytl_tf.layers import BranchedAttention, SelectiveWrapper

__all__ = ["Call"]


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of a layer, or of an operation of `keras.ops`, in a model.

    Attributes:
        operation: what is called.
        node: the call in the model's graph, which has the arguments.
    """

    operation: keras.Operation
    node: Any

    def run(self, inputs: Sequence[Any]) -> Any:
        """Returns what the operation gives for other inputs than the model's."""
        args, kwargs = self.arguments(inputs)
        return self.operation(*args, **kwargs)

    def again(self, name: str, inputs: Sequence[keras.KerasTensor], ports: Sequence[str] = ()) -> keras.KerasTensor:
        """Makes the call in another network.

        A layer with variables is shared, never cloned from its configuration, which not every layer can read again.

        Args:
            name: of the layer there.
            inputs: the tensors that it takes there.
            ports: to what inside of it branches are added; their outputs are the last inputs.
        """
        own = len(inputs) - len(ports)
        args, kwargs = self.arguments(inputs[:own])
        operation = self.operation
        if ports:
            return BranchedAttention(operation, ports, name=name)(*args, branches=list(inputs[own:]), **kwargs)
        if isinstance(operation, keras.Layer):
            operation = SelectiveWrapper(operation, name=name)
        return operation(*args, **kwargs)

    def arguments(self, inputs: Sequence[Any]) -> tuple[tuple, dict[str, Any]]:
        """Returns the arguments of the call, with other tensors in the place of the model's own."""
        values = {id(tensor): value for tensor, value in zip(self.node.input_tensors, inputs, strict=True)}
        args, kwargs = self.node.arguments.fill_in(values)
        kwargs.pop("training", None)
        return args, kwargs
