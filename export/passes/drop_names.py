"""Pass: removes tensor names and empty quantization tables."""

from tinytl_tf.tflite.model import Model

__all__ = ["drop_names"]


def drop_names(model: Model) -> int:
    """Removes the names of all tensors except inputs and outputs of graphs, and empty quantization tables.

    The runtime does not use them. Names come from TensorFlow scopes and take up to a tenth of a file with int8 kernels,
    which is also memory while the file is loaded.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of removed names and tables.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        kept = {*graph.inputs, *graph.outputs}
        for index, tensor in enumerate(subgraph.tensors):
            if index not in kept and tensor.name is not None:
                tensor.name = None
                changed += 1
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
                changed += 1
    return changed
