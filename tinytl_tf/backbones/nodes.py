"""The calls to layers in a network."""

import keras

__all__ = ["network_nodes"]


def network_nodes(model: keras.Model) -> list:
    """Returns the calls to layers in a functional model, in an order in which they can run."""
    # Not `model.layers`: a layer may be called more than once and may also be called in other models.
    depths = sorted(model._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in model._nodes_by_depth[depth] if not node.is_input]
