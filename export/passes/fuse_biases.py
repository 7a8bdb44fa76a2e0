"""Pass: fuses the addition of trained biases, and its activation, into convolutions."""

import numpy as np

from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["fuse_biases"]

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def fuse_biases(model: Model) -> int:
    """Fuses a convolution without a bias and a following ADD of a vector into one convolution.

    The converter fuses only constant biases. The runtime's own kernels accept any bias, but XNNPACK does not accept
    computed biases, so this pass is for files that run without a delegate.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of fused sums.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        readers = graph.readers()
        makers = {op.outputs[0]: position for position, op in enumerate(graph.operators) if op.name in _CONVOLUTIONS}
        fused = set()
        for position, op in enumerate(graph.operators):
            convolution = _convolution_of(model, graph, op, makers)
            if convolution is None or readers[convolution] > 1 or convolution in graph.outputs:
                continue
            plain, add = subgraph.operators[makers[convolution]], subgraph.operators[position]
            (bias,) = (i for i in op.inputs if i != convolution)
            plain.inputs = [*plain.inputs[:2], bias]
            plain.outputs = add.outputs
            plain.builtinOptions.fusedActivationFunction = add.builtinOptions.fusedActivationFunction
            # At the position of the sum, because the bias may be computed after the convolution.
            subgraph.operators[position] = plain
            fused.add(makers[convolution])
        subgraph.operators = [plain for i, plain in enumerate(subgraph.operators) if i not in fused]
        changed += len(fused)
    return changed


def _convolution_of(model: Model, graph: Graph, op: Operator, makers: dict[int, int]) -> int | None:
    """Returns the term of a sum that is a plain convolution, if the other term can be its bias; otherwise None."""
    if op.name != "ADD":
        return None
    for term, other in (op.inputs, op.inputs[::-1]):
        if term in makers and graph.tensors[other].shape == graph.tensors[term].shape[-1:]:
            convolution = graph.operators[makers[term]]
            if _is_plain(model, graph, convolution) and graph.tensors[op.outputs[0]].shape == graph.tensors[term].shape:
                return term
    return None


def _is_plain(model: Model, graph: Graph, op: Operator) -> bool:
    """Whether a convolution has no activation and a bias of zeros."""
    bias = graph.tensors[op.inputs[2]]
    has_bias = not bias.is_constant or np.any(model.schema.buffers[bias.buffer].data)
    return not has_bias and not op.options.fusedActivationFunction
