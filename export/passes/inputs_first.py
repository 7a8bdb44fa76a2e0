"""Pass: the inputs of a graph that an operator runs are its first tensors."""

from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.model import Model

__all__ = ["inputs_first", "renumber"]


def inputs_first(model: Model) -> int:
    """Renumbers the tensors of each branch and loop body so that its inputs are tensors 0, 1, 2, ...

    The IF of a runtime of 2.7 sizes the tensors 0, 1, ... of its branch where it means the branch's inputs.

    Args:
        model: The file; its `schema` is changed.

    Returns:
        Number of graphs with renumbered tensors.
    """
    nested = {index for _, op in model.operators() for index in op.nested}
    changed = 0
    for index in sorted(nested):
        subgraph = model.schema.subgraphs[index]
        inputs = [int(i) for i in subgraph.inputs]
        if inputs != list(range(len(inputs))) and len(set(inputs)) == len(inputs):
            renumber(subgraph, inputs + [i for i in range(len(subgraph.tensors)) if i not in set(inputs)])
            changed += 1
    return changed


def renumber(subgraph: schema_fb.SubGraphT, order: Sequence[int]) -> None:
    """Puts the tensors into an order, and lets everything that names one follow.

    Args:
        subgraph: is changed.
        order: numbers of tensors; all others are removed, and must not be in use.
    """
    new = {old: position for position, old in enumerate(order)} | {-1: -1}
    subgraph.tensors = [subgraph.tensors[old] for old in order]
    for owner in (subgraph, *subgraph.operators):
        for field in ("inputs", "outputs", "intermediates"):
            numbers = getattr(owner, field, None)
            if numbers is not None:
                setattr(owner, field, [new[int(i)] for i in numbers])
