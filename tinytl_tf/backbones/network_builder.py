"""Builds a network from its description."""

from collections.abc import Mapping

import keras

from tinytl_tf.backbones.call import Call
from tinytl_tf.backbones.kinds import KINDS
from tinytl_tf.keras_backend import require_keras_settings
from tinytl_tf.layers import Network
from tinytl_tf.networks.branches import PORTS
from tinytl_tf.networks.spec import INPUT, NetworkSpec

__all__ = ["build_network"]


def build_network(spec: NetworkSpec, *, calls: Mapping[str, Call] | None = None, seed: int = 0) -> Network:
    """Builds a network from its description, with random weights.

    Args:
        spec: description of the network.
        calls: calls to Keras layers without a counterpart in this package, by layer name.
        seed: seed for all initializers and dropout.

    Returns:
        A `Network` that maps `(batch, *spec.input_shape)` to logits.

    Raises:
        InputError: if a Keras setting is not supported.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> build_network(from_table("mcunet_5fps", resolution=64, classes=2)).output_shape
        (None, 2)
    """
    require_keras_settings()
    keras.utils.set_random_seed(seed)
    tensors = {INPUT: keras.Input(spec.input_shape, name=INPUT)}
    for layer in spec.layers:
        inputs = [tensors[name] for name in layer.inputs]
        if layer.kind in KINDS:
            tensors[layer.name] = KINDS[layer.kind](layer, seed)(inputs if len(inputs) > 1 else inputs[0])
        else:
            tensors[layer.name] = calls[layer.name].again(layer.name, inputs, layer.option(PORTS) or ())
    return Network(tensors[INPUT], tensors[spec.layers[-1].name], name=spec.name)
