"""Scratch memory that LiteRT's kernels request for operators that run without a delegate.

Reference: `tflite/kernels/conv.cc`, `depthwise_conv.cc`, `fully_connected.cc`, `batch_matmul.cc`, `transpose_conv.cc`,
`add_n.cc`, `reduce.cc` of LiteRT 2.3. A kernel with float32 activations and int8 constants (dynamic range) quantizes
its input when it runs. The sizes were checked against the tensors that the interpreter adds to a graph for each
operator. Operators that are not listed here, such as GATHER, CAST and comparisons, do not need scratch memory.
"""

import math

from tinytl_tf.tflite.graph import Graph, Operator, Tensor

__all__ = ["scratch"]

_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL")
_SUMMING = ("MEAN", "SUM")  # these also need a sum that is as large as the result
_WORD = 4  # bytes per float32 or int32


def scratch(graph: Graph, op: Operator, num_threads: int) -> tuple[list[int], list[int]]:
    """Returns the scratch memory of an operator's kernel.

    Args:
        graph: graph that contains the operator.
        op: the operator.
        num_threads: number of interpreter threads; the kernel of a convolution depends on it.

    Returns:
        Sizes in bytes of the pieces of the arena that the kernel needs while it runs, and of the pieces of the heap
        that it keeps from then on.
    """
    tensors = [graph.tensors[i] for i in op.inputs if i >= 0]
    output = graph.tensors[op.outputs[0]] if op.outputs else None
    if op.name == "CONV_2D":
        return _convolution(op, *tensors[:2], output, num_threads)
    if op.name == "DEPTHWISE_CONV_2D":
        image, kernel = tensors[:2]
        return (_quantized_input(image, image.shape[0]) if _is_hybrid(image, kernel) else []), []
    if op.name == "FULLY_CONNECTED":
        return _fully_connected(*tensors[:2])
    if op.name == "TRANSPOSE_CONV":
        kernel, image = tensors[1:3]
        pixels = math.prod(image.shape[1:3])
        quantized = _quantized_input(image, image.shape[0] * pixels) if _is_hybrid(image, kernel) else []
        return quantized, [pixels * math.prod(kernel.shape[:3]) * _WORD, kernel.bytes]
    if op.name == "BATCH_MATMUL":
        return _batch_matmul(op, *tensors)
    if op.name == "ADD_N":
        return [output.bytes * max(1, min(num_threads, len(tensors) // 2))], []
    if op.name in _REDUCTIONS:
        rank, axes = len(tensors[0].shape) * _WORD, math.prod(tensors[1].shape) * _WORD
        return [rank, axes] + [output.bytes] * (op.name in _SUMMING), []
    return [], []


def _is_hybrid(activation: Tensor, kernel: Tensor) -> bool:
    return activation.dtype == "float32" and kernel.dtype == "int8"


def _quantized_input(activation: Tensor, rows: int) -> list[int]:
    """Returns the sizes of the int8 copy of a float32 activation, and of a scale and an offset for each row."""
    return [math.prod(activation.shape), rows * _WORD, rows * _WORD]


def _convolution(
    op: Operator, image: Tensor, kernel: Tensor, output: Tensor, num_threads: int
) -> tuple[list[int], list[int]]:
    filters, height, width, channels = kernel.shape
    options, hybrid = op.options, _is_hybrid(image, kernel)
    strides = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    if num_threads > 1 and kernel.is_constant and not hybrid and strides[2:] == (1, 1):
        return [], [kernel.bytes]
    pixels = math.prod(output.shape[:3])
    patches = pixels * height * width * channels * (1 if hybrid else _WORD)
    in_arena = [patches] if (height, width, *strides) != (1,) * 6 else []
    if not hybrid:
        return in_arena, []
    rows = math.prod(image.shape[:3]) * (image.shape[3] // channels)
    return [*in_arena, *_quantized_input(image, rows), filters * pixels * _WORD], [filters * _WORD]


def _fully_connected(image: Tensor, kernel: Tensor) -> tuple[list[int], list[int]]:
    if not _is_hybrid(image, kernel):
        return [], []
    units, depth = kernel.shape
    rows = math.prod(image.shape) // depth
    return [*_quantized_input(image, rows), units * rows * _WORD], [units * _WORD]


def _batch_matmul(op: Operator, left: Tensor, right: Tensor) -> tuple[list[int], list[int]]:
    in_arena, on_heap = ([left.bytes], [right.bytes]) if right.is_constant else ([left.bytes, right.bytes], [])
    if not _is_hybrid(left, right):
        return in_arena, on_heap
    rows = left.shape[-1 if op.options.adjX else -2]
    units = right.shape[-2 if op.options.adjY else -1]
    all_rows = math.prod(left.shape[:-2]) * rows
    in_arena += [*_quantized_input(left, all_rows), units * rows * _WORD]
    return in_arena, [*on_heap, math.prod(right.shape[:-2]) * units * _WORD]
