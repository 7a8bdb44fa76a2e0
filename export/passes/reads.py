"""Pass: every use of a variable reads it anew."""

import copy

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.flatbuffer import Graph, Model

__all__ = ["split_reads"]

_WORTH = 4096  # bytes; below it the operator costs more than the memory


def split_reads(model: Model) -> None:
    """Gives each reader of a large variable a READ_VARIABLE of its own, to be put right before it.

    The converter reads a variable once. A kernel that the forward and the backward pass use then lies in the arena from
    the one to the other, beside the variable itself.

    Args:
        model: the file; its `schema` is changed.
    """
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        operators = []
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            operators.append(plain)
            if op.name == "READ_VARIABLE" and graph.tensors[op.outputs[0]].bytes >= _WORTH:
                operators += _further_reads(graph, subgraph, plain)
        subgraph.operators = operators


def _further_reads(graph: Graph, subgraph: schema_fb.SubGraphT, read: schema_fb.OperatorT) -> list[schema_fb.OperatorT]:
    value = int(read.outputs[0])
    users = [plain for plain in subgraph.operators if value in plain.inputs]
    if value in graph.outputs:
        users.insert(0, read)  # the result keeps the first read
    reads = []
    for user in users[1:]:
        subgraph.tensors.append(copy.copy(subgraph.tensors[value]))
        again = copy.copy(read)
        again.outputs = [len(subgraph.tensors) - 1]
        user.inputs = [again.outputs[0] if i == value else i for i in user.inputs]
        reads.append(again)
    return reads
