"""Pass: makes the backward pass multiply with the kernels of the forward pass instead of storing copies."""

import math
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.export.passes.kernel_copies import drop_unread, find_copies
from tinytl_tf.tflite.edit import add_buffer, add_tensor, new_operator
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["SMALLEST", "share_kernels"]

# Bytes. XNNPACK copies an image to reshape it, which matters if there are few channels. A runtime without a delegate
# keeps a transposed copy. A small network would take more memory for a file that is only slightly smaller.
SMALLEST = 2_000_000


def share_kernels(model: Model) -> int:
    """Replaces products with transposed copies of other kernels by BATCH_MATMUL with the original kernels.

    CONV_2D with a 1x1 kernel and FULLY_CONNECTED store a kernel as `[filters, channels]` and multiply with its
    transpose. The gradient with respect to their input is a product with the matrix itself, which only BATCH_MATMUL
    computes. XNNPACK supports this if the matrix is a constant, and packs it like the copy. Without a delegate, the
    runtime keeps its own transposed copy, as it does for a convolution with several threads; see `transpose_kernels`
    for such files.

    Depthwise kernels and kernels larger than 1x1 are still stored twice, because no operator multiplies with their
    transpose.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of products that now read the kernel of another operator.
    """
    schema = model.schema
    copies = find_copies(model, ("CONV_2D", "FULLY_CONNECTED"), SMALLEST)
    shared: set[int] = set()
    changed = 0
    for graph in model.graphs:
        subgraph = schema.subgraphs[graph.index]
        operators = []
        for position, (op, plain) in enumerate(zip(graph.operators, subgraph.operators, strict=True)):
            source = copies.get((graph.index, position))
            if source is None or not _is_product(model, graph, op):
                operators.append(plain)
                continue
            shared.add(graph.tensors[op.inputs[1]].buffer)
            operators.extend(_multiply(schema, subgraph, graph, op, source))
            changed += 1
        subgraph.operators = operators
    drop_unread(model, shared)
    return changed


def _is_product(model: Model, graph: Graph, op: Operator) -> bool:
    """Whether an operator only multiplies its input with the transposed kernel."""
    image, kernel = (graph.tensors[i] for i in op.inputs[:2])
    biases = [graph.tensors[i] for i in op.inputs[2:] if i >= 0]
    if op.options.fusedActivationFunction or any(
        not bias.is_constant or np.any(model.schema.buffers[bias.buffer].data) for bias in biases
    ):
        return False
    if op.name == "FULLY_CONNECTED":
        return op.options.weightsFormat == schema_fb.FullyConnectedOptionsWeightsFormat.DEFAULT
    return (op.options.strideH, op.options.strideW) == (1, 1) and kernel.shape[3] == image.shape[3]  # no groups


def _multiply(
    schema: schema_fb.ModelT, subgraph: schema_fb.SubGraphT, graph: Graph, op: Operator, source: int
) -> Iterator[schema_fb.OperatorT]:
    """Yields operators that compute the product. A batch of matrices is first reshaped to one, for a single product."""
    image, kernel, result = (graph.tensors[i] for i in (*op.inputs[:2], op.outputs[0]))
    filters, channels = kernel.shape[-1], kernel.shape[0]
    matrix = add_tensor(subgraph, (filters, channels), "float32", source)
    if math.prod(image.shape[:-2]) == 1 and result.shape == (*image.shape[:-1], channels):
        yield new_operator(
            schema, "BATCH_MATMUL", [image.index, matrix], [result.index], schema_fb.BatchMatMulOptionsT()
        )
        return
    pixels = math.prod(image.shape) // filters
    rows = add_tensor(subgraph, (pixels, filters), "float32")
    products = add_tensor(subgraph, (pixels, channels), "float32")
    yield _reshape(schema, subgraph, image.index, rows)
    yield new_operator(schema, "BATCH_MATMUL", [rows, matrix], [products], schema_fb.BatchMatMulOptionsT())
    yield _reshape(schema, subgraph, products, result.index)


def _reshape(schema: schema_fb.ModelT, subgraph: schema_fb.SubGraphT, source: int, result: int) -> schema_fb.OperatorT:
    options = schema_fb.ReshapeOptionsT()
    options.newShape = [int(size) for size in subgraph.tensors[result].shape]
    shape = np.int32(options.newShape)
    given = add_tensor(subgraph, shape.shape, "int32", add_buffer(schema, shape))
    return new_operator(schema, "RESHAPE", [source, given], [result], options)
