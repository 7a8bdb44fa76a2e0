"""Pass: stores frozen kernels as int8."""

import dataclasses
import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_buffer, add_operator_code, add_tensor, new_operator
from tinytl_tf.tflite.graph import Graph, Operator, Tensor
from tinytl_tf.tflite.model import Model

__all__ = ["SMALLEST", "quantize_kernels"]

SMALLEST = 1024  # elements; the converter uses the same limit, below which nothing is saved
_LARGEST = 127  # the range is symmetric, so that zero is exact and needs no correction
_INT8_TRANSPOSE = 2  # first operator version that supports int8
# Operator versions for float images and int8 kernels, with a scale for each filter or one scale for the kernel.
_BY_FILTER = {"CONV_2D": 5, "FULLY_CONNECTED": 12}
_BY_KERNEL = {"CONV_2D": 5, "FULLY_CONNECTED": 3, "BATCH_MATMUL": 2}


@dataclasses.dataclass(frozen=True)
class _Use:
    """How an operator reads a stored kernel.

    Attributes:
        kernel: The stored kernel.
        transposition: Position of the TRANSPOSE between the kernel and the operator, or None.
        sums_filters: Whether the operator sums over the kernel's first axis, which has the scales.
    """

    kernel: Tensor
    transposition: int | None
    sums_filters: bool


def quantize_kernels(model: Model) -> int:
    """Stores the constant kernels of CONV_2D, FULLY_CONNECTED and BATCH_MATMUL as int8; images stay float32.

    A kernel has one scale for each filter, its first axis. The runtime quantizes each image when the operator runs, and
    computes with integers. The converter's dynamic range quantization does the same, but also quantizes depthwise
    kernels. Those hold only 3 % of the weights, and XNNPACK does not support them in int8, so each would end a
    delegated part of the graph.

    A kernel that the backward pass transposes (see `transpose_kernels`) or multiplies with from the other side (see
    `share_kernels`) is also stored once, as int8. In the backward pass, the scale of a filter becomes the scale of an
    input channel, which no operator supports; therefore the input is multiplied with the scales.

    Matrices of mostly zeros are not kernels: `tinytl_tf.ops.resize_bilinear` uses such matrices to resize images.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of operators that now have int8 kernels.
    """
    changed = 0
    schema = model.schema
    uses = {graph.index: _uses(model, graph) for graph in model.graphs}
    readers = _readers(model, uses)
    done: dict[int, np.ndarray] = {}
    for graph in model.graphs:
        subgraph = schema.subgraphs[graph.index]
        operators = []
        for position, (op, plain) in enumerate(zip(graph.operators, subgraph.operators, strict=True)):
            use = uses[graph.index].get(position)
            if use is not None and readers[use.kernel.buffer] == {use.kernel.shape[0]}:
                buffer = use.kernel.buffer
                if buffer not in done:
                    done[buffer] = _quantize(schema.buffers[buffer], use.kernel.shape[0])
                _read_int8(schema, subgraph, op, use, done[buffer])
                if use.sums_filters:
                    _scale_channels(schema, subgraph, operators, plain, done[buffer])
                version = (_BY_KERNEL if use.sums_filters else _BY_FILTER)[op.name]
                plain.opcodeIndex = add_operator_code(schema, op.name, max(version, op.version))
                changed += 1
            operators.append(plain)
        subgraph.operators = operators
    return changed


def _uses(model: Model, graph: Graph) -> dict[int, _Use]:
    """Returns the operators of a graph that could read int8 kernels, by position."""
    transpositions = _transpositions(graph)
    # The kernel tensors of BATCH_MATMUL get the scale 1, unlike all others, so they must not be shared.
    shared = {i for op in graph.operators if op.name != "BATCH_MATMUL" for i in op.inputs}
    uses = {}
    for position, op in enumerate(graph.operators):
        if op.name not in _BY_KERNEL or (op.name == "BATCH_MATMUL" and op.inputs[1] in shared):
            continue
        transposition = transpositions.get(op.inputs[1])
        kernel = graph.tensors[op.inputs[1] if transposition is None else graph.operators[transposition].inputs[0]]
        if _is_kernel(model, op, kernel):
            uses[position] = _Use(kernel, transposition, transposition is not None or op.name == "BATCH_MATMUL")
    return uses


def _is_kernel(model: Model, op: Operator, kernel: Tensor) -> bool:
    if not kernel.is_constant or kernel.dtype != "float32" or math.prod(kernel.shape) < SMALLEST:
        return False
    if op.name == "BATCH_MATMUL" and (len(kernel.shape) != 2 or op.options.adjX or op.options.adjY):
        return False
    content = np.frombuffer(bytes(model.schema.buffers[kernel.buffer].data), np.float32)
    return op.name == "CONV_2D" or 2 * np.count_nonzero(content) > content.size


