"""A graph of a `.tflite`: its tensors and operators."""

import collections
import dataclasses
from typing import Any

__all__ = ["Graph", "Operator", "Tensor"]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a graph.

    Attributes:
        index: Its index in the graph.
        name: Its name, which the converter makes from the names of the TensorFlow nodes.
        shape: Static shape.
        dtype: Name of the type in lower case, as in numpy if numpy has the type.
        bytes: Size of its content; 0 for handles of variables.
        is_constant: Whether its content is stored in the file.
        is_variable: Whether it keeps its content between calls. Resource variables are not tensors of this kind.
        buffer: Index of the file's buffer that holds its content.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    is_constant: bool
    is_variable: bool
    buffer: int


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operator of a graph.

    Attributes:
        name: Its builtin name (`CONV_2D`), or the name of the custom operator.
        version: Version that the runtime must support.
        inputs: Indices of the input tensors; -1 for an omitted input.
        outputs: Indices of the output tensors.
        is_custom: Whether it is not one of the runtime's own operators; Flex operators are custom operators.
        nested: Indices of the graphs that it runs: condition and body of WHILE, both branches of IF.
        options: The schema's object with the attributes, or None.
    """

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    is_custom: bool
    nested: tuple[int, ...]
    options: Any


@dataclasses.dataclass(frozen=True)
class Graph:
    """One subgraph; its operators run in the order of the file.

    Attributes:
        index: Its index in the file.
        name: Its name.
        tensors: All tensors.
        operators: All operators, in execution order.
        inputs: Indices of the input tensors.
        outputs: Indices of the output tensors.
        dynamic: Indices of tensors whose memory the runtime cannot plan ahead: outputs whose shape is computed at run
            time, scalars read from variables, and outputs of WHILE and IF operators that contain such an operator.
        dropped: Indices of WHILE outputs that the loop body passes through unchanged and that no operator reads. The
            runtime allocates no memory for them.
    """

    index: int
    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    dynamic: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()

    def readers(self) -> collections.Counter:
        """Returns how often operators read each tensor; an operator that reads a tensor twice counts twice."""
        return collections.Counter(i for op in self.operators for i in op.inputs if i >= 0)
