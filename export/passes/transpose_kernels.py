"""Pass: the backward pass transposes the kernels of the forward pass, in place of copies of its own."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_buffer, add_tensor, new_operator
from tinytl_tf.tflite.graph import Graph, Operator, Tensor
from tinytl_tf.tflite.model import Model

__all__ = ["transpose_kernels"]

_WORTH = 2048  # bytes; below it the operator costs more than the constant


@dataclasses.dataclass(frozen=True)
class _Transposition:
    """What makes the kernel of a backward convolution of that of a forward one; it is its own inverse."""

    operator: str
    arguments: tuple[np.ndarray, ...]  # of one operator after the other
    options: Any
    apply: Callable[[np.ndarray], np.ndarray]


_TRANSPOSITIONS = {
    # `[filters, 1, 1, channels]` to `[channels, 1, 1, filters]`.
    "CONV_2D": _Transposition(
        "TRANSPOSE", (np.int32([3, 1, 2, 0]),), schema_fb.TransposeOptionsT, lambda k: k.transpose(3, 1, 2, 0)
    ),
    # `[1, height, width, channels]`, flipped in both directions; see `tinytl_tf.ops.convolution.flipped`.
    "DEPTHWISE_CONV_2D": _Transposition(
        "REVERSE_V2", (np.int32([1]), np.int32([2])), schema_fb.ReverseV2OptionsT, lambda k: k[:, ::-1, ::-1]
    ),
}


def transpose_kernels(model: Model) -> int:
    """Replaces constant kernels of convolutions that are other ones, transposed, by an operator that transposes those.

    The gradient of a convolution's input is a convolution with the same kernel, transposed for 1x1 and flipped for
    depthwise ones. The converter computes that kernel once and stores it, so that a file holds each frozen kernel
    twice, and a process that trains reads both.

    XNNPACK takes no convolution whose kernel is computed, so this is for files that run without a delegate.

    Args:
        model: The file; its `schema` is changed.

    Returns:
        Number of convolutions whose kernel is transposed or flipped from a stored one now.
    """
    schema = model.schema
    arguments = {name: [add_buffer(schema, value) for value in t.arguments] for name, t in _TRANSPOSITIONS.items()}
    kept: dict[tuple[str, bytes], int] = {}  # buffers of kernels, by their content
    transposed: set[int] = set()
    changed = 0
    for graph in _inference_first(model):
        subgraph = schema.subgraphs[graph.index]
        operators = []
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            kernel = _kernel(graph, op)
            if kernel is not None:
                content = np.frombuffer(bytes(schema.buffers[kernel.buffer].data), np.float32).reshape(kernel.shape)
                source = kept.get((op.name, _TRANSPOSITIONS[op.name].apply(content).tobytes()))
                if source is None or (op.name, content.tobytes()) in kept:
                    kept[op.name, content.tobytes()] = kernel.buffer
                else:
                    transposed.add(kernel.buffer)
                    changed += 1
                    operators.extend(
                        _transpose(schema, subgraph, plain, _TRANSPOSITIONS[op.name], source, arguments[op.name])
                    )
            operators.append(plain)
        subgraph.operators = operators
    _forget(Model(schema), transposed)
    return changed


def _inference_first(model: Model) -> Iterator[Graph]:
    """All graphs; those that only look forward come first, so that it is their kernels that are kept."""
    first = [graph.index for graph in model.graphs_of("infer")] if "infer" in model.signatures else []
    yield from (model.graphs[i] for i in first)
    yield from (graph for graph in model.graphs if graph.index not in first)


def _kernel(graph: Graph, op: Operator) -> Tensor | None:
    """The kernel of a depthwise or 1x1 convolution, if it is a large constant of floats."""
    kernel = graph.tensors[op.inputs[1]] if op.name in _TRANSPOSITIONS else None
    fits = kernel is not None and kernel.is_constant and kernel.dtype == "float32" and kernel.bytes >= _WORTH
    return kernel if fits and (op.name != "CONV_2D" or kernel.shape[1:3] == (1, 1)) else None


def _transpose(
    schema: schema_fb.ModelT,
    subgraph: schema_fb.SubGraphT,
    convolution: schema_fb.OperatorT,
    transposition: _Transposition,
    source: int,
    arguments: Sequence[int],
) -> Iterator[schema_fb.OperatorT]:
    """Operators that transpose a stored kernel, and whose result takes the place of the convolution's."""
    shape = subgraph.tensors[convolution.inputs[1]].shape
    result = add_tensor(subgraph, transposition.apply(np.empty(shape, np.int8)).shape, "float32", source)
    for value, buffer in zip(transposition.arguments, arguments, strict=True):
        given, kernel = add_tensor(subgraph, value.shape, "int32", buffer), result
        result = add_tensor(subgraph, shape, "float32")
        yield new_operator(schema, transposition.operator, [kernel, given], [result], transposition.options())
    convolution.inputs = [convolution.inputs[0], result, *convolution.inputs[2:]]


def _forget(model: Model, buffers: set[int]) -> None:
    """Empties those of the buffers that no operator reads any more."""
    read = {graph.tensors[i].buffer for graph, op in model.operators() for i in op.inputs if i >= 0}
    for buffer in buffers - read:
        model.schema.buffers[buffer].data = None
