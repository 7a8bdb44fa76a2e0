"""Pass: stores the offset of each tensor in the arena of TensorFlow Lite Micro in the file.

By default, TensorFlow Lite Micro gives every tensor its own buffer, RESHAPE copies its input, and inputs of a branch
exist twice. Alternatively, it accepts offsets from metadata in the file. This pass writes offsets that let tensors
share a buffer if that is correct.

Worked example: four tensors of 73,728 bytes each, which the runtime would place in separate buffers by default.

    tensor                                  made by                    place
    x        float32 [1, 48, 48, 8]         a convolution              offset 0
    rows     float32 [2304, 8]              RESHAPE of x               offset 0: a view of x
    product  float32 [2304, 8]              MUL of rows and a mask     offset 0: overwrites rows, its last reader
    inner    float32 [2304, 8]              input of an IF's branch    offset 0: the IF copies product onto itself

They take 73,728 bytes instead of 294,912.

The command `save` joins all trained variables. Each is read to its place in the joined state:

    kernel   float32 [1, 1, 56, 336]        READ_VARIABLE              offset 0
    flat     float32 [18816]                RESHAPE of kernel          offset 0: a view of kernel
    biases   float32 [1904]                 READ_VARIABLE              offset 75,264
    state    float32 [20720]                CONCATENATION of both      offset 0: copies both onto themselves

They take 82,880 bytes instead of 165,760.

Reference:
    tensorflow/tflite-micro, `micro_allocation_info.cc` (lifetimes) and `docs/memory_management.md` (the metadata).
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.liveness import MICRO_IN_PLACE, VIEWS
from tinytl_tf.tflite.model import Model

__all__ = ["METADATA", "arena_plan", "place_tensors"]

METADATA = "OfflineMemoryAllocation"
_VERSION, _GRAPH = 1, 0  # the first two numbers of the metadata, which the runtime does not use
_ONLINE = -1  # the runtime decides: constants, and tensors without memory
_ALIGNMENT = 16  # bytes
_WORTH = 1024  # bytes; smaller inputs and outputs of branches are copied as before
# Operators that only copy bytes, and so can write to an address that is not aligned.
_COPIES = (*VIEWS, "READ_VARIABLE", "CONCATENATION")
Key = tuple[int, int]  # graph, tensor
_Place = tuple[Key, int]  # owner of the buffer, offset in it in bytes


@dataclasses.dataclass
class _Buffer:
    """A buffer that tensors share, and the time from the first to the last use of any of them."""

    bytes: int
    first: int
    last: int
    offset: int = 0


def place_tensors(model: Model) -> int:
    """Plans the arena and stores the offsets of all tensors as metadata. This must be the last pass.

    * A RESHAPE shares the buffer of its input.
    * Elementwise arithmetic overwrites an input of the same size that has no later readers.
    * Large inputs and outputs of an IF share the buffers of its branches; the runtime then copies them onto themselves.
    * A variable that is read to be concatenated is read to its place in the result.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of tensors that share the buffer of another tensor.
    """
    buffers, places = _plan(model)
    offsets = []
    for graph in model.graphs:
        for tensor in graph.tensors:
            owner, inside = places.get((graph.index, tensor.index), (None, 0))
            offsets.append(_ONLINE if owner is None else buffers[owner].offset + inside)
    content = np.array([_VERSION, _GRAPH, len(offsets), *offsets], np.int32)
    model.set_metadata(METADATA, content.tobytes())
    return len(places) - len(buffers)


def arena_plan(model: Model) -> int:
    """Returns the size in bytes of the part of the arena that holds tensors, as planned by `place_tensors`."""
    return _height(_plan(model)[0].values())


def _plan(model: Model) -> tuple[dict[Key, _Buffer], dict[Key, _Place]]:
    """Returns the buffers by their owner, a tensor, and the place of each tensor in memory.

    Large buffers are harder to pack, so joining the parts of a CONCATENATION does not always pay.
    """
    return min(
        (_plan_with(model, join_parts) for join_parts in (True, False)), key=lambda plan: _height(plan[0].values())
    )


def _height(buffers: Iterable[_Buffer]) -> int:
    return max((buffer.offset + buffer.bytes for buffer in buffers), default=0)


def _plan_with(model: Model, join_parts: bool) -> tuple[dict[Key, _Buffer], dict[Key, _Place]]:
    times = _Times(model)
    owners = {key: (key, 0) for key in times.first}
    for graph in model.graphs:
        if graph.index in times.entered:
            _share(model, graph, times, owners, join_parts)
    places = {key: _place_of(owners, key) for key in owners}
    buffers: dict[Key, _Buffer] = {}
    for key, (owner, inside) in places.items():
        tensor = model.graphs[key[0]].tensors[key[1]]
        buffer = buffers.setdefault(owner, _Buffer(0, times.first[key], times.last[key]))
        buffer.bytes = max(buffer.bytes, -(-(inside + tensor.bytes) // _ALIGNMENT) * _ALIGNMENT)
        buffer.first, buffer.last = min(buffer.first, times.first[key]), max(buffer.last, times.last[key])
    _pack(list(buffers.values()))
    return buffers, places


class _Times:
    """When each tensor is first and last used. Time advances with every operator of every branch, as in the runtime."""

    def __init__(self, model: Model) -> None:
        self._model, self._now = model, 0
        self.first: dict[Key, int] = {}
        self.last: dict[Key, int] = {}
        self.entered: set[int] = set()
        self._enter(model.graphs[0])

    def _enter(self, graph: Graph) -> None:
        self.entered.add(graph.index)
        self._use(graph, graph.inputs)
        for op in graph.operators:
            self._now += 1
            self._use(graph, op.inputs)
            if op.nested:
                self._run_branches(graph, op)
            self._use(graph, op.outputs)
        self._use(graph, graph.outputs)

    def _run_branches(self, graph: Graph, op: Operator) -> None:
        """Enters the branches. Only one of them runs, so all start at the same time, when inputs are copied."""
        begin, ends = self._now + 1, []
        for index in op.nested:
            self._now = begin
            self._use(graph, op.inputs)
            self._enter(self._model.graphs[index])
            ends.append(self._now)
        self._now = max(ends)

    def _use(self, graph: Graph, tensors: Iterable[int]) -> None:
        for index in tensors:
            if index >= 0 and not graph.tensors[index].is_constant and graph.tensors[index].bytes:
                self.first.setdefault((graph.index, index), self._now)
                self.last[graph.index, index] = max(self.last.get((graph.index, index), 0), self._now)


def _place_of(owners: dict[Key, _Place], key: Key) -> _Place:
    """Returns the tensor that owns a tensor's buffer, and the tensor's offset in the buffer."""
    inside = 0
    while owners[key][0] != key:
        key, more = owners[key]
        inside += more
    return key, inside


def _root(owners: dict[Key, _Place], key: Key) -> Key:
    return _place_of(owners, key)[0]


def _share(model: Model, graph: Graph, times: _Times, owners: dict[Key, _Place], join_parts: bool) -> None:
    """Joins the tensors of a graph that can share a buffer, in the order of the operators."""
    readers, makers = {}, {}
    for position, op in enumerate(graph.operators):
        for index in op.inputs:
            readers.setdefault(index, []).append(position)
        makers |= dict.fromkeys(op.outputs, op.name)
    kept = {*graph.inputs, *graph.outputs}
    members = {index: {index} for index in range(len(graph.tensors))}
    home = {index: index for index in members}

    def join(output: int, source: int, inside: int = 0) -> None:
        """Puts the buffer of `output` into that of `source`, at an offset in bytes from the start of `source`."""
        owner, start = _place_of(owners, (graph.index, source))
        owners[_root(owners, (graph.index, output))] = owner, start + inside
        members[home[source]] |= members[home[output]]
        for index in members[home[source]]:
            home[index] = home[source]

    def join_inputs(position: int, op: Operator) -> None:
        """Puts inputs of a CONCATENATION into its output if they are only copied there; see the module's example."""
        result, inside = graph.tensors[op.outputs[0]], 0
        if (graph.index, result.index) not in owners or not _is_in_order(graph, op):
            return
        for index in op.inputs:
            own, size = members[home[index]], graph.tensors[index].bytes
            is_copied = all(makers.get(i) in _COPIES for i in own) and not own & kept and op.inputs.count(index) == 1
            is_all = is_copied and max(graph.tensors[i].bytes for i in own) == size
            if is_all and all(readers.get(i, [0])[-1] <= position for i in own):
                join(index, result.index, inside)
            inside += size

    for position, op in enumerate(graph.operators):
        if op.name == "IF":
            for outer, inner in _through_branches(model, op):
                outer_key, inner_key = (graph.index, outer), inner
                if outer_key in owners and inner_key in owners and _root(owners, inner_key) == inner_key:
                    owners[inner_key] = _place_of(owners, outer_key)
            continue
        if join_parts and op.name == "CONCATENATION":
            join_inputs(position, op)
        if len(op.outputs) != 1 or op.outputs[0] in kept:
            continue
        output = op.outputs[0]
        for source in _candidates(graph, op):
            alive = any(index in kept or readers.get(index, [-1])[-1] > position for index in members[home[source]])
            is_view = op.name in VIEWS
            if is_view or not alive:
                join(output, source)
                break