def _readers(model: Model, uses: dict[int, dict[int, _Use]]) -> dict[int, set[str | int]]:
    """Returns, for each constant, the sizes of its first axis when read as a kernel, and the names of other readers."""
    readers: dict[int, set[str | int]] = {}
    for graph in model.graphs:
        transposed = {use.transposition: use.kernel for use in uses[graph.index].values()}
        for position, op in enumerate(graph.operators):
            use = uses[graph.index].get(position)
            kernel = use.kernel if use is not None else transposed.get(position)
            for i in op.inputs:
                if i >= 0 and graph.tensors[i].is_constant:
                    is_kernel = kernel is not None and kernel.index == i
                    reader = kernel.shape[0] if is_kernel else op.name
                    readers.setdefault(graph.tensors[i].buffer, set()).add(reader)
    return readers


def _transpositions(graph: Graph) -> dict[int, int]:
    """Returns the positions of TRANSPOSE operators that transpose a stored kernel for one operator, by their result."""
    readers = graph.readers()
    kernels = {op.inputs[1] for op in graph.operators if op.name in _BY_FILTER}
    return {
        op.outputs[0]: position
        for position, op in enumerate(graph.operators)
        if op.name == "TRANSPOSE"
        and op.outputs[0] in kernels
        and readers[op.outputs[0]] == 1
        and _is_transposition(graph, op)
    }


def _is_transposition(graph: Graph, op: Operator) -> bool:
    """Whether a TRANSPOSE swaps the first and last axis of a constant whose axes in between have size 1."""
    source, result = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    first, *middle, last = result.shape
    return source.is_constant and set(middle) <= {1} and source.shape == (last, *middle, first)


def _quantize(buffer: schema_fb.BufferT, filters: int) -> np.ndarray:
    """Quantizes the content of a buffer `[filters, ...]`; returns the scale of each filter."""
    kernel = np.frombuffer(bytes(buffer.data), np.float32).reshape(filters, -1)
    scales = np.abs(kernel).max(axis=1) / _LARGEST
    scales[scales == 0] = 1
    buffer.data = np.round(kernel / scales[:, None]).astype(np.int8).view(np.uint8).ravel()
    return scales.astype(np.float32)


def _read_int8(
    schema: schema_fb.ModelT, subgraph: schema_fb.SubGraphT, op: Operator, use: _Use, scales: np.ndarray
) -> None:
    """Sets the types of the operators between the stored kernel and its reader."""
    one = np.ones(1, np.float32)
    _set_int8(subgraph.tensors[use.kernel.index], one if op.name == "BATCH_MATMUL" else scales)
    if use.transposition is not None:
        _set_int8(subgraph.tensors[op.inputs[1]], one)
        transposition = subgraph.operators[use.transposition]
        transposition.opcodeIndex = add_operator_code(schema, "TRANSPOSE", _INT8_TRANSPOSE)


def _set_int8(tensor: schema_fb.TensorT, scales: np.ndarray) -> None:
    tensor.type = schema_fb.TensorType.INT8
    tensor.quantization = schema_fb.QuantizationParametersT()
    tensor.quantization.scale = scales
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    tensor.quantization.quantizedDimension = 0


def _scale_channels(
    schema: schema_fb.ModelT,
    subgraph: schema_fb.SubGraphT,
    operators: list[schema_fb.OperatorT],
    reader: schema_fb.OperatorT,
    scales: np.ndarray,
) -> None:
    """Multiplies the reader's input with a scale for each channel.

    If `share_kernels` reshapes the input image, it is multiplied before the RESHAPE: the reshaped image shares its
    memory with the original, and a MUL might overwrite that in place before other operators read it.

    Args:
        schema: The file; the scales are added to it.
        subgraph: The graph; the new tensors are added to it.
        operators: Operators before the reader; the MUL is added to them.
        reader: The operator whose input is replaced, unless a RESHAPE precedes it, whose input is then replaced.
        scales: The scale of each channel.
    """
    position, image = len(operators), reader.inputs[0]
    maker = next((i for i, op in enumerate(operators) if image in op.outputs), None)
    if maker is not None and _keeps_channels(schema, subgraph, operators[maker]):
        reader, position = operators[maker], maker
    image = reader.inputs[0]
    factors = add_tensor(subgraph, scales.shape, "float32", add_buffer(schema, scales))
    scaled = add_tensor(subgraph, subgraph.tensors[image].shape, "float32")
    reader.inputs = [scaled, *reader.inputs[1:]]
    operators.insert(position, new_operator(schema, "MUL", [image, factors], [scaled], schema_fb.MulOptionsT()))


def _keeps_channels(schema: schema_fb.ModelT, subgraph: schema_fb.SubGraphT, op: schema_fb.OperatorT) -> bool:
    """Whether an operator is a RESHAPE of all axes but the last."""
    if schema.operatorCodes[op.opcodeIndex].builtinCode != schema_fb.BuiltinOperator.RESHAPE:
        return False
    image, result = (subgraph.tensors[i] for i in (op.inputs[0], op.outputs[0]))
    return image.shape[-1] == result.shape[-1]
