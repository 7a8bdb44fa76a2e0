"""A graph of a `.tflite`: its tensors and operators."""

import collections
import dataclasses
from typing import Any

__all__ = ["Graph", "Operator", "Tensor"]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a graph.

    Attributes:
        index: Its number in the graph.
        name: Its name; the converter makes it from the names of the TensorFlow nodes.
        shape: Static shape.
        dtype: Name of the type in lower case, numpy's where numpy has it.
        bytes: Size of its content; 0 for handles of variables.
        is_constant: Whether its content is stored in the file.
        is_variable: Whether it keeps its content between calls. Resource variables are not tensors of this kind.
        buffer: Number of the file's buffer that holds its content.
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
        inputs: Numbers of tensors; -1 for an omitted input.
        outputs: Numbers of tensors.
        is_custom: Whether it is not one of the runtime's own operators; Flex operators are custom ones.
        nested: Numbers of the graphs that it runs: condition and body of WHILE, both branches of IF.
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
        index: Its number in the file.
        name: Its name.
        tensors: All tensors.
        operators: In the order of execution.
        inputs: Numbers of tensors.
        outputs: Numbers of tensors.
        dynamic: Tensors that the runtime cannot plan: outputs of operators with a computed shape, scalars read
            from variables, and results of loops and branches that contain such an operator.
        dropped: Results of WHILE that the loop does not change and no operator reads: they get no memory.
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
        """How often each tensor is read by operators; reading it twice in one operator counts twice."""
        return collections.Counter(i for op in self.operators for i in op.inputs if i >= 0)
