"""Pass: removes unused graphs."""

from tinytl_tf.tflite.edit import set_nested
from tinytl_tf.tflite.model import Model

__all__ = ["drop_graphs"]


def drop_graphs(model: Model) -> int:
    """Removes the graphs that no signature reaches, and renumbers the rest.

    TensorFlow Lite Micro prepares all graphs of a file, even those that never run.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of removed graphs.
    """
    used = sorted({graph.index for name in model.signatures for graph in model.graphs_of(name)})
    numbers = {old: new for new, old in enumerate(used)}
    for graph in model.graphs:
        for op, plain in zip(graph.operators, model.schema.subgraphs[graph.index].operators, strict=True):
            if graph.index in numbers and op.nested:
                set_nested(plain, op.name, [numbers[index] for index in op.nested])
    for entry in model.schema.signatureDefs:
        entry.subgraphIndex = numbers[entry.subgraphIndex]
    model.schema.subgraphs = [model.schema.subgraphs[index] for index in used]
    return len(model.graphs) - len(used)
