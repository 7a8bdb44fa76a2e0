"""Planned account: the memory that LiteRT plans for a signature, from the file only.

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
    """Allocations of the runtime without a delegate to run a signature; constants and variables are additional.

    The work space of a single matrix product is not counted, nor, with several threads, of Eigen's convolution:
    both exist only during one operator, a few MB at most.

    Attributes:
        signature: Name of the signature.
        num_threads: Threads of the interpreter; they decide which kernels run.
        peak_bytes: `arena_bytes` and `heap_bytes` together.
        arena_bytes: The arenas that exist at the same time: of the signature and of the loop with the largest need; or
            an arena and its copy, when a tensor that cannot be planned makes it grow.
        heap_bytes: Memory of kernels outside of the arena until the interpreter is deleted (scratch, transposed
            kernels), and tensors outside of the arena: tensors with a shape that is computed at run time, and
            float32 copies of constants.
        arenas: Size of each graph's arena in bytes at its end, by the graph's name.
        dynamic: Names of the tensors that could not be planned.
    """

    signature: str
    num_threads: int
    peak_bytes: int
    arena_bytes: int
    heap_bytes: int
    arenas: dict[str, int]
    dynamic: tuple[str, ...]


def planned_peak(model: Model, signature: str = "train", *, num_threads: int = THREADS) -> PlannedMemory:
    """Lays out the memory of a signature as the runtime does.

    Args:
        model: The file.
        signature: Name of the signature.
        num_threads: Threads of the interpreter.

    Returns:
        The peak and its parts.

    Raises:
        InputError: If the file has no such signature.
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
    """Size of a graph's arena and of nested arenas that are alive; fills `sizes` with (arena, heap) of each."""
    slots, heap = graph_slots(graph, given, num_threads)
    grown = arena_growth(slots)
    sizes[graph.index] = (grown[-1], heap)
    deepest = 0
    for op in graph.operators:
        inner = [
            _nested_arena(model, model.graphs[i], given_inputs(op, model.graphs[i]), num_threads, sizes)
            for i in op.nested
        ]
        # A loop's condition and body exist together; of two branches one runs.
        deepest = max(deepest, sum(inner) if op.name == "WHILE" else max(inner, default=0))
    # A growing arena is copied: for a moment its content exists twice, and the added part is still empty.
    return max([grown[-1] + deepest, *(2 * size for size in grown[:-1])])
