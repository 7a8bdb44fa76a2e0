"""Checks that a rebuilt network computes the same as the original model, and finds the first difference."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf.backbones.call import Call
from tinytl_tf.backbones.head import Head
from tinytl_tf.backbones.nodes import network_nodes
from tinytl_tf.errors import InputError, ParityError
from tinytl_tf.networks.spec import DEPTHS

__all__ = ["TOLERANCE", "check_same_outputs"]

TOLERANCE = 1e-4  # relative to the largest output; folding norms and reordering sums cause differences up to 5e-6
_EXAMPLES = 2
_ACTIVATIONS = {"": tf.identity, "softmax": tf.nn.softmax, "sigmoid": tf.sigmoid}


def check_same_outputs(
    network: keras.Model,
    model: keras.Model,
    body: Callable[[keras.Model], keras.Model],
    nodes: Mapping[str, Any],
    features: str,
    head: Head,
    preprocess_input: Callable | str | None,
    examples: np.ndarray | None,
) -> None:
    """Compares a network with the model that it was rebuilt from.

    Args:
        network: the rebuilt network.
        model: the original model.
        body: function that returns the graph of the model or of a nested model.
        nodes: the model's node with the same output, by the name of the network's layer.
        features: name of the last layer that is always taken from the model.
        head: the classifier, its activation and the layers before it.
        preprocess_input: preprocessing that the network applies before the model's own layers.
        examples: inputs of the network; `None` for random ones.

    Raises:
        InputError: if the examples do not fit; or if the model's `call` differs from its graph.
        ParityError: if an output differs by more than `TOLERANCE` times the largest output.
    """
    examples = _examples(network.input_shape[1:], examples)
    inputs = preprocess_input(examples.copy()) if callable(preprocess_input) else examples
    values: dict[int, np.ndarray] = {}
    expected = _run(body(model), [inputs], body, values)
    _require_call_of_graph(model, network, inputs, expected)
    wanted = {name: values[id(node)] for name, node in nodes.items() if id(node) in values}
    inner = keras.Model(network.input, [_before_classifier(network, head), network.output])
    got, logits = (output.numpy() for output in inner(examples, training=False))
    if _differs(got, wanted[features]):
        raise ParityError(_explain(network, wanted, examples, got, wanted[features]))
    if head.values:
        # A softmax can shrink large differences, so the features above are compared as well.
        got = _ACTIVATIONS[head.activation](logits).numpy()
        expected = expected.reshape(got.shape)
        if _differs(got, expected):
            raise ParityError(_explain(network, wanted, examples, got, expected))


def _before_classifier(network: keras.Model, head: Head) -> keras.KerasTensor:
    """Returns the tensor with the features; layers between it and the classifier may not be part of the model."""
    tensor = _without_depths(network.layers[-1].input)
    for layer in reversed(head.layers[:-1]):
        if layer.name == head.features:
            break
        tensor = _without_depths(tensor._keras_history.operation.input)
    return tensor


def _without_depths(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Returns the features that a tensor joins with those of other depths; other tensors are returned as they are."""
    operation = tensor._keras_history.operation
    return operation.input[0] if operation.name == DEPTHS else tensor


def _examples(shape: tuple[int, ...], given: np.ndarray | None) -> np.ndarray:
    """Returns the given inputs as float32, or random ones: pixels of 0 to 255 for images."""
    if given is not None:
        given = np.asarray(given, np.float32)
        if given.shape[1:] != shape or not len(given):
            raise InputError(f"expected examples of the shape (n, {', '.join(map(str, shape))}), got {given.shape}")
        return given
    rng = np.random.default_rng(0)
    is_image = len(shape) == 3 and shape[-1] == 3
    values = rng.integers(0, 256, (_EXAMPLES, *shape)) if is_image else rng.normal(size=(_EXAMPLES, *shape))
    return values.astype(np.float32)


def _require_call_of_graph(model: keras.Model, network: keras.Model, inputs: Any, expected: np.ndarray) -> None:
    """Refuses a subclass of a functional model if its `call` does not compute the same as its graph."""
    if type(model).call in (type(network).call, keras.Sequential.call):
        return
    structure = getattr(model, "_inputs_struct", None)  # a list or a dictionary if it was built with one
    given = inputs if structure is None else keras.tree.pack_sequence_as(structure, [inputs])
    result = np.asarray(keras.tree.flatten(model(given, training=False))[0])
    if _differs(result, expected):
        raise InputError(
            f"expected a model that computes the same as its layers, got {type(model).__name__} with another call; "
            "give keras.Model(inputs, outputs) of the result"
        )


def _run(model: keras.Model, inputs: list[Any], body: Callable, values: dict[int, np.ndarray]) -> np.ndarray:
    """Runs a model node by node; stores each output in `values`."""
    tensors = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    for node in network_nodes(model):
        given = [tensors[id(tensor)] for tensor in node.input_tensors]
        if isinstance(node.operation, keras.Model):
            result = _run(body(node.operation), given, body, values)
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
    """Returns a message that names the first layer with a different output."""
    nodes = {node.operation.name: node for node in network_nodes(network) if node.operation.name in wanted}
    outputs = keras.Model(network.input, [node.outputs[0] for node in nodes.values()])(examples, training=False)
    found = (name for name, own in zip(nodes, outputs, strict=True) if _differs(own.numpy(), wanted[name]))
    largest = float(np.abs(expected).max())
    difference = float(np.abs(got - expected).max()) if got.shape == expected.shape else np.inf
    where = next(found, "its classifier")
    return (
        f"expected the outputs of the model, up to {TOLERANCE:g} of the largest, {largest:.3g}; got a difference of "
        f"{difference:.3g}, from {where!r} on. Please report it with that layer"
    )
