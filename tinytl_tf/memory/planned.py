"""Planned account: the memory that LiteRT lays out for a signature, from the file alone.

Reference: LiteRT's `tflite/arena_planner.cc` and `tflite/simple_memory_arena.cc` (greedy by size: the biggest tensor
first, each into the smallest gap that is free for its lifetime), `tflite/kernels/while.cc` and `if.cc`, and the
kernels that ask for scratch memory. Checked against the addresses that the runtime gives out.
"""

import dataclasses
import math

import numpy as np

from tinytl_tf.flatbuffer import Graph, Lifetime, Model, Operator

__all__ = ["PlannedMemory", "planned_peak"]

_ALIGNMENT = 64  # bytes
_REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL")
_SUMMING = ("MEAN", "SUM")  # these keep a sum of the size of the result as well


@dataclasses.dataclass(frozen=True)
class PlannedMemory:
    """What the runtime without a delegate allocates to run a signature; constants and variables come on top.

    The work space of a single matrix product is not in it, nor, with several threads, that of Eigen's convolution:
    both come and go within one operator, a few MB at most.

    Attributes:
        signature: Name of the signature.
        num_threads: Threads of the interpreter; they decide which kernels run.
        peak_bytes: `arena_bytes` and `heap_bytes` together.
        arena_bytes: The arenas that exist at the same time: the signature's and those of the loop that needs most.
        heap_bytes: What kernels keep outside of the arena until the interpreter goes away (scratch, transposed
            kernels), and tensors whose shape is known only when they are computed.
        arenas: Size of each graph's arena in bytes, by the graph's name.
        dynamic: Names of the tensors that could not be planned.
    """

    signature: str
    num_threads: int
    peak_bytes: int
    arena_bytes: int
    heap_bytes: int
    arenas: dict[str, int]
    dynamic: tuple[str, ...]


def planned_peak(model: Model, signature: str = "train", *, num_threads: int = 1) -> PlannedMemory:
    """Lays out the memory of a signature as the runtime does.

    Args:
        model: The file.
        signature: Name of the signature.
        num_threads: Threads of the interpreter.

    Returns:
        The peak and what it is made of.

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
    """Size of a graph's arena and of those that are alive inside of it; fills `sizes` with (arena, heap) of each."""
    slots, heap = _slots(graph, given, num_threads)
    sizes[graph.index] = (max((s.offset + s.bytes for s in lay_out(slots)), default=0), heap)
    deepest = 0
    for op in graph.operators:
        inner = [
            _nested_arena(model, model.graphs[i], _given_inputs(op, model.graphs[i], i), num_threads, sizes)
            for i in op.nested
        ]
        # A loop's condition and body exist together; of two branches one runs.
        deepest = max(deepest, sum(inner) if op.name == "WHILE" else max(inner, default=0))
    return sizes[graph.index][0] + deepest


def _given_inputs(op: Operator, nested: Graph, index: int) -> set[int]:
    """Inputs of a nested graph that need no memory in it: the caller's buffers are used, or nobody reads them."""
    if op.name == "WHILE" and index == op.nested[0]:
        readers = nested.readers()
        return {i for i in nested.inputs if not readers[i] and i not in nested.outputs}
    return set(nested.inputs)


@dataclasses.dataclass(frozen=True)
class Slot:
    """A piece of the arena: its size, when it is needed, its place among equals, and where it lies."""

    bytes: int
    lifetime: Lifetime
    order: tuple
    tensor: int | None = None
    offset: int = 0


def _slots(graph: Graph, given: set[int], num_threads: int) -> tuple[list[Slot], int]:
    """The pieces of a graph's arena, and the bytes that it keeps on the heap."""
    chunk_of = _chunks(graph)
    end = len(graph.operators)
    heap = sum(graph.tensors[i].bytes for i in graph.dynamic if i not in graph.dropped)
    slots = []
    for index, life in graph.lifetimes().items():
        size = graph.tensors[index].bytes
        if size and index not in graph.dynamic and index not in given:
            whole = life.first == 0 and life.last == end
            # The runtime leaves open what of one operator and one size comes first; mostly it is the youngest.
            order = (
                (chunk_of[life.first], False, index)
                if whole
                else (chunk_of[life.first], True, -size, life.first, -index)
            )
            slots.append(Slot(size, life, order, index))
    for position, op in enumerate(graph.operators):
        in_arena, on_heap = _scratch(graph, op, num_threads)
        heap += sum(on_heap)
        for number, size in enumerate(in_arena):
            order = (chunk_of[position], True, -size, position, -len(graph.tensors) - number)
            slots.append(Slot(size, Lifetime(position, position), order))
    return slots, heap


