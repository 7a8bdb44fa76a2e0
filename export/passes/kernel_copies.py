"""Duplicates of frozen kernels: the converter stores a second, transposed copy for the backward pass."""

from collections.abc import Callable, Collection, Iterator

import numpy as np

from tinytl_tf.tflite.graph import Graph, Operator, Tensor
from tinytl_tf.tflite.model import Model

__all__ = ["TURNS", "drop_unread", "find_copies"]

# By operator: function that computes the kernel of a backward operator from the forward kernel, and vice versa.
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    # `[filters, 1, 1, channels]` to `[channels, 1, 1, filters]`.
    "CONV_2D": lambda kernel: kernel.transpose(3, 1, 2, 0),
    # `[1, height, width, channels]`, flipped in both directions; see `tinytl_tf.ops.convolution.flipped`.
    "DEPTHWISE_CONV_2D": lambda kernel: kernel[:, ::-1, ::-1],
    # `[units, inputs]` to `[inputs, units]`.
    "FULLY_CONNECTED": np.transpose,
}


def find_copies(model: Model, names: Collection[str], smallest: int) -> dict[tuple[int, int], int]:
    """Finds operators whose kernel is also stored, transposed or flipped, for another operator of the same name.

    Args:
        model: The file; it is not modified.
        names: Names of the operators to search, keys of `TURNS`. CONV_2D is included only with 1x1 kernels.
        smallest: Minimum size of a kernel in bytes.

    Returns:
        The index of the buffer with the other kernel, by graph index and position of the operator in the graph. Graphs
        with only a forward pass are searched first, so that their kernels are kept.
    """
    kept: dict[tuple[str, bytes], int] = {}  # buffers of kernels, by operator name and content
    copies: dict[tuple[int, int], int] = {}
    for graph in _inference_first(model):
        for position, op in enumerate(graph.operators):
            kernel = _kernel(graph, op, names, smallest)
            if kernel is None:
                continue
            content = np.frombuffer(bytes(model.schema.buffers[kernel.buffer].data), np.float32).reshape(kernel.shape)
            own, turned = content.tobytes(), TURNS[op.name](content).tobytes()
            if (op.name, own) in kept or (op.name, turned) not in kept:
                kept.setdefault((op.name, own), kernel.buffer)
            else:
                copies[graph.index, position] = kept[op.name, turned]
    return copies


def drop_unread(model: Model, buffers: Collection[int]) -> None:
    """Removes the unused constants among these buffers: the references by tensors, and the content."""
    model = Model(model.schema)
    read: set[int] = set()
    for graph in model.graphs:
        inputs = {i for op in graph.operators for i in op.inputs if i >= 0}.union(graph.outputs)
        for tensor in graph.tensors:
            if tensor.index in inputs:
                read.add(tensor.buffer)
            elif tensor.buffer in buffers:
                model.schema.subgraphs[graph.index].tensors[tensor.index].buffer = 0
    for buffer in set(buffers) - read:
        model.schema.buffers[buffer].data = None


def _inference_first(model: Model) -> Iterator[Graph]:
    first = [graph.index for graph in model.graphs_of("infer")] if "infer" in model.signatures else []
    yield from (model.graphs[i] for i in first)
    yield from (graph for graph in model.graphs if graph.index not in first)


def _kernel(graph: Graph, op: Operator, names: Collection[str], smallest: int) -> Tensor | None:
    """Returns the kernel of an operator if it is a large float constant that can be transposed, otherwise None."""
    if op.name not in names:
        return None
    kernel = graph.tensors[op.inputs[1]]
    fits = kernel.is_constant and kernel.dtype == "float32" and kernel.bytes >= smallest
    return kernel if fits and (op.name != "CONV_2D" or kernel.shape[1:3] == (1, 1)) else None
