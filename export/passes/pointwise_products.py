"""Pass: turns 1x1 convolutions into matrix products."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_operator_code, add_tensor
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["pointwise_products"]


def pointwise_products(model: Model) -> int:
    """Replaces CONV_2D with a stored 1x1 kernel and stride 1 by FULLY_CONNECTED, which computes the same.

    TensorFlow Lite Micro keeps eight bytes for each filter of a convolution, which only integer kernels need. In a
    network that trains, this takes as much memory as the trained parameters.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of replaced convolutions.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        kernels: dict[int, int] = {}
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            if not _is_pointwise(graph, op):
                continue
            kernel = graph.tensors[op.inputs[1]]
            if kernel.index not in kernels:
                shape = (kernel.shape[0], kernel.shape[3])
                kernels[kernel.index] = add_tensor(subgraph, shape, kernel.dtype, kernel.buffer)
            bias = [i for i in op.inputs[2:] if not _is_zero(model, graph, i)]
            options = schema_fb.FullyConnectedOptionsT()
            options.keepNumDims = True
            options.fusedActivationFunction = op.options.fusedActivationFunction
            plain.opcodeIndex = add_operator_code(model.schema, "FULLY_CONNECTED")
            plain.inputs = [op.inputs[0], kernels[kernel.index], *(bias or [-1])]
            plain.builtinOptions = options
            plain.builtinOptionsType = schema_fb.BuiltinOptions.FullyConnectedOptions
            changed += 1
    return changed


def _is_pointwise(graph: Graph, op: Operator) -> bool:
    if op.name != "CONV_2D" or (op.options.strideH, op.options.strideW) != (1, 1):
        return False
    kernel, image = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[0]]
    return (
        kernel.is_constant
        and kernel.dtype == "float32"
        and kernel.shape[1:3] == (1, 1)
        and kernel.shape[3] == image.shape[3]  # no groups
    )


def _is_zero(model: Model, graph: Graph, bias: int) -> bool:
    """Whether a bias is missing, or a constant of zeros."""
    if bias < 0 or not graph.tensors[bias].is_constant:
        return bias < 0
    return not np.any(model.schema.buffers[graph.tensors[bias].buffer].data)
