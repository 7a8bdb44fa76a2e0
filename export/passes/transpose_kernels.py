"""Pass: the backward pass transposes the kernels of the forward pass, in place of copies of its own."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.export.passes.kernel_copies import TURNS, drop_unread, find_copies
from tinytl_tf.tflite.edit import add_buffer, add_tensor, new_operator
from tinytl_tf.tflite.model import Model

__all__ = ["transpose_kernels"]

_WORTH = 2048  # bytes; below it the operator costs more than the constant


@dataclasses.dataclass(frozen=True)
class _Transposition:
    """The operators that turn a kernel, as `TURNS` does."""

    operator: str
    arguments: tuple[np.ndarray, ...]  # of one operator after the other
    options: Any


_TRANSPOSITIONS = {
    "CONV_2D": _Transposition("TRANSPOSE", (np.int32([3, 1, 2, 0]),), schema_fb.TransposeOptionsT),
    "DEPTHWISE_CONV_2D": _Transposition("REVERSE_V2", (np.int32([1]), np.int32([2])), schema_fb.ReverseV2OptionsT),
    "FULLY_CONNECTED": _Transposition("TRANSPOSE", (np.int32([1, 0]),), schema_fb.TransposeOptionsT),
}


def transpose_kernels(model: Model) -> int:
    """Replaces constant kernels that are other ones, transposed, by an operator that transposes those.

    The gradient of a convolution's input is a convolution with the same kernel, transposed for 1x1 and flipped for
    depthwise ones; for a dense layer it is a product with its transposed kernel. The converter computes that
    kernel once and stores it, so that a file holds each frozen kernel twice, and a process that trains reads both.

    XNNPACK does not accept computed kernels, so this is for files that run without a delegate; see `share_kernels`
    for all other files.

    Args:
        model: The file; its `schema` is changed.

    Returns:
        Number of operators with a kernel that is now transposed or flipped from a stored one.
    """
    schema = model.schema
    copies = find_copies(model, _TRANSPOSITIONS, _WORTH)
    arguments = {name: [add_buffer(schema, value) for value in t.arguments] for name, t in _TRANSPOSITIONS.items()}
    transposed: set[int] = set()
    for graph in model.graphs:
        subgraph = schema.subgraphs[graph.index]
        operators = []
        for position, (op, plain) in enumerate(zip(graph.operators, subgraph.operators, strict=True)):
            source = copies.get((graph.index, position))
            if source is not None:
                transposed.add(graph.tensors[op.inputs[1]].buffer)
                operators.extend(_transpose(schema, subgraph, plain, op.name, source, arguments[op.name]))
            operators.append(plain)
        subgraph.operators = operators
    drop_unread(model, transposed)
    return len(copies)


def _transpose(
    schema: schema_fb.ModelT,
    subgraph: schema_fb.SubGraphT,
    reader: schema_fb.OperatorT,
    name: str,
    source: int,
    arguments: Sequence[int],
) -> Iterator[schema_fb.OperatorT]:
    """Operators that transpose a stored kernel, with a result that replaces the reader's kernel."""
    transposition = _TRANSPOSITIONS[name]
    shape = subgraph.tensors[reader.inputs[1]].shape
    result = add_tensor(subgraph, TURNS[name](np.empty(shape, np.int8)).shape, "float32", source)
    for value, buffer in zip(transposition.arguments, arguments, strict=True):
        given, kernel = add_tensor(subgraph, value.shape, "int32", buffer), result
        result = add_tensor(subgraph, shape, "float32")
        yield new_operator(schema, transposition.operator, [kernel, given], [result], transposition.options())
    reader.inputs = [reader.inputs[0], result, *reader.inputs[2:]]
