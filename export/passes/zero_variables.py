"""Pass: removes the initial values of variables that are assigned before they are used."""

from collections.abc import Iterator

import numpy as np

from tinytl_tf.tflite.graph import Graph, Operator, Tensor
from tinytl_tf.tflite.model import Model

__all__ = ["zero_variables"]


def zero_variables(model: Model) -> int:
    """Removes the initial values of sums, slots and counters. In TensorFlow Lite Micro, new variables are zero.

    The initial values of the network's variables are kept, because `reset` uses the same constants.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of variables that now start at zero.
    """
    starts = {index for _, op in model.operators() if op.name == "CALL_ONCE" for index in op.nested}
    # `reset` assigns constants to the network's variables.
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
    """Yields the position of each assignment, the name of its variable, and the assigned tensor."""
    names = {op.outputs[0]: _name(op) for op in graph.operators if op.name == "VAR_HANDLE"}
    for position, op in enumerate(graph.operators):
        if op.name == "ASSIGN_VARIABLE":
            yield position, names[op.inputs[0]], graph.tensors[op.inputs[1]]


def _name(op: Operator) -> bytes:
    return op.options.sharedName
