"""Adds and removes parts of a file, for the passes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

__all__ = ["NESTED", "add_buffer", "add_operator_code", "add_tensor", "drop_unused_codes", "new_operator", "set_nested"]

# Fields that hold the indices of the graphs that an operator runs.
NESTED = {
    "WHILE": ("condSubgraphIndex", "bodySubgraphIndex"),
    "IF": ("thenSubgraphIndex", "elseSubgraphIndex"),
    "CALL_ONCE": ("initSubgraphIndex",),
}
_LAST_DEPRECATED = 127  # largest code in the old field, which is one byte


def add_operator_code(schema: schema_fb.ModelT, name: str, version: int = 1) -> int:
    """Returns the index of an operator code of the file; adds the code if it is missing."""
    builtin = getattr(schema_fb.BuiltinOperator, name)
    for index, code in enumerate(schema.operatorCodes):
        if code.builtinCode == builtin and code.version == version:
            return index
    code = schema_fb.OperatorCodeT()
    code.builtinCode, code.version = builtin, version
    code.deprecatedBuiltinCode = min(builtin, _LAST_DEPRECATED)
    schema.operatorCodes.append(code)
    return len(schema.operatorCodes) - 1


def drop_unused_codes(schema: schema_fb.ModelT) -> None:
    """Removes unused operator codes: a runtime that lacks an operator refuses the file."""
    operators = [op for subgraph in schema.subgraphs for op in subgraph.operators or ()]
    used = sorted({op.opcodeIndex for op in operators})
    numbers = {old: new for new, old in enumerate(used)}
    # By identity: an operator that two graphs share must not be renumbered twice.
    for op in {id(op): op for op in operators}.values():
        op.opcodeIndex = numbers[op.opcodeIndex]
    schema.operatorCodes = [schema.operatorCodes[index] for index in used]


def add_buffer(schema: schema_fb.ModelT, content: np.ndarray) -> int:
    """Stores an array; returns the index of its buffer."""
    buffer = schema_fb.BufferT()
    buffer.data = np.frombuffer(content.tobytes(), np.uint8)
    schema.buffers.append(buffer)
    return len(schema.buffers) - 1


def add_tensor(subgraph: schema_fb.SubGraphT, shape: Sequence[int], dtype: str, buffer: int = 0) -> int:
    """Adds a tensor to a graph; returns its index.

    Args:
        subgraph: the graph, which is changed.
        shape: shape of the tensor.
        dtype: numpy's name for its type.
        buffer: index of the buffer of a constant; 0 for the output of an operator.
    """
    tensor = schema_fb.TensorT()
    tensor.shape, tensor.buffer = [int(size) for size in shape], buffer
    tensor.type = getattr(schema_fb.TensorType, dtype.upper())
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def new_operator(
    schema: schema_fb.ModelT,
    name: str,
    inputs: Sequence[int],
    outputs: Sequence[int],
    options: Any = None,
    version: int = 1,
) -> schema_fb.OperatorT:
    """Creates an operator, which the caller adds to a graph.

    Args:
        schema: the file, to which the operator's code is added if it is missing.
        name: builtin name.
        inputs: indices of the input tensors.
        outputs: indices of the output tensors.
        options: the schema's object with the attributes, if the operator has any.
        version: version of the operator.
    """
    op = schema_fb.OperatorT()
    op.opcodeIndex = add_operator_code(schema, name, version)
    op.inputs, op.outputs = list(inputs), list(outputs)
    if options is not None:
        op.builtinOptions = options
        op.builtinOptionsType = getattr(schema_fb.BuiltinOptions, type(options).__name__.removesuffix("T"))
    return op


def set_nested(op: schema_fb.OperatorT, name: str, graphs: Sequence[int]) -> None:
    """Sets the graphs that an operator runs.

    Args:
        op: the operator, which is changed.
        name: builtin name, one of `NESTED`.
        graphs: indices of the graphs, in the order of `Operator.nested`.
    """
    for field, index in zip(NESTED[name], graphs, strict=True):
        setattr(op.builtinOptions, field, index)
