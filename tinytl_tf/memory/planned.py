"""Planned memory: the memory that LiteRT plans for a signature, computed from the file only.

Reference: `layout.py`, and LiteRT's `tflite/kernels/while.cc` and `if.cc`.
"""

import dataclasses

from tinytl_tf.memory.layout import arena_growth, given_inputs, graph_slots
from tinytl_tf.tflite.graph import Graph
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import THREADS

__all__ = ["PlannedMemory", "planned_peak"]


@dataclasses.dataclass(frozen=True)
class PlannedMemory:
    """Memory that the runtime allocates to run a signature without a delegate, except for constants and variables.

    Also not counted are the workspace of a single matrix product and, with several threads, that of Eigen's
    convolution. Both exist only while one operator runs, and take a few MB at most.

    Attributes:
        signature: name of the signature.
        num_threads: number of interpreter threads; determines which kernels run.
        peak_bytes: sum of `arena_bytes` and `heap_bytes`.
        arena_bytes: bytes of all arenas that exist at the same time: those of the signature and of the loop that needs
            the most memory; or an arena and its copy, when a tensor that cannot be planned makes the arena grow.
        heap_bytes: bytes outside the arena: memory that kernels keep until the interpreter is deleted (scratch memory
            and transposed kernels), tensors with a shape that is computed at run time, and float32 copies of constants.
        arenas: final size of each graph's arena in bytes, by the name of the graph.
        dynamic: names of the tensors that cannot be planned.
    """

    signature: str
    num_threads: int
    peak_bytes: int
    arena_bytes: int
    heap_bytes: int
    arenas: dict[str, int]
    dynamic: tuple[str, ...]


def planned_peak(model: Model, signature: str = "train", *, num_threads: int = THREADS) -> PlannedMemory:
    """Plans the memory of a signature as the runtime does.

    Args:
        model: the file.
        signature: name of the signature.
        num_threads: number of interpreter threads.

    Returns:
        The peak and its parts.

    Raises:
        InputError: if the file has no such signature.
    """
    graph = model.graphs[model.signature(signature).graph]
    sizes: dict[int, tuple[int, int]] = {}
    arena = _nested_arena(model, graph, set(), num_threads, sizes)
    heap = sum(size for _, size in sizes.values())
    graphs = [model.graphs[i] for i in sizes]
    return PlannedMemory(
        signature=signature,
        num_threads=num_threads,
        peak_bytes=arena + heap,
        arena_bytes=arena,
        heap_bytes=heap,
        arenas={g.name: sizes[g.index][0] for g in graphs},
        dynamic=tuple(t.name for g in graphs for t in g.tensors if t.bytes and t.index in g.dynamic - g.dropped),
    )


def _nested_arena(
    model: Model, graph: Graph, given: set[int], num_threads: int, sizes: dict[int, tuple[int, int]]
) -> int:
    """Returns the bytes of a graph's arena and its live nested arenas; stores (arena, heap) of each in `sizes`."""
    slots, heap = graph_slots(graph, given, num_threads)
    grown = arena_growth(slots)
    sizes[graph.index] = (grown[-1], heap)
    deepest = 0
    for op in graph.operators:
        inner = [
            _nested_arena(model, model.graphs[i], given_inputs(op, model.graphs[i]), num_threads, sizes)
            for i in op.nested
        ]
        # A loop's condition and body exist at the same time; of the two branches of IF, only one runs.
        deepest = max(deepest, sum(inner) if op.name == "WHILE" else max(inner, default=0))
    # An arena is copied when it grows: for a moment, its content exists twice, and the added part is still empty.
    return max([grown[-1] + deepest, *(2 * size for size in grown[:-1])])
