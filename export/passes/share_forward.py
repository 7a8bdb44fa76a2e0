"""Pass: makes inference and training share one forward pass.

Worked example, for 96 x 96 pixels and 10 classes:

    before
      IF command == infer        image uint8 [1, 96, 96, 3] -> network -> logits float32 [1, 10]
      IF command == accumulate   image, label int32 [1] -> network -> logits, masks -> loss -> gradients -> sums
    after
      IF command < 2             image, label -> network -> logits, masks, loss
        IF command == accumulate   masks, logits -> gradients -> sums, applied 1
        else                       applied 0

The file then contains the operators of the network only once.
"""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_buffer, add_tensor, new_operator
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.micro_contract import COMMANDS, GRAPH
from tinytl_tf.tflite.model import Model

__all__ = ["share_forward"]

# Output indices of the branch of `accumulate` in `MicroModule`.
_LOSS, _ACCURACY, _APPLIED, _LOGITS = range(4)


def share_forward(model: Model) -> int:
    """Splits the branch of `accumulate` into two parts: the forward pass of the network, and the rest under an IF.

    The branch of `infer`, which is a second copy of the network, is removed: in TensorFlow Lite Micro, each operator
    takes about a hundred bytes as long as the program runs. The cost is that inference now packs the masks of the
    activations, which it does not use.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of removed operators, or 0 if the graph does not have these branches.
    """
    main = model.graphs[model.signature(GRAPH).graph]
    branches = _branches(model, main)
    if not {"infer", "accumulate"} <= branches.keys():
        return 0
    infer, accumulate = branches["infer"], branches["accumulate"]
    dropped = len(model.graphs[infer.nested[0]].operators)
    condition = _cut(model, model.graphs[accumulate.nested[0]])
    _take_condition(model, accumulate, condition)
    _run_for_both(model, main, infer, accumulate)
    return dropped


def _branches(model: Model, graph: Graph) -> dict[str, Operator]:
    """Returns the IF operators of the main graph, by the command that they test for."""
    names = {number: name for name, number in COMMANDS.items()}
    compared = {}
    for op in graph.operators:
        if op.name == "EQUAL":
            constant = next(graph.tensors[i] for i in op.inputs if graph.tensors[i].is_constant)
            number = np.frombuffer(bytes(model.schema.buffers[constant.buffer].data), np.int32)[0]
            compared[op.outputs[0]] = names[int(number)]
    return {compared[op.inputs[0]]: op for op in graph.operators if op.name == "IF" and op.inputs[0] in compared}


def _cut(model: Model, graph: Graph) -> int:
    """Moves the operators after the forward pass of a graph into a branch; returns the new input that selects it."""
    schema = model.schema
    forward = schema.subgraphs[graph.index]
    makers = {i: position for position, op in enumerate(graph.operators) for i in op.outputs}
    answers = [graph.outputs[i] for i in (_LOSS, _ACCURACY, _LOGITS)]
    masks = [op.outputs[0] for op in graph.operators if op.name == "QUANTIZE"]
    first = _needed(graph, makers, [*answers, *masks])
    handles = {position for position, op in enumerate(graph.operators) if op.name == "VAR_HANDLE"}
    later = [position for position in range(len(graph.operators)) if position not in first or position in handles]
    made_later = {i for position in later for i in graph.operators[position].outputs}
    wanted = {i for position in later for i in graph.operators[position].inputs if i >= 0} | {graph.outputs[_APPLIED]}
    crossing = sorted(i for i in wanted if i not in made_later and not graph.tensors[i].is_constant)

    backward = copy.copy(forward)
    backward.tensors = [copy.copy(tensor) for tensor in forward.tensors]
    backward.name = f"{graph.name}_backward"
    backward.operators = _with_used_handles(
        [copy.copy(forward.operators[position]) for position in later], _handles_of(graph)
    )
    backward.inputs, backward.outputs = crossing, [graph.outputs[_APPLIED]]
    schema.subgraphs.append(backward)

    idle = schema_fb.SubGraphT()
    idle.name, idle.tensors, idle.operators = f"{graph.name}_idle", [], []
    for index in crossing:
        idle.tensors.append(copy.copy(forward.tensors[index]))
    idle.inputs = list(range(len(crossing)))
    idle.outputs = [add_tensor(idle, (1,), "int32", add_buffer(schema, np.int32([0])))]
    schema.subgraphs.append(idle)

    condition = add_tensor(forward, (), "bool")
    options = schema_fb.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = len(schema.subgraphs) - 2, len(schema.subgraphs) - 1
    kept = _with_used_handles([forward.operators[position] for position in sorted(first)], _handles_of(graph))
    chosen = new_operator(schema, "IF", [condition, *crossing], [graph.outputs[_APPLIED]], options)
    forward.operators = [*kept, chosen]
    forward.inputs = [*graph.inputs, condition]
    return condition


def _handles_of(graph: Graph) -> frozenset[int]:
    """Returns the tensors that are variable handles."""
    return frozenset(i for op in graph.operators if op.name == "VAR_HANDLE" for i in op.outputs)


def _with_used_handles(operators: list[schema_fb.OperatorT], handles: frozenset[int]) -> list[schema_fb.OperatorT]:
    used = {int(i) for op in operators for i in op.inputs}
    return [op for op in operators if not any(int(i) in handles - used for i in op.outputs)]


def _needed(graph: Graph, makers: dict[int, int], tensors: list[int]) -> set[int]:
    """Returns the positions of the operators that these tensors depend on."""
    found: set[int] = set()
    pending = [makers[i] for i in tensors if i in makers]
    while pending:
        position = pending.pop()
        if position not in found:
            found.add(position)
            pending += [makers[i] for i in graph.operators[position].inputs if i in makers]
    return found


def _take_condition(model: Model, op: Operator, condition: int) -> None:
    """Adds the new input to the other branch of an IF."""
    other = model.schema.subgraphs[op.nested[1]]
    other.inputs = [*(int(i) for i in other.inputs), add_tensor(other, (), "bool")]


def _run_for_both(model: Model, main: Graph, infer: Operator, accumulate: Operator) -> None:
    """Runs the branch of `accumulate` for both commands, and removes the branch of `infer`."""
    schema = model.schema
    subgraph = schema.subgraphs[main.index]
    makers = {i: op for op in main.operators for i in op.outputs}
    command = next(i for i in makers[infer.inputs[0]].inputs if not main.tensors[i].is_constant)
    limit = add_buffer(schema, np.int32(max(COMMANDS["infer"], COMMANDS["accumulate"]) + 1))
    either = add_tensor(subgraph, (), "bool")
    number = add_tensor(subgraph, (), "int32", limit)
    less = new_operator(schema, "LESS", [command, number], [either], schema_fb.LessOptionsT())
    own = accumulate.outputs[_LOGITS]
    (total,) = (op for op in main.operators if op.name == "ADD" and set(op.inputs) == {infer.outputs[0], own})
    operators = []
    for op, plain in zip(main.operators, subgraph.operators, strict=True):
        if op is infer or op is total or op is makers[infer.inputs[0]]:
            continue
        if op is accumulate:
            operators.append(less)
            plain.inputs = [either, *op.inputs[1:], op.inputs[0]]
            plain.outputs = [total.outputs[0] if i == own else i for i in op.outputs]
        operators.append(plain)
    subgraph.operators = operators
