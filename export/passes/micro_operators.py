"""Pass: replaces operators that TensorFlow Lite Micro does not support, or for which it has a smaller equivalent."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_buffer, add_operator_code, add_tensor, new_operator
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["micro_operators"]

_MOST_JOINED = 10  # kMaxInputNum of its concatenation.cc


def micro_operators(model: Model) -> int:
    """Replaces some operators with equivalents.

    * ONE_HOT of one label is not supported; it becomes EQUAL with the class indices and a CAST.
    * CONCATENATION of more than ten tensors is not supported; it becomes several of at most ten tensors.
    * The fractional part of a number, computed with FLOOR to unpack masks, becomes FLOOR_MOD: one tensor instead of
      two.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of replacements.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        floors = {op.outputs[0]: op.inputs[0] for op in graph.operators if op.name == "FLOOR"}
        readers = graph.readers()
        operators: list[schema_fb.OperatorT] = []
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            if _is_plain_one_hot(model, graph, op):
                operators += _equal(model, graph, op)
            elif op.name == "CONCATENATION" and len(op.inputs) > _MOST_JOINED:
                operators += _join(model, graph, op, plain)
            elif op.name == "FLOOR" and _only_fraction(graph, op, readers):
                pass
            elif op.name == "SUB" and floors.get(op.inputs[1]) == op.inputs[0]:
                one = add_tensor(subgraph, (), "float32", add_buffer(model.schema, np.float32(1)))
                plain.opcodeIndex = add_operator_code(model.schema, "FLOOR_MOD")
                plain.builtinOptions = schema_fb.FloorModOptionsT()
                plain.builtinOptionsType = schema_fb.BuiltinOptions.FloorModOptions
                plain.inputs = [op.inputs[0], one]
                operators.append(plain)
            else:
                operators.append(plain)
                continue
            changed += op.name != "FLOOR"
        subgraph.operators = operators
    return changed


def _only_fraction(graph: Graph, op: Operator, readers: Sequence[int]) -> bool:
    """Whether all readers of a FLOOR subtract it from its input."""
    fractions = [
        reader for reader in graph.operators if reader.name == "SUB" and reader.inputs == (op.inputs[0], op.outputs[0])
    ]
    return op.outputs[0] not in graph.outputs and readers[op.outputs[0]] == len(fractions) > 0


def _is_plain_one_hot(model: Model, graph: Graph, op: Operator) -> bool:
    """Whether an operator is a ONE_HOT of one label with the values 1 and 0."""
    if op.name != "ONE_HOT" or graph.tensors[op.inputs[0]].shape != (1,):
        return False
    on, off = (graph.tensors[i] for i in op.inputs[2:4])
    values = [np.frombuffer(bytes(model.schema.buffers[t.buffer].data), np.float32) for t in (on, off) if t.is_constant]
    return graph.tensors[op.outputs[0]].dtype == "float32" and [value.tolist() for value in values] == [[1.0], [0.0]]


def _equal(model: Model, graph: Graph, op: Operator) -> list[schema_fb.OperatorT]:
    schema, subgraph = model.schema, model.schema.subgraphs[graph.index]
    shape = graph.tensors[op.outputs[0]].shape
    classes = np.arange(shape[-1], dtype=np.int32)[np.newaxis]
    numbers = add_tensor(subgraph, shape, "int32", add_buffer(schema, classes))
    same = add_tensor(subgraph, shape, "bool")
    options = schema_fb.CastOptionsT()
    options.inDataType, options.outDataType = schema_fb.TensorType.BOOL, schema_fb.TensorType.FLOAT32
    return [
        new_operator(schema, "EQUAL", [op.inputs[0], numbers], [same], schema_fb.EqualOptionsT()),
        new_operator(schema, "CAST", [same], list(op.outputs), options),
    ]


def _join(model: Model, graph: Graph, op: Operator, plain: schema_fb.OperatorT) -> list[schema_fb.OperatorT]:
    """Joins tensors ten at a time, and then the results, until all are joined."""
    schema, subgraph = model.schema, model.schema.subgraphs[graph.index]
    axis = op.options.axis % len(graph.tensors[op.outputs[0]].shape)
    shapes = {index: graph.tensors[index].shape for index in op.inputs}
    inputs, operators = list(op.inputs), []
    while len(inputs) > _MOST_JOINED:
        joined = []
        for start in range(0, len(inputs), _MOST_JOINED):
            part = inputs[start : start + _MOST_JOINED]
            if len(part) == 1:
                joined += part
                continue
            shape = list(shapes[part[0]])
            shape[axis] = sum(shapes[index][axis] for index in part)
            result = add_tensor(subgraph, shape, graph.tensors[op.outputs[0]].dtype)
            shapes[result] = tuple(shape)
            joined.append(result)
            operators.append(new_operator(schema, "CONCATENATION", part, [result], op.options, op.version))
        inputs = joined
    plain.inputs = inputs
    return [*operators, plain]
