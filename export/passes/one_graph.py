"""Pass: leaves one entry graph with inputs and outputs in a fixed order, without signatures and other names."""

from tinytl_tf.tflite.micro_contract import GRAPH, INPUTS, OUTPUTS
from tinytl_tf.tflite.model import Model

__all__ = ["one_graph"]


def one_graph(model: Model) -> int:
    """Orders and names the inputs and outputs as in `micro_contract`, and removes the signature.

    TensorFlow Lite Micro runs the first graph and identifies inputs and outputs by index. The names of branches, and of
    their inputs and outputs, are removed too: they contain numbers that TensorFlow counts up within a process, which
    would make files of the same network differ in size.

    Args:
        model: The file, with `micro` as its only signature; its `schema` is modified.

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
