"""The multiplications of a signature: an estimate of its time that does not depend on the machine."""

import math

from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["multiply_adds"]


def multiply_adds(model: Model, signature: str, *, repeats: int = 1) -> int:
    """Returns the number of multiply-adds in the convolutions and matrix products of a signature.

    Operators that are applied to each element, such as the masks of activations, are not counted.

    Args:
        model: the file.
        signature: name of the signature.
        repeats: how often the body of a loop runs: the number of images in a step of `train`.

    Example:
        >>> from tinytl_tf.tflite.model import Model
        >>> model = Model.read("golden/model.tflite")
        >>> multiply_adds(model, "infer") > 0
        True
    """
    return _count(model, model.graphs[model.signature(signature).graph], repeats)


def _count(model: Model, graph: Graph, repeats: int) -> int:
    total = 0
    for op in graph.operators:
        total += _products(graph, op)
        nested = [_count(model, model.graphs[index], repeats) for index in op.nested]
        total += repeats * sum(nested) if op.name == "WHILE" else max(nested, default=0)
    return total


def _products(graph: Graph, op: Operator) -> int:
    """Returns the number of multiply-adds in an operator: for each output, the number of products in its sum."""
    if op.name not in _SUMMED:
        return 0
    return math.prod(graph.tensors[op.outputs[0]].shape) * _SUMMED[op.name](
        op, graph.tensors[op.inputs[0]].shape, graph.tensors[op.inputs[1]].shape
    )


_SUMMED = {
    "CONV_2D": lambda op, image, kernel: math.prod(kernel[1:]),
    "DEPTHWISE_CONV_2D": lambda op, image, kernel: math.prod(kernel[1:3]),
    "FULLY_CONNECTED": lambda op, image, kernel: kernel[-1],
    "BATCH_MATMUL": lambda op, left, right: left[-2 if op.options.adjX else -1],
}
