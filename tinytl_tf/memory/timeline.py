"""Timeline of planned memory: the live bytes of each group of tensors while each operator runs."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tinytl_tf.memory.groups import GROUPS, signature_groups
from tinytl_tf.memory.layout import given_inputs, graph_slots, kept_on_heap
from tinytl_tf.memory.scratch import scratch
from tinytl_tf.tflite.graph import Graph
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import THREADS

__all__ = ["Moment", "plan_timeline"]


@dataclasses.dataclass(frozen=True)
class Moment:
    """Live bytes while one operator runs.

    Attributes:
        graph: name of the operator's graph.
        position: position of the operator in that graph.
        operator: name of the operator.
        bytes: live bytes of each of `groups.GROUPS`, in this graph and in the graphs that called it.
    """

    graph: str
    position: int
    operator: str
    bytes: dict[str, int]

    @property
    def total_bytes(self) -> int:
        """Sum of the bytes of all groups."""
        return sum(self.bytes.values())


def plan_timeline(model: Model, signature: str = "train", *, num_threads: int = THREADS) -> list[Moment]:
    """Returns the live bytes while each operator of a signature runs, in the order in which the operators run.

    The condition and body of a WHILE, and both branches of an IF, are listed once where they run; their bytes are added
    to the caller's. Scratch memory counts as `temporary`. Memory that kernels keep on the heap also counts as
    `temporary`, from its first use in the graph to the end of the timeline. The highest moment is at most
    `PlannedMemory.peak_bytes`. The difference is lost in gaps between the pieces of the arenas, and in arenas that keep
    their size while less memory is alive in them.

    Args:
        model: the file.
        signature: name of the signature.
        num_threads: number of interpreter threads.

    Returns:
        One moment for each operator.

    Raises:
        InputError: if the file has no such signature.
    """
    groups = signature_groups(model, signature)
    graph = model.graphs[model.signature(signature).graph]
    kept = np.zeros(len(GROUPS), np.int64)
    return list(_moments(model, graph, set(), num_threads, groups, kept, np.zeros_like(kept)))


def _moments(
    model: Model,
    graph: Graph,
    given: set[int],
    num_threads: int,
    groups: dict[int, dict[int, str]],
    kept: np.ndarray,
    held: np.ndarray,
) -> Iterator[Moment]:
    """Yields the moments of a graph and of graphs nested in it.

    Args:
        model: the file.
        graph: the graph.
        given: inputs that need no memory in the graph; see `given_inputs`.
        num_threads: number of interpreter threads.
        groups: groups of the tensors of each graph.
        kept: bytes of each group that stay on the heap; increased in place as the operators run.
        held: live bytes of each group in the graphs that called this one.
    """
    alive = _alive(graph, given, num_threads, groups[graph.index])
    on_heap = kept_on_heap(graph)
    for position, op in enumerate(graph.operators):
        for i in on_heap.intersection(op.outputs):
            kept[GROUPS.index(groups[graph.index][i])] += graph.tensors[i].bytes
        kept[GROUPS.index("temporary")] += sum(scratch(graph, op, num_threads)[1])
        now = held + alive[position]
        sizes = dict(zip(GROUPS, (int(size) for size in now + kept), strict=True))
        yield Moment(graph.name, position, op.name, sizes)
        for nested in (model.graphs[i] for i in op.nested):
            yield from _moments(model, nested, given_inputs(op, nested), num_threads, groups, kept, now)


def _alive(graph: Graph, given: set[int], num_threads: int, groups: dict[int, str]) -> np.ndarray:
    """Returns the live bytes of each group in the arena of one graph, `[operators, groups]`."""
    alive = np.zeros((len(graph.operators), len(GROUPS)), np.int64)
    for slot in graph_slots(graph, given, num_threads)[0]:
        group = "temporary" if slot.tensor is None else groups[slot.tensor]
        alive[slot.lifetime.first : slot.lifetime.last + 1, GROUPS.index(group)] += slot.bytes
    return alive
