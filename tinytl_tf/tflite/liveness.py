"""Lifetimes of a graph's tensors, the buffers that they share, and the tensors that the runtime cannot plan.

The rules are those of LiteRT 2.3 without a delegate, from its sources (`tflite/arena_planner.cc`,
`tflite/kernels/while.cc`), and were checked against the addresses that it assigns.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from tinytl_tf.tflite.graph import Graph, Operator

__all__ = [
    "IN_PLACE",
    "MICRO_IN_PLACE",
    "VIEWS",
    "Lifetime",
    "dropped_tensors",
    "dynamic_tensors",
    "late_readers",
    "lifetimes",
    "shared_buffers",
]

# Operators whose first output may use the buffer of one of these inputs, if the input has no other reader.
IN_PLACE = {
    "ADD": (0, 1),
    "SUB": (0, 1),
    "MUL": (0, 1),
    "DIV": (0, 1),
    "SOFTMAX": (0,),
    "DYNAMIC_UPDATE_SLICE": (0,),
}
# Operators of TensorFlow Lite Micro that write element i only after they have read element i of one of these inputs.
# The interpreter lets input and output share a buffer if the file assigns one; see `place_tensors`.
MICRO_IN_PLACE = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM"), (0, 1)),
    **dict.fromkeys(("ABS", "EXP", "FLOOR", "FLOOR_MOD", "LOG", "NEG", "ROUND", "RSQRT", "SQRT", "SQUARE"), (0,)),
    **dict.fromkeys(("RELU", "RELU6"), (0,)),
    "SELECT_V2": (1, 2),
}
# Operators whose output is their first input with a different shape or type: both share one buffer, however many
# readers there are.
VIEWS = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "BITCAST")
_SMALLEST_SHARED = 5  # bytes; the runtime does not share scalars
# Inputs that determine the size of the output. Unless they are constant, the output is dynamic: it is allocated on the
# heap when the operator runs, and everything that follows is planned again each time.
_SHAPE_INPUTS = {
    "BROADCAST_TO": (1,),
    "EXPAND_DIMS": (1,),
    "FILL": (0,),
    "MEAN": (1,),
    "MIRROR_PAD": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "RANGE": (0, 1, 2),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "SUM": (1,),
    "TILE": (1,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0,),
}


@dataclasses.dataclass(frozen=True)
class Lifetime:
    """Positions of the first and the last operator between which a tensor needs its buffer, both inclusive.

    For a buffer that is never released, `last` is the number of operators, one past the last position.
    """

    first: int
    last: int


def shared_buffers(graph: Graph, in_place: Mapping[str, Sequence[int]] = IN_PLACE) -> dict[int, int]:
    """Returns the tensors that use the buffer of another tensor, and that tensor.

    Views, such as RESHAPE, always share a buffer; arithmetic may overwrite an input that has no other reader.

    Args:
        graph: The graph.
        in_place: Operators that may overwrite an input, and the positions of those inputs.

    Returns:
        Index of a tensor -> index of the tensor that owns its buffer.
    """
    references = graph.readers()
    references.update([*graph.inputs, *graph.outputs, *_variables(graph)])
    owner: dict[int, int] = {}
    for op in graph.operators:
        is_view = op.name in VIEWS
        if not op.outputs or not (is_view or op.name in in_place):
            continue
        positions = (0,) if is_view else in_place[op.name]
        candidates = [op.inputs[i] for i in positions if i < len(op.inputs)]
        source = next((i for i in candidates if _can_share(graph, i, op.outputs[0], is_view, references)), None)
        if source is None:
            continue
        root = owner.get(source, source)
        if is_view or references[root] <= 1:
            owner[op.outputs[0]] = root
    return owner


def late_readers(graph: Graph) -> list[int]:
    """Returns the positions of operators that read a tensor after its buffer was overwritten, and get wrong numbers.

    The runtime lets an operator overwrite a tensor with one reader if the owner of the buffer also has only one. It
    ignores tensors between the two: a view of a view, or a view of a result that was computed in place.
    """
    owner = shared_buffers(graph)
    content: dict[int, int] = {}  # owner of a buffer -> the operator that wrote it last
    expected: dict[int, int | None] = {}  # tensor -> the operator that wrote its content
    late = []
    for position, op in enumerate(graph.operators):
        if any(content.get(owner.get(i, i)) != expected.get(i) for i in op.inputs):
            late.append(position)
        for i in op.outputs:
            if i in owner and op.name in VIEWS:
                expected[i] = expected.get(op.inputs[0])
            else:
                content[owner.get(i, i)] = expected[i] = position
    return late


def lifetimes(graph: Graph) -> dict[int, Lifetime]:
    """Returns when each tensor needs its buffer.

    A buffer is needed from the operator that first writes it to the last reader of it or of a tensor that shares it.
    Inputs, outputs, variables and results without a reader stay until the end.

    Returns:
        Index of each tensor that owns a buffer in memory -> its lifetime; constants and dropped tensors are not
        included.
    """
    owner = shared_buffers(graph)
    first = dict.fromkeys([*graph.inputs, *_variables(graph)], 0)
    last: dict[int, int] = {}
    for position, op in enumerate(graph.operators):
        for i in op.outputs:
            first.setdefault(i, position)
        for i in op.inputs:
            last[owner.get(i, i)] = position
    end = len(graph.operators)
    kept = {owner.get(i, i) for i in [*graph.inputs, *graph.outputs, *_variables(graph)]}
    return {
        i: Lifetime(start, end if i in kept else last.get(i, end))
        for i, start in first.items()
        if i >= 0 and i not in owner and i not in graph.dropped and not graph.tensors[i].is_constant
    }


def dynamic_tensors(graph: Graph, graphs: Sequence[Graph]) -> frozenset[int]:
    """Returns the tensors that the runtime cannot plan (see `Graph.dynamic`); `graphs` are all graphs of the file."""
    return frozenset(i for op in graph.operators if _is_dynamic(op, graph, graphs) for i in op.outputs)


def _is_dynamic(op: Operator, graph: Graph, graphs: Sequence[Graph]) -> bool:
    if op.name in ("WHILE", "IF"):
        return any(dynamic_tensors(graphs[i], graphs) for i in op.nested)
    if op.name == "READ_VARIABLE":  # the runtime cannot distinguish a scalar from a tensor of unknown rank
        return not graph.tensors[op.outputs[0]].shape
    positions = [i for i in _SHAPE_INPUTS.get(op.name, ()) if i < len(op.inputs)]
    return any(not graph.tensors[op.inputs[i]].is_constant for i in positions)


def dropped_tensors(graph: Graph, graphs: Sequence[Graph]) -> frozenset[int]:
    """Returns the WHILE outputs that get no memory (see `Graph.dropped`); `graphs` are all graphs of the file."""
    readers = graph.readers()
    dropped = set()
    for op in graph.operators:
        if op.name == "WHILE":
            body = graphs[op.nested[1]]
            unchanged = [o for o, i, j in zip(op.outputs, body.inputs, body.outputs, strict=True) if i == j]
            dropped.update(i for i in unchanged if not readers[i] and i not in graph.outputs)
    return frozenset(dropped)


def _variables(graph: Graph) -> list[int]:
    return [tensor.index for tensor in graph.tensors if tensor.is_variable]


def _can_share(graph: Graph, source: int, target: int, is_view: bool, references: collections.Counter) -> bool:
    if source < 0 or source in graph.inputs or target in graph.outputs:
        return False
    if graph.tensors[source].is_constant or source in graph.dynamic or target in graph.dynamic:
        return False
    size = graph.tensors[source].bytes
    same = size == graph.tensors[target].bytes and size >= _SMALLEST_SHARED
    return is_view or (same and references[source] <= 1)
