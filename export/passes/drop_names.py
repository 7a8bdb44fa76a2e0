"""Pass: removes names of tensors, and empty tables."""

from tinytl_tf.tflite.model import Model

__all__ = ["drop_names"]


def drop_names(model: Model) -> int:
    """Takes away the names of all tensors but inputs and outputs of graphs, and empty tables of quantization.

    The runtime does not use them. Names come from the scopes of TensorFlow and take up to a tenth of a file with
    int8 kernels, which stays in memory with the file.

    Args:
        model: The file; its `schema` is changed.

    Returns:
        Number of names and tables that it took away.
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
