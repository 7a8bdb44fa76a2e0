"""Pass: makes the inputs of branches and loop bodies their first tensors."""

from collections.abc import Sequence

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.model import Model

__all__ = ["inputs_first", "renumber"]


def inputs_first(model: Model) -> int:
    """Renumbers the tensors of each branch and loop body so that its inputs are tensors 0, 1, 2, ...

    IF in runtime 2.7 resizes the tensors 0, 1, ... of its branch instead of the branch's inputs.

    Args:
        model: The file; its `schema` is modified.

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
    """Reorders the tensors of a graph, and updates all references to them.

    Args:
        subgraph: the graph; it is modified.
        order: old tensor indices in their new order. All other tensors are removed; they must not be in use.
    """
    new = {old: position for position, old in enumerate(order)} | {-1: -1}
    subgraph.tensors = [subgraph.tensors[old] for old in order]
    for owner in (subgraph, *subgraph.operators):
        for field in ("inputs", "outputs", "intermediates"):
            numbers = getattr(owner, field, None)
            if numbers is not None:
                setattr(owner, field, [new[int(i)] for i in numbers])