def _chunks(graph: Graph) -> list[int]:
    """For each operator, how many times planning stopped before it to wait for a dynamic tensor."""
    chunks, count = [], 0
    for op in graph.operators:
        chunks.append(count)
        count += any(i in graph.dynamic for i in op.outputs)
    return chunks or [0]


def lay_out(slots: list[Slot]) -> list[Slot]:
    """Gives each slot its offset: greedy by size, the smallest gap that fits.

    Args:
        slots: Pieces without offsets.

    Returns:
        The pieces with offsets, in the order in which they were placed.
    """
    placed: list[Slot] = []
    # Columns offset, end, first, last of what is placed, sorted by offset.
    table = np.empty((0, 4), np.int64)
    for slot in sorted(slots, key=lambda s: s.order):
        life = slot.lifetime
        overlapping = table[(table[:, 3] >= life.first) & (table[:, 2] <= life.last)]
        offset = _best_offset(overlapping[:, 0], overlapping[:, 1], slot.bytes)
        row = [offset, offset + slot.bytes, life.first, life.last]
        table = np.insert(table, np.searchsorted(table[:, 0], offset, side="right"), row, axis=0)
        placed.append(dataclasses.replace(slot, offset=offset))
    return placed


def _best_offset(offsets: np.ndarray, ends: np.ndarray, size: int) -> int:
    """Start of the smallest gap between the given pieces that holds `size` bytes, or the end of them."""
    if not len(offsets):
        return 0
    reached = np.maximum.accumulate(ends)
    starts = np.concatenate([[0], reached[:-1]])
    aligned = -(-starts // _ALIGNMENT) * _ALIGNMENT
    best, best_gap = _align(int(reached[-1])), math.inf
    for i in np.flatnonzero(aligned + size <= offsets):
        if offsets[i] - aligned[i] < best_gap:
            best, best_gap = int(aligned[i]), int(offsets[i] - starts[i])
    return best


def _align(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def _scratch(graph: Graph, op: Operator, num_threads: int) -> tuple[list[int], list[int]]:
    """Bytes that a float kernel asks for: pieces of the arena while it runs, and pieces of the heap that it keeps."""
    tensors = [graph.tensors[i] for i in op.inputs if i >= 0]
    if op.name == "CONV_2D":
        image, kernel = tensors[:2]
        _, height, width, _ = kernel.shape
        options, output = op.options, graph.tensors[op.outputs[0]]
        strides = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
        if num_threads > 1 and kernel.is_constant and strides[2:] == (1, 1):
            return [], [kernel.bytes]
        patches = math.prod(output.shape[:3]) * height * width * image.shape[3] * 4
        return ([patches] if (height, width, *strides) != (1,) * 6 else []), []
    if op.name == "TRANSPOSE_CONV":
        kernel, image = tensors[1:3]
        return [], [math.prod(image.shape[1:3]) * math.prod(kernel.shape[:3]) * 4, kernel.bytes]
    if op.name == "BATCH_MATMUL":
        left, right = tensors
        return ([left.bytes], [right.bytes]) if right.is_constant else ([left.bytes, right.bytes], [])
    if op.name == "ADD_N":
        return [graph.tensors[op.outputs[0]].bytes * max(1, min(num_threads, len(tensors) // 2))], []
    if op.name in _REDUCTIONS:
        rank, axes = len(tensors[0].shape) * 4, math.prod(tensors[1].shape) * 4
        return [rank, axes] + [graph.tensors[op.outputs[0]].bytes] * (op.name in _SUMMING), []
    return [], []
