"""Pass: frozen kernels of convolutions as int8."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.flatbuffer import Model, Operator

__all__ = ["quantize_kernels"]

_SMALLEST = 1024  # elements; the converter's own limit, below which nothing is won
_LARGEST = 127  # the range is symmetric, so that zero is exact and needs no correction
_HYBRID_VERSION = 5  # of CONV_2D: float images and int8 kernels with a scale for each filter


def quantize_kernels(model: Model) -> None:
    """Stores the constant kernels of CONV_2D as int8 with one scale for each filter; images stay float32.

    The runtime quantises each image when the operator runs and computes with integers. The converter's own dynamic
    range quantisation does the same, and depthwise kernels too: these hold 3 % of the weights, and XNNPACK does
    not take them, so that each would end a delegated part of the graph.

    Args:
        model: the file; its `schema` is changed.
    """
    schema = model.schema
    # Of each constant: other operators, and the shapes that it has as a kernel.
    users: dict[int, set[str | tuple[int, ...]]] = {}
    for graph, op in model.operators():
        for place, i in enumerate(op.inputs):
            if i >= 0 and graph.tensors[i].is_constant:
                use = graph.tensors[i].shape if _is_kernel(op, place) else op.name
                users.setdefault(graph.tensors[i].buffer, set()).add(use)
    done: dict[int, np.ndarray] = {}
    for graph in model.graphs:
        subgraph = schema.subgraphs[graph.index]
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            if op.name != "CONV_2D":
                continue
            kernel = graph.tensors[op.inputs[1]]
            large = kernel.is_constant and kernel.bytes // 4 >= _SMALLEST
            if not large or kernel.dtype != "float32" or users[kernel.buffer] != {kernel.shape}:
                continue
            if kernel.buffer not in done:
                done[kernel.buffer] = _quantize(schema.buffers[kernel.buffer], kernel.shape)
            tensor = subgraph.tensors[kernel.index]
            tensor.type = schema_fb.TensorType.INT8
            tensor.quantization = schema_fb.QuantizationParametersT()
            tensor.quantization.scale = done[kernel.buffer]
            tensor.quantization.zeroPoint = np.zeros(len(done[kernel.buffer]), np.int64)
            tensor.quantization.quantizedDimension = 0
            schema.operatorCodes[plain.opcodeIndex].version = _HYBRID_VERSION


def _is_kernel(op: Operator, place: int) -> bool:
    return op.name == "CONV_2D" and place == 1


def _quantize(buffer: schema_fb.BufferT, shape: tuple[int, ...]) -> np.ndarray:
    """Quantises the content of a buffer `[filters, height, width, channels]`; returns the scale of each filter."""
    kernel = np.frombuffer(bytes(buffer.data), np.float32).reshape(shape)
    scales = np.abs(kernel).max(axis=(1, 2, 3)) / _LARGEST
    scales[scales == 0] = 1
    buffer.data = np.round(kernel / scales[:, None, None, None]).astype(np.int8).view(np.uint8).ravel()
    return scales.astype(np.float32)
