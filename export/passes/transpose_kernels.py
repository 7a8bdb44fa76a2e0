"""Pass: makes the backward pass transpose the kernels of the forward pass instead of storing copies."""

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
    """The operators that compute the function in `TURNS`."""

    operator: str
    arguments: tuple[np.ndarray, ...]  # the second argument of each operator, in order
    options: Any


_TRANSPOSITIONS = {
    "CONV_2D": _Transposition("TRANSPOSE", (np.int32([3, 1, 2, 0]),), schema_fb.TransposeOptionsT),
    "DEPTHWISE_CONV_2D": _Transposition("REVERSE_V2", (np.int32([1]), np.int32([2])), schema_fb.ReverseV2OptionsT),
    "FULLY_CONNECTED": _Transposition("TRANSPOSE", (np.int32([1, 0]),), schema_fb.TransposeOptionsT),
}


def transpose_kernels(model: Model) -> int:
    """Replaces kernels that are transposed copies of other kernels with operators that transpose those kernels.

    The gradient with respect to a convolution's input is a convolution with the same kernel, transposed for 1x1
    convolutions and flipped for depthwise convolutions. For a dense layer, it is a product with the transposed kernel.
    The converter stores this second kernel as a constant, so a file contains each frozen kernel twice, and a process
    that trains reads both.

    XNNPACK does not accept computed kernels, so this pass is for files that run without a delegate. See
    `share_kernels` for files that run with XNNPACK.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of operators whose kernel is now computed by transposing or flipping a stored kernel.
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
    """Yields operators that transpose a stored kernel, and makes the reader use their result as its kernel."""
    transposition = _TRANSPOSITIONS[name]
    shape = subgraph.tensors[reader.inputs[1]].shape
    result = add_tensor(subgraph, TURNS[name](np.empty(shape, np.int8)).shape, "float32", source)
    for value, buffer in zip(transposition.arguments, arguments, strict=True):
        given, kernel = add_tensor(subgraph, value.shape, "int32", buffer), result
        result = add_tensor(subgraph, shape, "float32")
        yield new_operator(schema, transposition.operator, [kernel, given], [result], transposition.options())
    reader.inputs = [reader.inputs[0], result, *reader.inputs[2:]]
