"""Multiply-adds of a signature: a measure of its work that does not depend on the machine."""

import math

from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["multiply_adds"]


def multiply_adds(model: Model, signature: str) -> int:
    """Returns the multiply-adds of a signature's convolutions and matrix products.

    The body of a loop counts once. The signature `train` runs its body once per image, so its number is that of one
    image.

    Args:
        model: the file.
        signature: name of the signature.

    Raises:
        InputError: if the file has no such signature.

    Example:
        >>> multiply_adds(Model.read("golden/model_float32.tflite"), "infer")  # doctest: +SKIP
        1986624
    """
    return sum(_of_operator(graph, op) for graph in model.graphs_of(signature) for op in graph.operators)


def _of_operator(graph: Graph, op: Operator) -> int:
    shape = [graph.tensors[i].shape for i in op.inputs if i >= 0]
    outputs = math.prod(graph.tensors[op.outputs[0]].shape) if op.outputs else 0
    match op.name:
        case "CONV_2D":  # kernel: output channels, height, width, input channels
            return outputs * math.prod(shape[1][1:])
        case "DEPTHWISE_CONV_2D":  # kernel: 1, height, width, channels
            return outputs * math.prod(shape[1][1:3])
        case "TRANSPOSE_CONV":  # inputs: output shape, kernel as for CONV_2D, image
            return math.prod(shape[2]) * math.prod(shape[1][:3])
        case "FULLY_CONNECTED":  # weights: outputs, inputs
            return outputs * shape[1][1]
        case "BATCH_MATMUL":
            return outputs * (shape[0][-2] if op.options.adjX else shape[0][-1])
    return 0
