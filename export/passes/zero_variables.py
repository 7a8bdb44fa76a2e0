"""Pass: variables that are set before they are used get no initial value."""

from collections.abc import Iterator

import numpy as np

from tinytl_tf.tflite.graph import Graph, Operator, Tensor
from tinytl_tf.tflite.model import Model

__all__ = ["zero_variables"]


def zero_variables(model: Model) -> int:
    """Takes the first values of sums, slots and counters away: in TensorFlow Lite Micro a new variable is zero.

    Initial values of the network's own variables stay: `reset` has the same ones.

    Args:
        model: The file; its `schema` is changed.

    Returns:
        Number of variables that start at zero now.
    """
    starts = {index for _, op in model.operators() if op.name == "CALL_ONCE" for index in op.nested}
    # `reset` assigns constants to the network's own variables.
    others = [graph for graph in model.graphs if graph.index not in starts]
    own = {name for graph in others for _, name, value in _assignments(graph) if value.is_constant}
    changed = 0
    for index in starts:
        graph, subgraph = model.graphs[index], model.schema.subgraphs[index]
        needless = {
            position
            for position, name, value in _assignments(graph)
            if name not in own or not np.any(model.schema.buffers[value.buffer].data)
        }
        kept = [plain for position, plain in enumerate(subgraph.operators) if position not in needless]
        used = {int(i) for plain in kept for i in plain.inputs}
        subgraph.operators = [plain for plain in kept if not len(plain.outputs) or int(plain.outputs[0]) in used]
        changed += len(needless)
    return changed


def _assignments(graph: Graph) -> Iterator[tuple[int, bytes, Tensor]]:
    """Position of each assignment, name of its variable, and the assigned tensor."""
    names = {op.outputs[0]: _name(op) for op in graph.operators if op.name == "VAR_HANDLE"}
    for position, op in enumerate(graph.operators):
        if op.name == "ASSIGN_VARIABLE":
            yield position, names[op.inputs[0]], graph.tensors[op.inputs[1]]


def _name(op: Operator) -> bytes:
    return op.options.sharedName
