"""Groups the tensors of a signature by use: saved for backward, gradient, state, input or temporary.

The groups are derived from the graph. Names given by TensorFlow are not used; the only name used is `loss`, an output
of the signature.

* `state`: tensors read from or written to resource variables: trained variables, optimizer slots, sums of gradients.
* `input`: inputs of the signature, and their copies (reshape, slice, gather).
* `saved`: tensors computed by the forward part and used by the backward part; also tensors that are kept past the
  logits until such a tensor, for example a mask, is computed from them.
* `gradient`: tensors computed by the backward part.
* `temporary`: all other tensors.

The forward part consists of the operators that the loss depends on, and of all operators that do not depend on the
logits. The logits are the last tensor with more than one element that is on every path from the images to the loss and
that is also used by an operator that the loss does not depend on. The images are the largest input that the loss
depends on. The backward part consists of the operators that depend on the logits but that the loss does not depend on.
The images and the loss are traced into WHILE and IF operators, and the results of such an operator have the groups that
they have inside it.

Limits: if there is no output `loss`, or no such logits exist (two separate heads), no tensor is `saved` or `gradient`.
Metrics computed from the logits count as `gradient`; they take only a few bytes. Tensors that share a buffer have the
group of its owner, and are `saved` if the backward part uses any of them that the forward part computed.
"""

import collections
import math
from collections.abc import Iterable, Mapping

from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.liveness import shared_buffers
from tinytl_tf.tflite.model import Model

__all__ = ["GROUPS", "signature_groups"]

GROUPS = ("saved", "gradient", "temporary", "state", "input")
# Operators that only copy elements of one of their inputs, and the index of that input.
_COPIES = {
    "RESHAPE": 0,
    "EXPAND_DIMS": 0,
    "SQUEEZE": 0,
    "GATHER": 0,
    "SLICE": 0,
    "STRIDED_SLICE": 0,
    "TRANSPOSE": 0,
    "UNPACK": 0,
    "SPLIT": 1,
    "SPLIT_V": 0,
}


def signature_groups(model: Model, signature: str) -> dict[int, dict[int, str]]:
    """Groups the tensors of all graphs that a signature runs.

    Args:
        model: the file.
        signature: name of the signature.

    Returns:
        The group of each tensor, an entry of `GROUPS`, by graph index and then by tensor index.

    Raises:
        InputError: if the file has no such signature.
    """
    entry = model.signature(signature)
    loss = {entry.outputs["loss"].index} if "loss" in entry.outputs else set()
    result: dict[int, dict[int, str]] = {}
    graph = model.graphs[entry.graph]
    _group(model, graph, loss, dict.fromkeys(graph.inputs, "input"), result)
    return result


def _group(
    model: Model, graph: Graph, loss: set[int], given: Mapping[int, str], result: dict[int, dict[int, str]]
) -> None:
    """Groups the tensors of a graph and of graphs nested in it.

    Args:
        model: the file.
        graph: the graph.
        loss: indices of the graph's outputs that the loss is computed from.
        given: groups of the graph's inputs.
        result: the groups of each graph are stored here.
    """
    needed, forward = _ancestors(graph, loss)
    logits, backward = _backward(graph, loss, needed, forward)
    groups = {tensor.index: "temporary" for tensor in graph.tensors} | dict(given)
    for position, op in enumerate(graph.operators):
        groups.update(dict.fromkeys(op.outputs, _group_of_results(op, position in backward, groups)))
        for nested in (model.graphs[i] for i in op.nested):
            groups.update(_group_nested(model, op, nested, needed, groups, result))
    owner = shared_buffers(graph)
    written = [op.inputs[1] for op in graph.operators if op.name == "ASSIGN_VARIABLE"]
    groups.update({owner.get(i, i): "state" for i in written})
    made = {i: position for position, op in enumerate(graph.operators) for i in op.outputs}
    for position in set(range(logits, len(graph.operators))) - forward:
        for i in (i for i in graph.operators[position].inputs if i in made and made[i] not in backward):
            waits = position in backward or made[i] < logits
            if waits and groups[owner.get(i, i)] == "temporary":
                groups[owner.get(i, i)] = "saved"
    groups.update({i: groups[root] for i, root in owner.items()})
    result[graph.index] = groups


def _group_of_results(op: Operator, is_backward: bool, groups: Mapping[int, str]) -> str:
    if op.name == "READ_VARIABLE":
        return "state"
    if op.name in _COPIES and groups.get(op.inputs[_COPIES[op.name]]) == "input":
        return "input"
    return "gradient" if is_backward else "temporary"


def _group_nested(
    model: Model,
    op: Operator,
    nested: Graph,
    needed: set[int],
    groups: Mapping[int, str],
    result: dict[int, dict[int, str]],
) -> dict[int, str]:
    """Groups a graph nested in an operator; returns the groups of those operator outputs that it determines."""
    operands = op.inputs[1:] if op.name == "IF" else op.inputs
    given = {i: groups.get(operand, "temporary") for i, operand in zip(nested.inputs, operands, strict=False)}
    is_condition = op.name == "WHILE" and nested.index == op.nested[0]
    pairs = [] if is_condition else list(zip(op.outputs, nested.outputs, strict=False))
    _group(model, nested, {inner for outer, inner in pairs if outer in needed}, given, result)
    inside = result[nested.index]
    return {outer: inside[inner] for outer, inner in pairs if inside.get(inner, "temporary") != "temporary"}


def _ancestors(graph: Graph, loss: Iterable[int]) -> tuple[set[int], set[int]]:
    """Returns the tensors that the loss depends on, and the positions of the operators that compute them."""
    needed, forward = set(loss), set()
    for position, op in reversed(list(enumerate(graph.operators))):
        if needed.intersection(op.outputs):
            needed.update(i for i in op.inputs if i >= 0)
            forward.add(position)
    return needed, forward


def _backward(graph: Graph, loss: set[int], needed: set[int], forward: set[int]) -> tuple[int, set[int]]:
    """Returns the position after the logits, and the positions of the operators of the backward part."""
    logits = _logits(graph, loss, needed, forward)
    after, reached, backward = len(graph.operators), {logits}, set()
    for position, op in enumerate(graph.operators):
        if logits in op.outputs:
            after = position + 1
        if reached.intersection(op.inputs):
            reached.update(op.outputs)
            backward.add(position)
    return after, backward - forward


def _logits(graph: Graph, loss: set[int], needed: set[int], forward: set[int]) -> int | None:
    """Returns the index of the logits as defined in the module's docstring, or `None` if there are no logits."""
    image = max((graph.tensors[i] for i in graph.inputs if i in needed), key=lambda t: t.bytes, default=None)
    if image is None:
        return None
    steps = [graph.operators[position] for position in sorted(forward)]
    # A tensor is on every path if the paths from the images to it, times those from it to the loss, equal all paths.
    from_image = collections.Counter({image.index: 1})
    for op in steps:
        from_image.update(dict.fromkeys(op.outputs, sum(from_image[i] for i in op.inputs)))
    to_loss = collections.Counter(loss)
    for op in reversed(steps):
        paths = sum(to_loss[i] for i in op.outputs)
        to_loss.update({i: paths * count for i, count in collections.Counter(op.inputs).items()})
    every = to_loss[image.index]
    elsewhere = {i for position, op in enumerate(graph.operators) if position not in forward for i in op.inputs}
    passed = [i for op in steps for i in op.outputs if every and from_image[i] * to_loss[i] == every and i in elsewhere]
    return next((i for i in reversed(passed) if math.prod(graph.tensors[i].shape) > 1), None)
