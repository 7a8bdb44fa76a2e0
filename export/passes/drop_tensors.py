"""Pass: removes unused tensors."""

from tinytl_tf.export.passes.inputs_first import renumber
from tinytl_tf.tflite.model import Model

__all__ = ["drop_tensors"]


def drop_tensors(model: Model) -> int:
    """Removes tensors without an operator that reads or writes them. The converter and other passes leave these behind.

    TensorFlow Lite Micro allocates memory for each of them, all at the same time.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of removed tensors.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        used = {*graph.inputs, *graph.outputs}
        used.update(i for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0)
        changed += len(subgraph.tensors) - len(used)
        renumber(subgraph, sorted(used))
    return changed
