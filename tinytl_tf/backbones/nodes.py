"""The calls of layers in a network."""

import keras

__all__ = ["network_nodes"]


def network_nodes(model: keras.Model) -> list:
    """Returns the calls of layers of a functional model, in an order that can run."""
    # Not `model.layers`: a layer may be called more than once, and in other models too.
    depths = sorted(model._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in model._nodes_by_depth[depth] if not node.is_input]
