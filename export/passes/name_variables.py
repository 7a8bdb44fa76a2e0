"""Pass: creates variable handles where they are used, instead of passing them into loops and branches."""

import copy

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.model import Model

__all__ = ["name_variables"]

_VAR_HANDLE = schema_fb.BuiltinOperator.VAR_HANDLE
_RESOURCE = schema_fb.TensorType.RESOURCE


def name_variables(model: Model) -> int:
    """Adds a VAR_HANDLE to each loop body and branch for every variable that it takes as an input.

    LiteRT treats a handle as a tensor of unknown size. Therefore a loop that passes handles between iterations plans
    its memory, and prepares all delegated parts, again in each iteration.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of handles removed from the inputs of loops and branches.
    """
    changed = 0
    pending = [(signature.graph, {}) for signature in model.signatures.values()]
    while pending:
        index, names = pending.pop()
        nested = _name(model, index, names)
        changed += sum(len(handles) for _, handles in nested)
        pending += nested
    return changed


def _name(model: Model, index: int, names: dict[int, schema_fb.OperatorT]) -> list[tuple[int, dict]]:
    """Adds handles to one graph, given the VAR_HANDLE operator for each of its handle inputs.

    Returns:
        The graphs that this graph runs, each with the VAR_HANDLE operators for its handle inputs.
    """
    subgraph, graph = model.schema.subgraphs[index], model.graphs[index]
    handles = dict(names)
    nested = []
    for op, plain in zip(graph.operators, subgraph.operators, strict=True):
        if op.name == "VAR_HANDLE":
            handles[op.outputs[0]] = plain
        places = [place for place, i in enumerate(op.inputs) if i in handles] if op.nested else []
        if not places:
            continue
        # The first input of IF is its condition.
        skipped = 1 if op.name == "IF" else 0
        for child in op.nested:
            inputs = model.graphs[child].inputs
            nested.append((child, {inputs[place - skipped]: handles[op.inputs[place]] for place in places}))
        plain.inputs = [i for place, i in enumerate(op.inputs) if place not in places]
        if op.name == "WHILE":
            plain.outputs = [i for place, i in enumerate(op.outputs) if place not in places]
            body = model.schema.subgraphs[op.nested[1]]
            body.outputs = [i for place, i in enumerate(model.graphs[op.nested[1]].outputs) if place not in places]
    used = {int(i) for plain in subgraph.operators for i in plain.inputs}
    subgraph.inputs = [i for i in graph.inputs if i not in names]
    subgraph.operators = [_handle(plain, i) for i, plain in names.items() if i in used] + subgraph.operators
    return nested


def _handle(plain: schema_fb.OperatorT, tensor: int) -> schema_fb.OperatorT:
    handle = copy.copy(plain)
    handle.outputs = [tensor]
    return handle
