"""Pass: ADD_N as ADD, which XNNPACK computes and the runtime does in place."""

import copy

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.export.passes.casts import add_operator_code
from tinytl_tf.flatbuffer import Model, Operator

__all__ = ["split_sums"]


def split_sums(model: Model) -> None:
    """Turns each ADD_N into ADDs, one after the other.

    ADD_N needs all of its inputs at once, and scratch memory besides.

    Args:
        model: the file; its `schema` is changed.
    """
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        operators = []
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            if op.name != "ADD_N" or graph.tensors[op.inputs[0]].dtype != "float32" or len(op.inputs) < 2:
                operators.append(plain)
                continue
            operators += _adds(model.schema, subgraph, op)
        subgraph.operators = operators


def _adds(schema: schema_fb.ModelT, subgraph: schema_fb.SubGraphT, op: Operator) -> list[schema_fb.OperatorT]:
    adds, total = [], op.inputs[0]
    for term in op.inputs[1:]:
        add = schema_fb.OperatorT()
        add.opcodeIndex = add_operator_code(schema, "ADD")
        add.inputs = [total, term]
        if term is op.inputs[-1]:
            total = op.outputs[0]
        else:
            subgraph.tensors.append(copy.copy(subgraph.tensors[op.outputs[0]]))
            total = len(subgraph.tensors) - 1
        add.outputs = [total]
        add.builtinOptionsType = schema_fb.BuiltinOptions.AddOptions
        add.builtinOptions = schema_fb.AddOptionsT()
        adds.append(add)
    return adds
