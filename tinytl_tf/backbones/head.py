"""Finds the classifier at the end of a network, keeps it or puts another one there."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.networks.spec import CLASSIFIER, INPUT, LayerSpec, VariableSpec

__all__ = ["Head", "split_head"]

_FINAL = ("softmax", "sigmoid")  # activations that a file makes of the logits itself


@dataclasses.dataclass(frozen=True)
class Head:
    """A network that ends with a classifier.

    Attributes:
        layers: of the whole network; the classifier is the last.
        values: of the variables of the model's own classifier; empty for a new one.
        compared: name of the layer in which the network is the model: its features, or its logits.
        activation: what the model makes of that layer's output: `"softmax"`, `"sigmoid"` or `""`.
    """

    layers: tuple[LayerSpec, ...]
    values: Mapping[str, np.ndarray]
    compared: str
    activation: str


def split_head(
    layers: Sequence[LayerSpec],
    output: str,
    values: Mapping[str, Mapping[str, np.ndarray]],
    classes: int | None,
    dropout: float,
) -> Head:
    """Returns a network with the model's classifier, or with a new one.

    Args:
        layers: those of the model, in an order that can run.
        output: name of the one that gives the model's output.
        values: of the variables of each layer.
        classes: number of outputs of a new classifier; `None` keeps the model's.
        dropout: share of features dropped before a new classifier.

    Raises:
        InputError: if there is no classifier to keep, or none can follow.
    """
    by_name = {layer.name: layer for layer in layers}
    last, activation = by_name[output], ""
    if _is_final(last):
        activation, last = str(last.option("activation")), by_name[last.inputs[0]]
    if last.kind == "reshape" and by_name.get(last.inputs[0], last).size == last.size:
        behind = by_name.get(last.inputs[0])
        last = behind if behind is not None and _is_classifier(behind, by_name) else last
    if not _is_classifier(last, by_name):
        last, activation = None, ""
    if last is None and classes is None:
        raise InputError(
            f"expected a model that ends with a Dense layer for its classes, got {by_name[output].kind} "
            f"{by_name[output].name!r} at its end; give classes= for a new one"
        )
    features = last.inputs[0] if last else output
    kept = _before(layers, features)
    if features == INPUT:
        raise InputError("expected layers before the classifier, got none")
    source, compared = by_name[features], features
    if len(source.shape) == 3:
        kind = "reshape" if source.shape[:2] == (1, 1) else "global_pool"
        kept.append(LayerSpec("pool" if kind == "global_pool" else "features", kind, (features,), source.shape[2:], ""))
    elif len(source.shape) != 1:
        raise InputError(
            f"expected features (batch, n) or (batch, height, width, n) before the classifier, got (batch, "
            f"{', '.join(map(str, source.shape))}) of {source.name!r}; add a pooling layer"
        )
    if classes is not None:
        kept.append(LayerSpec("dropout", "dropout", (kept[-1].name,), kept[-1].shape, "", options=(("rate", dropout),)))
        return Head(_with_classifier(kept, classes), {}, compared, "")
    own = values[last.name]
    kernel = np.asarray(own["kernel"]).reshape(-1, last.shape[-1])
    bias = np.asarray(own.get("bias", np.zeros(last.shape[-1])))
    return Head(_with_classifier(kept, last.shape[-1]), {"kernel": kernel, "bias": bias}, CLASSIFIER, activation)


def _is_final(layer: LayerSpec) -> bool:
    return layer.kind == "activation" and layer.option("activation") in _FINAL


def _is_classifier(layer: LayerSpec, by_name: Mapping[str, LayerSpec]) -> bool:
    """Whether it is a dense layer, or a convolution that is one: 1x1, of an image of one pixel."""
    source = by_name.get(layer.inputs[0])
    if layer.kind == "dense":
        return len(layer.shape) == 1
    one_pixel = source is not None and math.prod(source.shape[:-1]) == 1
    return layer.kind == "convolution" and one_pixel and layer.option("norm") is False and len(layer.shape) == 3


def _before(layers: Sequence[LayerSpec], name: str) -> list[LayerSpec]:
    """The layers on which the output of one depends, and itself."""
    by_name = {layer.name: layer for layer in layers}
    needed, todo = set(), [name]
    while todo:
        current = todo.pop()
        if current != INPUT and current not in needed:
            needed.add(current)
            todo += by_name[current].inputs
    return [layer for layer in layers if layer.name in needed]


def _with_classifier(layers: Sequence[LayerSpec], classes: int) -> tuple[LayerSpec, ...]:
    """The layers and a classifier; dropout right before it belongs to it."""
    features = layers[-1]
    kernel = VariableSpec(f"{CLASSIFIER}/kernel", (*features.shape, classes), "kernel", CLASSIFIER)
    bias = VariableSpec(f"{CLASSIFIER}/bias", (classes,), "bias", CLASSIFIER)
    own = list(layers)
    for number in range(len(own) - 1, -1, -1):
        if own[number].kind != "dropout":
            break
        own[number] = dataclasses.replace(own[number], place=CLASSIFIER)
    return (*own, LayerSpec(CLASSIFIER, "dense", (features.name,), (classes,), CLASSIFIER, (kernel, bias)))
