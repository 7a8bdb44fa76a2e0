"""Pass: turns BATCH_MATMUL of two matrices into FULLY_CONNECTED."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_buffer, add_tensor, new_operator
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["matrix_products"]


def matrix_products(model: Model) -> int:
    """Replaces BATCH_MATMUL of two matrices by FULLY_CONNECTED, with a TRANSPOSE of each operand that needs one.

    TensorFlow Lite Micro's BATCH_MATMUL keeps a transposed copy of each operand for as long as the program runs. The
    outputs of TRANSPOSE share the arena with all other tensors. Worked example: the gradient of a 1x1 kernel of 56
    inputs and 336 outputs, for an image of 3x3.

        BATCH_MATMUL     x float32 [9, 56], dy float32 [9, 336], adjX -> [56, 336]; keeps 2,016 and 12,096 bytes

        TRANSPOSE        x float32 [9, 56] -> [56, 9]
        TRANSPOSE        dy float32 [9, 336] -> [336, 9]
        FULLY_CONNECTED  input [56, 9], weights [336, 9] -> [56, 336]; keeps nothing

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of replaced products.

    Reference:
        tensorflow/tflite-micro, `batch_matmul.cc`: `AllocatePersistentBuffer` for both transposed operands.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        operators: list[schema_fb.OperatorT] = []
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            if not _is_of_matrices(graph, op):
                operators.append(plain)
                continue
            operators += _product(model, graph, op)
            changed += 1
        subgraph.operators = operators
    return changed


def _is_of_matrices(graph: Graph, op: Operator) -> bool:
    operands = [graph.tensors[i] for i in op.inputs]
    return op.name == "BATCH_MATMUL" and all(len(t.shape) == 2 and t.dtype == "float32" for t in operands)


def _product(model: Model, graph: Graph, op: Operator) -> list[schema_fb.OperatorT]:
    left, right = op.inputs
    operators = []
    if op.options.adjX:
        left = _transpose(model, graph, left, operators)
    if not op.options.adjY:  # the weights of FULLY_CONNECTED have the shape [outputs, inputs]
        right = _transpose(model, graph, right, operators)
    options = schema_fb.FullyConnectedOptionsT()
    return [*operators, new_operator(model.schema, "FULLY_CONNECTED", [left, right, -1], list(op.outputs), options)]


def _transpose(model: Model, graph: Graph, matrix: int, operators: list[schema_fb.OperatorT]) -> int:
    """Adds a TRANSPOSE to the operators; returns its output."""
    schema, subgraph = model.schema, model.schema.subgraphs[graph.index]
    order = add_tensor(subgraph, (2,), "int32", add_buffer(schema, np.array([1, 0], np.int32)))
    result = add_tensor(subgraph, graph.tensors[matrix].shape[::-1], "float32")
    operators.append(new_operator(schema, "TRANSPOSE", [matrix, order], [result], schema_fb.TransposeOptionsT()))
    return result
