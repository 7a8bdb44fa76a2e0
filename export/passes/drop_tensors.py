"""Pass: no tensors that nothing uses."""

from tinytl_tf.export.passes.inputs_first import renumber
from tinytl_tf.tflite.model import Model

__all__ = ["drop_tensors"]


def drop_tensors(model: Model) -> int:
    """Takes away the tensors that no operator reads or makes, which passes and the converter leave behind.

    TensorFlow Lite Micro gives each of them memory, all at the same time.

    Args:
        model: The file; its `schema` is changed.

    Returns:
        Number of tensors that it took away.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        used = {*graph.inputs, *graph.outputs}
        used.update(i for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0)
        changed += len(subgraph.tensors) - len(used)
        renumber(subgraph, sorted(used))
    return changed