def _candidates(graph: Graph, op: Operator) -> Iterator[int]:
    """Yields the inputs whose buffer an operator's result could reuse, provided that they have no later readers."""
    target = graph.tensors[op.outputs[0]]
    for place in (0,) if op.name in VIEWS else MICRO_IN_PLACE.get(op.name, ()):
        index = op.inputs[place] if place < len(op.inputs) else -1
        if index < 0:
            continue
        source = graph.tensors[index]
        if not source.is_constant and source.bytes == target.bytes and source.bytes and source.dtype == target.dtype:
            yield index


def _is_in_order(graph: Graph, op: Operator) -> bool:
    """Returns whether the output of a CONCATENATION is its inputs' bytes one after another."""
    shape, axis = graph.tensors[op.outputs[0]].shape, op.options.axis
    return all(size == 1 for size in shape[: axis % len(shape)])


def _through_branches(model: Model, op: Operator) -> Iterator[tuple[int, Key]]:
    """Yields the large inputs and outputs of an IF with their counterparts in its branches."""
    for child in (model.graphs[index] for index in op.nested):
        inside = [*child.inputs, *child.outputs]
        for outer, inner in zip((*op.inputs[1:], *op.outputs), inside, strict=True):
            if inside.count(inner) == 1 and child.tensors[inner].bytes >= _WORTH:
                yield outer, (child.index, inner)


def _pack(buffers: list[_Buffer]) -> None:
    """Assigns an offset to each buffer: greedily, in the best of several orders."""
    best, places = None, []
    for order in (
        lambda b: (-b.bytes, b.first),
        lambda b: (-b.bytes * (b.last - b.first + 1), b.first),
        lambda b: (-(b.last - b.first), -b.bytes),
        lambda b: (b.first, -b.bytes),
    ):
        height = _place(sorted(buffers, key=order))
        if best is None or height < best:
            best, places = height, [buffer.offset for buffer in buffers]
    for buffer, offset in zip(buffers, places, strict=True):
        buffer.offset = offset


def _place(buffers: list[_Buffer]) -> int:
    """Places each buffer in the first gap that is large enough; returns the total size."""
    placed: list[_Buffer] = []
    for buffer in buffers:
        offset = 0
        for other in placed:  # by offset
            if other.first <= buffer.last and buffer.first <= other.last:
                if other.offset - offset >= buffer.bytes:
                    break
                offset = max(offset, other.offset + other.bytes)
        buffer.offset = offset
        at = next((i for i, other in enumerate(placed) if other.offset > offset), len(placed))
        placed.insert(at, buffer)
    return _height(placed)
