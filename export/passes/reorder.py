"""Pass: reorders operators to reduce memory.

LiteRT plans its arena from the order of the operators in the file. The converter's order is valid but not optimized: it
leaves sums of bias gradients and updates of variables to the end, so that the gradients of all layers stay alive.

Worked example: three layers with gradients `dy` of float32 [1, 48, 48, 16], 147,456 bytes each. Each bias gradient
`db` is the sum of a `dy`, float32 [16].

    converter's order                    alive                reordered                  alive
    dy2                                  dy2                  dy2                        dy2
    dy1 from dy2                         dy2, dy1             db2 = SUM(dy2)             dy2, db2
    dy0 from dy1                         dy2, dy1, dy0        dy1 from dy2               dy2, dy1, db2
    db2 = SUM(dy2)                       dy2, dy1, dy0, db2   db1 = SUM(dy1)             dy1, db2, db1
    db1 = SUM(dy1)                       dy1, dy0, db2, db1   dy0 from dy1               dy1, dy0, db2, db1
    db0 = SUM(dy0)                       dy0, db2, db1, db0   db0 = SUM(dy0)             dy0, db2, db1, db0
    peak                                 442,432 bytes        peak                       295,040 bytes
"""

import collections
from collections.abc import Iterable

from tinytl_tf.memory.scratch import scratch
from tinytl_tf.tflite.graph import Graph
from tinytl_tf.tflite.liveness import IN_PLACE, MICRO_IN_PLACE, shared_buffers
from tinytl_tf.tflite.model import Model

__all__ = ["reorder"]

_LOOKAHEAD = 16  # operators
# Operators that help to free a tensor run immediately if they add no more than this share of its size in the end, and
# no more than _CLIMB times its size in between. Packing a mask takes 1 / 32 in the end and 9 / 8 in between.
_SMALL_SHARE = 1 / 16
_CLIMB = 5 / 4


def reorder(model: Model, *, micro: bool = False) -> int:
    """Reorders the operators of each graph if that reduces the peak number of live bytes.

    Only the order changes, and it stays valid; see `dependencies`.

    Args:
        model: The file; its `schema` is modified.
        micro: Whether the file is for TensorFlow Lite Micro, whose kernels need almost no scratch memory and can more
            often overwrite an input.

    Returns:
        Number of operators whose position changed.
    """
    changed = 0
    for graph in model.graphs:
        orders = [_Scheduler(graph, whole_chains=whole, micro=micro).run() for whole in (False, True)]
        orders.insert(0, list(range(len(graph.operators))))
        peaks = [peak_alive(graph, order, micro=micro) for order in orders]
        order = orders[peaks.index(min(peaks))]
        if order is not orders[0]:
            subgraph = model.schema.subgraphs[graph.index]
            subgraph.operators = [subgraph.operators[i] for i in order]
            changed += sum(old != new for new, old in enumerate(order))
    return changed


def dependencies(graph: Graph, *, micro: bool = False) -> list[set[int]]:
    """Returns, for each operator, the operators that must run before it. All of them are earlier in the file.

    These are the operators that compute its inputs and, in addition:

    * An operator that changes a variable depends on all earlier operators that read or change the variable, or use a
      value read from it.
    * An operator that reads a variable depends on the last operator that changed it.
    * An operator that runs other graphs may read and change variables there. It depends on all earlier operators, and
      all later operators depend on it.
    * An operator that may overwrite an input in place depends on all earlier readers of that buffer, including those
      that read it as another tensor; the later readers depend on it. The runtime decides by counting readers,
      independent of their order. A reader that runs after the buffer was overwritten gets wrong values, without an
      error.
    """
    before: list[set[int]] = [set() for _ in graph.operators]
    maker = {i: position for position, op in enumerate(graph.operators) for i in op.outputs}
    for position, op in enumerate(graph.operators):
        before[position] |= {maker[i] for i in op.inputs if i in maker}
    _add_variables(graph, before)
    if not micro:  # for TensorFlow Lite Micro, `place_tensors` decides about overwriting, later
        _add_overwriting(graph, before)
    return before


