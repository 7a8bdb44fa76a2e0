"""Pass: gives every use of a large variable its own READ_VARIABLE."""

import collections
import copy

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["split_reads"]

_WORTH = 4096  # bytes; below it the operator costs more than the memory
# Operators between a variable and its use that only rearrange or select its values.
_FORMS = ("RESHAPE", "REVERSE_V2", "SLICE", "STRIDED_SLICE", "TRANSPOSE")


def split_reads(model: Model) -> int:
    """Gives each use of a large variable its own READ_VARIABLE, which `reorder` can move right before the use.

    The converter reads a variable once, and transposes the result once. A kernel that both the forward and the
    backward pass use then stays in the arena in between, in addition to the variable itself.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of uses that got their own read.
    """
    return sum(_split(model, graph) for graph in model.graphs)


def _split(model: Model, graph: Graph) -> int:
    subgraph = model.schema.subgraphs[graph.index]
    makers = {i: position for position, op in enumerate(graph.operators) for i in op.outputs}
    forms = _forms_of_variables(graph, makers)
    chains = [_chain(graph, makers, i) for i in graph.outputs if makers.get(i) in forms]
    results = {position for chain in chains for position in chain}
    copies: dict[int, list[schema_fb.OperatorT]] = collections.defaultdict(list)
    changed = 0
    for position, op in enumerate(graph.operators):
        for i in sorted(set(op.inputs)) if position not in forms else ():
            if makers.get(i) not in forms:
                continue
            chain = _chain(graph, makers, i)
            renamed: dict[int, int] = {}
            # At the position of the converter's read, so that the variable has the same value.
            copies[chain[0]] += [_copy(subgraph, subgraph.operators[p], renamed) for p in chain]
            changed += 1
            reader = subgraph.operators[position]
            reader.inputs = [renamed[i] if j == i else int(j) for j in reader.inputs]
    operators = []
    for position, plain in enumerate(subgraph.operators):
        operators += copies[position]
        if position not in forms or position in results:
            operators.append(plain)
    subgraph.operators = operators
    return changed


def _forms_of_variables(graph: Graph, makers: dict[int, int]) -> set[int]:
    """Returns the positions of operators that read a large variable, or rearrange the result."""
    forms: set[int] = set()
    # A vector of many small slices would be copied a hundred times if each slice had its own read.
    packed = {op.inputs[0] for op in graph.operators if op.name == "SLICE" and not _is_large(graph, op)}
    for position, op in enumerate(graph.operators):
        given = [i for i in op.inputs if i >= 0 and not graph.tensors[i].is_constant]
        is_read = op.name == "READ_VARIABLE" and _is_large(graph, op) and op.outputs[0] not in packed
        if is_read or (op.name in _FORMS and given and all(makers.get(i) in forms for i in given)):
            forms.add(position)
    return forms


def _is_large(graph: Graph, op: Operator) -> bool:
    return graph.tensors[op.outputs[0]].bytes >= _WORTH


def _chain(graph: Graph, makers: dict[int, int], tensor: int) -> list[int]:
    """Returns the positions of the operators that compute a tensor from a variable, in order."""
    chain = [makers[tensor]]
    while graph.operators[chain[0]].name != "READ_VARIABLE":
        op = graph.operators[chain[0]]
        chain.insert(0, next(makers[i] for i in op.inputs if i in makers and not graph.tensors[i].is_constant))
    return chain


def _copy(subgraph: schema_fb.SubGraphT, plain: schema_fb.OperatorT, renamed: dict[int, int]) -> schema_fb.OperatorT:
    """Returns a copy of an operator with new output tensors. It reads the outputs of earlier copies."""
    result = copy.copy(plain)
    result.inputs = [renamed.get(int(i), int(i)) for i in plain.inputs]
    result.outputs = []
    for i in plain.outputs:
        subgraph.tensors.append(copy.copy(subgraph.tensors[i]))
        renamed[int(i)] = len(subgraph.tensors) - 1
        result.outputs.append(renamed[int(i)])
    return result
