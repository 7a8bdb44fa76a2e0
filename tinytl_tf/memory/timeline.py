"""Timeline of the planned account: the bytes that are alive while each operator runs, by use."""

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
        graph: Name of the operator's graph.
        position: Its position in that graph.
        operator: Its name.
        bytes: Bytes of each of `groups.GROUPS`, of this graph and of graphs that wait for it.
    """

    graph: str
    position: int
    operator: str
    bytes: dict[str, int]

    @property
    def total_bytes(self) -> int:
        """Bytes of all groups."""
        return sum(self.bytes.values())


def plan_timeline(model: Model, signature: str = "train", *, num_threads: int = THREADS) -> list[Moment]:
    """Follows a signature through its operators, in the order in which they run.

    A loop's condition and body, and both branches of a condition, are listed once where they run, in addition to the
    caller's memory. Scratch memory counts as `temporary`; so does kernels' memory on the heap, from its first use in
    the graph to the end of the timeline. The highest moment is at most `PlannedMemory.peak_bytes`: the rest of that is
    lost between the pieces of the arenas, and to arenas that keep their size while less is alive in them.

    Args:
        model: The file.
        signature: Name of the signature.
        num_threads: Threads of the interpreter.

    Returns:
        A moment for each operator.

    Raises:
        InputError: If the file has no such signature.
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
    """The moments of a graph and those inside of it.

    Args:
        model: The file.
        graph: The graph.
        given: Its inputs that need no memory in it.
        num_threads: Threads of the interpreter.
        groups: Groups of the tensors of each graph.
        kept: Bytes of each group that stay on the heap; grows as the operators run.
        held: Bytes of each group that the callers hold.
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
    """Bytes of each group in the arena of one graph, [operators, groups]."""
    alive = np.zeros((len(graph.operators), len(GROUPS)), np.int64)
    for slot in graph_slots(graph, given, num_threads)[0]:
        group = "temporary" if slot.tensor is None else groups[slot.tensor]
        alive[slot.lifetime.first : slot.lifetime.last + 1, GROUPS.index(group)] += slot.bytes
    return alive
