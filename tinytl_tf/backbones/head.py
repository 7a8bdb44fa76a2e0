"""Finds the classifier at the end of a network, and keeps or replaces it."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.networks.spec import CLASSIFIER, INPUT, LayerSpec, VariableSpec

__all__ = ["Head", "split_head", "unused_name"]

_FINAL = ("softmax", "sigmoid")  # activations that an exported file applies to the logits itself


@dataclasses.dataclass(frozen=True)
class Head:
    """A network that ends with a classifier.

    Attributes:
        layers: all layers; the last one is the classifier.
        values: values of the variables of the model's own classifier; empty for a new classifier.
        features: name of the layer whose output goes to the classifier; if that output is an image, it is pooled first.
        activation: activation that the model applies to the logits: `"softmax"`, `"sigmoid"` or `""`.
    """

    layers: tuple[LayerSpec, ...]
    values: Mapping[str, np.ndarray]
    features: str
    activation: str


def split_head(
    layers: Sequence[LayerSpec],
    output: str,
    values: Mapping[str, Mapping[str, np.ndarray]],
    classes: int | None,
    dropout: float,
) -> Head:
    """Returns a network with the model's classifier or a new one.

    Args:
        layers: layers of the model, in an order in which they can run.
        output: name of the layer that computes the model's output.
        values: values of the variables of each layer.
        classes: number of outputs of a new classifier; `None` keeps the model's classifier.
        dropout: fraction of features dropped before a new classifier.

    Raises:
        InputError: if there is no classifier to keep; or if the model's output cannot feed a classifier.
    """
    by_name = {layer.name: layer for layer in layers}
    last, activation = _find_classifier(output, by_name)
    features = last.inputs[0] if last else output
    if classes is not None:  # the dropout of the old classifier is removed with it
        while features != INPUT and by_name[features].kind == "dropout":
            features = by_name[features].inputs[0]
    if features == INPUT:
        raise InputError("expected layers before the classifier, got none; add one, for example a Dense layer")
    if last is None and (classes is None or activation == "softmax"):
        remedy = "give keras.Model(inputs, features) and classes=" if activation == "softmax" else "give classes="
        raise InputError(
            f"expected a model that ends with a Dense layer for its classes, got {by_name[output].kind} {output!r} at "
            f"its end; {remedy} for a new one"
        )
    if classes is None and activation and last.shape[-1] < 2:
        raise InputError(
            f"expected a classifier of at least 2 classes, got {last.shape[-1]} of {last.name!r} with a "
            f"{activation}; give classes= for a new one"
        )
    kept = _before(layers, features)
    source = by_name[features]
    if len(source.shape) == 3:
        kind = "reshape" if source.shape[:2] == (1, 1) else "global_pool"
        name = unused_name("pool" if kind == "global_pool" else "features", by_name)
        kept.append(LayerSpec(name, kind, (features,), source.shape[2:], ""))
    elif len(source.shape) != 1:
        raise InputError(
            f"expected features (batch, n) or (batch, height, width, n) before the classifier, got (batch, "
            f"{', '.join(map(str, source.shape))}) of {source.name!r}; add a pooling layer"
        )
    if classes is not None:
        last, options = kept[-1], (("rate", dropout),)
        kept.append(
            LayerSpec(unused_name("dropout", by_name), "dropout", (last.name,), last.shape, "", options=options)
        )
        return Head(_with_classifier(kept, classes), {}, features, "")
    own = values[last.name]
    kernel = np.asarray(own["kernel"]).reshape(-1, last.shape[-1])
    bias = np.asarray(own.get("bias", np.zeros(last.shape[-1])))
    return Head(_with_classifier(kept, last.shape[-1]), {"kernel": kernel, "bias": bias}, features, activation)


def unused_name(name: str, names: Iterable[str]) -> str:
    """Returns a name, with a number appended if the name is taken.

    Example:
        >>> unused_name("pool", ["stem", "pool"])
        'pool_2'
    """
    names, numbered, number = set(names), name, 2
    while numbered in names:
        numbered, number = f"{name}_{number}", number + 1
    return numbered


def _find_classifier(output: str, by_name: Mapping[str, LayerSpec]) -> tuple[LayerSpec | None, str]:
    """Returns the classifier or `None`, and the activation after it; a reshape of the logits may follow too."""
    name, activation = output, ""
    while name != INPUT:
        layer = by_name[name]
        if _is_classifier(layer, by_name):
            return layer, activation
        if _is_final(layer) and not activation:
            activation = str(layer.option("activation"))
        elif layer.kind != "reshape" or layer.size != layer.shape[-1]:
            break
        name = layer.inputs[0]
    return None, activation


def _is_final(layer: LayerSpec) -> bool:
    return layer.kind == "activation" and layer.option("activation") in _FINAL


def _is_classifier(layer: LayerSpec, by_name: Mapping[str, LayerSpec]) -> bool:
    """Returns whether a layer is a dense layer or an equivalent: a convolution of a one-pixel image."""
    source = by_name.get(layer.inputs[0])
    if layer.kind == "dense":
        return len(layer.shape) == 1
    one_pixel = source is not None and math.prod(source.shape[:-1]) == 1
    return layer.kind == "convolution" and one_pixel and layer.option("norm") is False and len(layer.shape) == 3


def _before(layers: Sequence[LayerSpec], name: str) -> list[LayerSpec]:
    """Returns a layer and all layers that its output depends on."""
    by_name = {layer.name: layer for layer in layers}
    needed, todo = set(), [name]
    while todo:
        current = todo.pop()
        if current != INPUT and current not in needed:
            needed.add(current)
            todo += by_name[current].inputs
    return [layer for layer in layers if layer.name in needed]


def _with_classifier(layers: Sequence[LayerSpec], classes: int) -> tuple[LayerSpec, ...]:
    """Returns the layers and a classifier; dropout right before the classifier gets the classifier's place."""
    features = layers[-1]
    kernel = VariableSpec(f"{CLASSIFIER}/kernel", (*features.shape, classes), "kernel", CLASSIFIER)
    bias = VariableSpec(f"{CLASSIFIER}/bias", (classes,), "bias", CLASSIFIER)
    own = list(layers)
    for number in range(len(own) - 1, -1, -1):
        if own[number].kind != "dropout":
            break
        own[number] = dataclasses.replace(own[number], place=CLASSIFIER)
    return (*own, LayerSpec(CLASSIFIER, "dense", (features.name,), (classes,), CLASSIFIER, (kernel, bias)))