def _add_variables(graph: Graph, before: list[set[int]]) -> None:
    names = {
        op.outputs[0]: (op.options.container, op.options.sharedName)
        for op in graph.operators
        if op.name == "VAR_HANDLE"
    }
    everyone: set[int] = set()  # since the last operator that runs other graphs, which may change all variables
    barrier: int | None = None
    last_change: dict = {}
    users: dict = collections.defaultdict(set)
    value_of: dict[int, object] = {}
    for position, op in enumerate(graph.operators):
        if barrier is not None:
            before[position].add(barrier)
        for i in op.inputs:
            if i in value_of:
                users[value_of[i]].add(position)
        variables = [names.get(i, i) for i in op.inputs if i >= 0 and graph.tensors[i].dtype == "resource"]
        for variable in variables:
            if variable in last_change:
                before[position].add(last_change[variable])
            if op.name == "READ_VARIABLE":
                value_of[op.outputs[0]] = variable
            else:
                before[position] |= users[variable] - {position}
                last_change[variable] = position
                users[variable] = set()
            users[variable].add(position)
        if op.nested:
            before[position] |= everyone
            barrier, everyone = position, set()
        everyone.add(position)


def _add_overwriting(graph: Graph, before: list[set[int]]) -> None:
    for readers in _buffer_readers(graph).values():
        writers = [position for position in readers if graph.operators[position].name in IN_PLACE]
        for writer in writers:
            for reader in readers:
                if reader != writer:
                    before[max(reader, writer)].add(min(reader, writer))


def _buffer_readers(graph: Graph) -> dict[int, set[int]]:
    """Returns the readers of each buffer that several tensors share, by the tensor that owns the buffer."""
    owner = shared_buffers(graph)
    shared = set(owner.values())
    readers = collections.defaultdict(set)
    for position, op in enumerate(graph.operators):
        for i in op.inputs:
            if owner.get(i, i) in shared:
                readers[owner.get(i, i)].add(position)
    return readers


def peak_alive(graph: Graph, order: Iterable[int], *, micro: bool = False) -> int:
    """Returns the peak number of live bytes if the operators run in this order."""
    memory = _Memory(graph, micro)
    return max((memory.run(position) for position in order), default=0)


class _Memory:
    """Counts live bytes while operators run one by one."""

    def __init__(self, graph: Graph, micro: bool = False) -> None:
        self.graph = graph
        self.owner = shared_buffers(graph, MICRO_IN_PLACE if micro else IN_PLACE)
        forever = {self.root(i) for i in (*graph.inputs, *graph.outputs)}
        self.sizes = {t.index: t.bytes for t in graph.tensors if not t.is_constant and t.index not in forever}
        self.reads = [{self.root(i) for i in op.inputs if i >= 0} for op in graph.operators]
        self.made = [{i for i in op.outputs if i not in self.owner} for op in graph.operators]
        self.waiting: dict[int, set[int]] = collections.defaultdict(set)
        for position, roots in enumerate(self.reads):
            for root in roots:
                self.waiting[root].add(position)
        self.scratch = [0] * len(graph.operators)
        if not micro:
            self.scratch = [sum(scratch(graph, op, num_threads=1)[0]) for op in graph.operators]
        self.alive = 0

    def root(self, tensor: int) -> int:
        """Returns the tensor that owns the buffer of a tensor."""
        return self.owner.get(tensor, tensor)

    def run(self, position: int) -> int:
        """Runs an operator; returns the live bytes while it runs."""
        self.alive += sum(self.sizes.get(i, 0) for i in self.made[position])
        during = self.alive + self.scratch[position]
        for root in self.reads[position]:
            self.waiting[root].discard(position)
            if not self.waiting[root]:
                self.alive -= self.sizes.get(root, 0)
        return during

    def climb(self, positions: list[int]) -> tuple[int, int]:
        """Returns the number of live bytes that these operators would add: the peak in between, and at the end."""
        added, highest = 0, 0
        ran: set[int] = set()
        freed: set[int] = set()
        for position in positions:
            added += sum(self.sizes.get(i, 0) for i in self.made[position])
            highest = max(highest, added + self.scratch[position])
            ran.add(position)
            done = {root for root in self.reads[position] if root not in freed and self.waiting[root] <= ran}
            added -= sum(self.sizes.get(root, 0) for root in done)
            freed |= done
        return highest, added


