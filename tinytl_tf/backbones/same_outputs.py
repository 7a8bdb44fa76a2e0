"""Checks that a rebuilt network computes what its model does, and says where it does not."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf.backbones.call import Call
from tinytl_tf.backbones.head import Head
from tinytl_tf.backbones.keras_reader import functional_body
from tinytl_tf.backbones.nodes import network_nodes
from tinytl_tf.errors import ParityError

__all__ = ["TOLERANCE", "check_same_outputs"]

TOLERANCE = 1e-4  # of the largest output; folding norms into kernels and another order of sums round to 5e-6
_EXAMPLES = 2
_ACTIVATIONS = {"": tf.identity, "softmax": tf.nn.softmax, "sigmoid": tf.sigmoid}


def check_same_outputs(
    network: keras.Model,
    model: keras.Model,
    nodes: Mapping[str, Any],
    head: Head,
    names: Mapping[str, str],
    preprocess_input: Callable | str | None,
    examples: np.ndarray | None,
) -> None:
    """Compares a network with the model that it was rebuilt from.

    Args:
        network: the network.
        model: the model, functional.
        nodes: by the name of a layer of the network, the model's node whose output it has.
        head: where they are compared.
        names: of the network's layers, by those that `head` has.
        preprocess_input: what the network does to its inputs before the model's part.
        examples: inputs of the network, or `None`.

    Raises:
        ParityError: if an output differs by more than `TOLERANCE` of the largest one.
    """
    examples = _made_up(network.input_shape[1:]) if examples is None else np.asarray(examples, np.float32)
    inputs = preprocess_input(examples.copy()) if callable(preprocess_input) else examples
    values: dict[int, np.ndarray] = {}
    expected = _run(model, [inputs], values)
    wanted = {name: values[id(node)] for name, node in nodes.items() if id(node) in values}
    if head.values:
        got = _ACTIVATIONS[head.activation](network(examples, training=False)).numpy()
        expected = expected.reshape(got.shape)
    else:
        name = names[head.compared]
        got = keras.Model(network.input, network.get_layer(name).output)(examples, training=False).numpy()
        expected = wanted[name]
    if _differs(got, expected):
        raise ParityError(_explain(network, wanted, examples, got, expected))


def _made_up(shape: tuple[int, ...]) -> np.ndarray:
    """Inputs as they may be: pixels of 0 to 255 for images."""
    rng = np.random.default_rng(0)
    is_image = len(shape) == 3 and shape[-1] == 3
    values = rng.uniform(0, 255, (_EXAMPLES, *shape)) if is_image else rng.normal(size=(_EXAMPLES, *shape))
    return values.astype(np.float32)


def _run(model: keras.Model, inputs: list[Any], values: dict[int, np.ndarray]) -> np.ndarray:
    """Runs a model node by node; notes what each gives."""
    tensors = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    for node in network_nodes(model):
        given = [tensors[id(tensor)] for tensor in node.input_tensors]
        if isinstance(node.operation, keras.Model):
            result = _run(functional_body(node.operation), given, values)
        else:
            result = Call(node.operation, node).run(given)
        values[id(node)] = np.asarray(result)
        tensors[id(node.outputs[0])] = result
    return np.asarray(tensors[id(model.outputs[0])])


def _differs(got: np.ndarray, expected: np.ndarray) -> bool:
    largest = max(float(np.abs(expected).max()), np.finfo(np.float32).tiny)
    return got.shape != expected.shape or not float(np.abs(got - expected).max()) <= TOLERANCE * largest


def _explain(
    network: keras.Model, wanted: Mapping[str, np.ndarray], examples: np.ndarray, got: np.ndarray, expected: np.ndarray
) -> str:
    """Names the first layer whose output is another one."""
    names = [layer.name for layer in network.layers if layer.name in wanted]
    outputs = keras.Model(network.input, [network.get_layer(name).output for name in names])(examples, training=False)
    found = (name for name, own in zip(names, outputs, strict=True) if _differs(own.numpy(), wanted[name]))
    largest = float(np.abs(expected).max())
    difference = float(np.abs(got - expected).max()) if got.shape == expected.shape else np.inf
    where = next(found, "its classifier")
    return (
        f"expected the outputs of the model, up to {TOLERANCE:g} of the largest, {largest:.3g}; got a difference of "
        f"{difference:.3g}, from {where!r} on. Please report it with that layer"
    )
