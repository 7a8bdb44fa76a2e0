"""Pass: one entry graph with inputs and outputs in a fixed order, no signatures, and no other names."""

from tinytl_tf.tflite.micro_contract import GRAPH, INPUTS, OUTPUTS
from tinytl_tf.tflite.model import Model

__all__ = ["one_graph"]


def one_graph(model: Model) -> int:
    """Puts inputs and outputs into the order of `micro_contract`, under those names, and takes the signature away.

    TensorFlow Lite Micro runs the first graph and identifies inputs and outputs by number. Names of branches, and of
    their inputs and outputs, have numbers that TensorFlow counts up in a process: with them one network would give
    files of different sizes.

    Args:
        model: The file; its `schema` is changed. It has the signature `micro` and no other.

    Returns:
        Number of inputs and outputs.
    """
    signature = model.signature(GRAPH)
    subgraph = model.schema.subgraphs[signature.graph]
    inputs = [signature.inputs[name].index for name in INPUTS]
    outputs = [signature.outputs[name].index for name in OUTPUTS]
    for branch in model.schema.subgraphs:
        branch.name = None
        for tensor in branch.tensors:
            tensor.name = None
    for index, name in zip(inputs + outputs, INPUTS + OUTPUTS, strict=True):
        subgraph.tensors[index].name = name
    subgraph.inputs, subgraph.outputs = inputs, outputs
    model.schema.signatureDefs = []
    return len(inputs) + len(outputs)