class _Scheduler:
    """Runs each operator as late as possible, and operators that free memory as early as possible.

    The final operators of a graph are scheduled starting with the deepest, so that short branches (reading a variable,
    unpacking a mask) wait until they are needed. After each operator, the other readers of its tensors run immediately,
    together with their inputs and consequences, if these need almost no memory: storing the mask of an activation, or
    summing a gradient and applying its update.

    Args:
        graph: The graph to order.
        whole_chains: Whether a chain of nearly free operators runs to its end before the next chain starts.
        micro: See `reorder`.
    """

    def __init__(self, graph: Graph, *, whole_chains: bool = False, micro: bool = False) -> None:
        self.graph, self.whole_chains = graph, whole_chains
        self.memory = _Memory(graph, micro)
        self.before = dependencies(graph, micro=micro)
        self.depth = [0] * len(graph.operators)
        for position, earlier in enumerate(self.before):
            self.depth[position] = 1 + max((self.depth[p] for p in earlier), default=0)
        self.done = [False] * len(graph.operators)
        self.order: list[int] = []
        self.readers = collections.defaultdict(list)
        for position, op in enumerate(graph.operators):
            for i in set(op.inputs):
                self.readers[i].append(position)

    def run(self) -> list[int]:
        """Returns the positions of the operators in their new order."""
        ends = [p for p, op in enumerate(self.graph.operators) if not any(self.readers[i] for i in op.outputs)]
        for position in sorted(ends, key=self.depth.__getitem__, reverse=True):
            pending = collections.deque(self._needed(position, limit=len(self.done)))
            while pending:
                position = pending.popleft()
                if not self.done[position]:
                    pending.extendleft(reversed(self._run_one(position)))
        return self.order

    def _run_one(self, position: int) -> list[int]:
        """Runs an operator and the chains that become nearly free; returns the operators of a chain still to run."""
        stack = [position]
        while stack:
            at = stack.pop()
            if not self.done[at]:
                self.memory.run(at)
                self.done[at] = True
                self.order.append(at)
            chain = self._nearly_free(at)
            if not self.whole_chains:
                return chain
            if chain:
                for link in chain:
                    self.memory.run(link)
                    self.done[link] = True
                self.order += chain
                stack += [at, *reversed(chain)]
        return []

    def _needed(self, position: int, limit: int) -> list[int] | None:
        """Returns an operator after those that must still run before it, deepest first; None if more than `limit`."""
        needed: list[int] = []
        seen, stack = set(), [(position, False)]
        while stack:
            at, inputs_done = stack.pop()
            if inputs_done:
                needed.append(at)
            elif at not in seen and not self.done[at]:
                seen.add(at)
                if len(seen) > limit:
                    return None
                stack.append((at, True))
                stack += [(p, False) for p in sorted(self.before[at], key=self.depth.__getitem__)]
        return needed

    def _nearly_free(self, position: int) -> list[int]:
        """Returns operators that read tensors of this operator and can follow it with almost no memory."""
        op = self.graph.operators[position]
        for i in (*op.inputs, *op.outputs):
            size = self.memory.sizes.get(self.memory.root(i), 0)
            for reader in self.readers[i] if size else ():
                chain = [] if self.done[reader] else self._chain(reader, size)
                if chain:
                    return chain
        return []

    def _chain(self, position: int, size: int) -> list[int]:
        """Returns the shortest chain from this operator that is nearly free for a tensor of this size, or nothing."""
        chain: list[int] = []
        while len(chain) < _LOOKAHEAD:
            needed = self._needed(position, _LOOKAHEAD)
            if needed is None:
                return []
            chain += [p for p in needed if p not in chain]
            highest, added = self.memory.climb(chain)
            if highest > size * _CLIMB:
                return []
            if added <= size * _SMALL_SHARE:
                return chain
            following = {p for i in self.graph.operators[position].outputs for p in self.readers[i]}
            following -= {p for p in following if self.done[p]} | set(chain)
            if len(following) != 1:
                return []
            position = following.pop()
        return []
