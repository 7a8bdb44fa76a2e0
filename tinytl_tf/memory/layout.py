"""The arena of a graph: its slots, and where LiteRT puts each of them.

Reference: LiteRT's `tflite/arena_planner.cc` and `tflite/simple_memory_arena.cc` (greedy by size: tensors are placed
from the largest to the smallest, each into the smallest gap that is free during its lifetime). The layout was checked
against the addresses that the runtime assigns.
"""

import dataclasses
import math

import numpy as np

from tinytl_tf.memory.scratch import scratch
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.liveness import Lifetime, lifetimes

__all__ = ["Slot", "arena_growth", "given_inputs", "graph_slots", "kept_on_heap", "lay_out"]

_ALIGNMENT = 64  # bytes


@dataclasses.dataclass(frozen=True)
class Slot:
    """A piece of the arena: its size, its lifetime, its sort key in the planning order, its tensor, and its offset."""

    bytes: int
    lifetime: Lifetime
    order: tuple
    tensor: int | None = None
    offset: int = 0


def graph_slots(graph: Graph, given: set[int], num_threads: int) -> tuple[list[Slot], int]:
    """Returns the slots of a graph's arena, and the number of bytes that the graph keeps on the heap.

    Args:
        graph: the graph.
        given: inputs that need no memory in this graph; see `given_inputs`.
        num_threads: number of interpreter threads.

    Returns:
        The slots, without offsets, and a size in bytes.
    """
    chunk_of = _chunks(graph)
    end = len(graph.operators)
    on_heap = kept_on_heap(graph)
    heap = sum(graph.tensors[i].bytes for i in on_heap)
    slots = []
    for index, life in lifetimes(graph).items():
        size = graph.tensors[index].bytes
        if size and index not in on_heap and index not in given:
            whole = life.first == 0 and life.last == end
            # The runtime does not define the order of an operator's tensors of equal size; usually the last is first.
            order = (
                (chunk_of[life.first], False, index)
                if whole
                else (chunk_of[life.first], True, -size, life.first, -index)
            )
            slots.append(Slot(size, life, order, index))
    for position, op in enumerate(graph.operators):
        in_arena, kept = scratch(graph, op, num_threads)
        heap += sum(kept)
        for number, size in enumerate(in_arena):
            order = (chunk_of[position], True, -size, position, -len(graph.tensors) - number)
            slots.append(Slot(size, Lifetime(position, position), order))
    return slots, heap


def kept_on_heap(graph: Graph) -> frozenset[int]:
    """Returns the tensors outside the arena: those that cannot be planned, and constants that are dequantized once."""
    made_float = {
        op.outputs[0] for op in graph.operators if op.name == "DEQUANTIZE" and graph.tensors[op.inputs[0]].is_constant
    }
    return (graph.dynamic | made_float) - graph.dropped


def given_inputs(op: Operator, nested: Graph) -> set[int]:
    """Returns the inputs of a nested graph that need no memory in it: they use the caller's buffers or are unused."""
    if op.name == "WHILE" and nested.index == op.nested[0]:
        readers = nested.readers()
        return {i for i in nested.inputs if not readers[i] and i not in nested.outputs}
    return set(nested.inputs)


def _chunks(graph: Graph) -> list[int]:
    """Returns, for each operator, how often planning stopped before it to wait for a dynamic tensor."""
    chunks, count = [], 0
    for op in graph.operators:
        chunks.append(count)
        count += any(i in graph.dynamic for i in op.outputs)
    return chunks or [0]


def lay_out(slots: list[Slot]) -> list[Slot]:
    """Assigns an offset to each slot: greedy by size, with the smallest gap that fits.

    Args:
        slots: slots without offsets.

    Returns:
        The slots with offsets, in the order in which they were placed.
    """
    placed: list[Slot] = []
    # Placed slots as rows with the columns offset, end, first, last, sorted by offset.
    table = np.empty((0, 4), np.int64)
    for slot in sorted(slots, key=lambda s: s.order):
        life = slot.lifetime
        overlapping = table[(table[:, 3] >= life.first) & (table[:, 2] <= life.last)]
        offset = _best_offset(overlapping[:, 0], overlapping[:, 1], slot.bytes)
        row = [offset, offset + slot.bytes, life.first, life.last]
        table = np.insert(table, np.searchsorted(table[:, 0], offset, side="right"), row, axis=0)
        placed.append(dataclasses.replace(slot, offset=offset))
    return placed


def arena_growth(slots: list[Slot]) -> list[int]:
    """Returns the sizes that the arena has over time; it can grow when planning continues after a dynamic tensor.

    Args:
        slots: slots without offsets.

    Returns:
        Sizes in bytes, in ascending order and starting with 0.
    """
    ends: dict[int, int] = {}
    for slot in lay_out(slots):
        chunk = slot.order[0]
        ends[chunk] = max(ends.get(chunk, 0), slot.offset + slot.bytes)
    sizes = [0]
    for chunk in sorted(ends):
        sizes.append(max(sizes[-1], ends[chunk]))
    return sorted(set(sizes))


def _best_offset(offsets: np.ndarray, ends: np.ndarray, size: int) -> int:
    """Returns the start of the smallest gap between pieces that holds `size` bytes, or the end of the last piece."""
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
