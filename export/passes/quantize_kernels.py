"""Pass: frozen kernels of convolutions as int8."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_buffer, add_operator_code, add_tensor, new_operator
from tinytl_tf.tflite.graph import Graph, Operator, Tensor
from tinytl_tf.tflite.model import Model

__all__ = ["SMALLEST", "quantize_kernels"]

SMALLEST = 1024  # elements; the converter's own limit, below which nothing is won
_LARGEST = 127  # the range is symmetric, so that zero is exact and needs no correction
_HYBRID_VERSION = 5  # of CONV_2D: float images and int8 kernels with a scale for each filter
_INT8_TRANSPOSE = 2  # its first version that knows int8


def quantize_kernels(model: Model) -> int:
    """Stores the constant kernels of CONV_2D as int8 with one scale for each filter; images stay float32.

    The runtime quantizes each image when the operator runs and computes with integers. The converter's own dynamic
    range quantization does the same, and depthwise kernels too: these hold 3 % of the weights, and XNNPACK does
    not take them, so that each would end a delegated part of the graph.

    A kernel that is transposed for the backward pass, see `transpose_kernels`, is transposed as int8. The scale of a
    filter is then that of an input channel, which no convolution knows; so the input is multiplied with the scales.

    Args:
        model: The file; its `schema` is changed.

    Returns:
        Number of convolutions whose kernels are int8 now.
    """
    changed = 0
    schema = model.schema
    transpositions = {graph.index: _transpositions(graph) for graph in model.graphs}
    users = _users(model, transpositions)
    done: dict[int, np.ndarray] = {}
    for graph in model.graphs:
        subgraph = schema.subgraphs[graph.index]
        operators = []
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            transposition = transpositions[graph.index].get(op.inputs[1]) if op.name == "CONV_2D" else None
            kernel = _stored_kernel(graph, op, transposition)
            if kernel is not None and users[kernel.buffer] == {kernel.shape}:
                if kernel.buffer not in done:
                    done[kernel.buffer] = _quantize(schema.buffers[kernel.buffer], kernel.shape)
                _set_int8(subgraph.tensors[kernel.index], done[kernel.buffer])
                if transposition is not None:
                    _set_int8(subgraph.tensors[op.inputs[1]], np.ones(1, np.float32))
                    subgraph.operators[transposition].opcodeIndex = add_operator_code(
                        schema, "TRANSPOSE", _INT8_TRANSPOSE
                    )
                    operators.append(_scale_channels(schema, subgraph, plain, done[kernel.buffer]))
                plain.opcodeIndex = add_operator_code(schema, "CONV_2D", _HYBRID_VERSION)
                changed += 1
            operators.append(plain)
        subgraph.operators = operators
    return changed


def _users(model: Model, transpositions: dict[int, dict[int, int]]) -> dict[int, set[str | tuple[int, ...]]]:
    """Of each constant: the shapes that it has as a kernel, and the names of the operators that it is no kernel of."""
    users: dict[int, set[str | tuple[int, ...]]] = {}
    for graph in model.graphs:
        for position, op in enumerate(graph.operators):
            is_transposition = position in transpositions[graph.index].values()
            for place, i in enumerate(op.inputs):
                if i >= 0 and graph.tensors[i].is_constant:
                    is_kernel = (op.name == "CONV_2D" and place == 1) or (is_transposition and place == 0)
                    use = graph.tensors[i].shape if is_kernel else op.name
                    users.setdefault(graph.tensors[i].buffer, set()).add(use)
    return users


def _transpositions(graph: Graph) -> dict[int, int]:
    """Positions of the TRANSPOSEs that transpose a stored kernel for one convolution, by their result."""
    readers = graph.readers()
    kernels = {op.inputs[1] for op in graph.operators if op.name == "CONV_2D"}
    return {
        op.outputs[0]: position
        for position, op in enumerate(graph.operators)
        if op.name == "TRANSPOSE"
        and op.outputs[0] in kernels
        and readers[op.outputs[0]] == 1
        and _is_transposition(graph, op)
    }


def _is_transposition(graph: Graph, op: Operator) -> bool:
    source, result = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    channels, height, width, filters = result.shape
    return source.is_constant and height == width == 1 and source.shape == (filters, 1, 1, channels)


def _stored_kernel(graph: Graph, op: Operator, transposition: int | None) -> Tensor | None:
    """The constant kernel of a convolution, transposed or not, if it is one of floats and large."""
    if op.name != "CONV_2D":
        return None
    kernel = graph.tensors[op.inputs[1] if transposition is None else graph.operators[transposition].inputs[0]]
    large = kernel.is_constant and kernel.bytes // 4 >= SMALLEST
    return kernel if large and kernel.dtype == "float32" else None


def _quantize(buffer: schema_fb.BufferT, shape: tuple[int, ...]) -> np.ndarray:
    """Quantizes the content of a buffer `[filters, height, width, channels]`; returns the scale of each filter."""
    kernel = np.frombuffer(bytes(buffer.data), np.float32).reshape(shape)
    scales = np.abs(kernel).max(axis=(1, 2, 3)) / _LARGEST
    scales[scales == 0] = 1
    buffer.data = np.round(kernel / scales[:, None, None, None]).astype(np.int8).view(np.uint8).ravel()
    return scales.astype(np.float32)


def _set_int8(tensor: schema_fb.TensorT, scales: np.ndarray) -> None:
    tensor.type = schema_fb.TensorType.INT8
    tensor.quantization = schema_fb.QuantizationParametersT()
    tensor.quantization.scale = scales
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    tensor.quantization.quantizedDimension = 0


def _scale_channels(
    schema: schema_fb.ModelT, subgraph: schema_fb.SubGraphT, convolution: schema_fb.OperatorT, scales: np.ndarray
) -> schema_fb.OperatorT:
    """A MUL of the convolution's input with a number for each channel; its result takes the input's place."""
    image = convolution.inputs[0]
    factors = add_tensor(subgraph, scales.shape, "float32", add_buffer(schema, scales))
    scaled = add_tensor(subgraph, subgraph.tensors[image].shape, "float32")
    convolution.inputs = [scaled, *convolution.inputs[1:]]
    return new_operator(schema, "MUL", [image, factors], [scaled], schema_fb.MulOptionsT())
