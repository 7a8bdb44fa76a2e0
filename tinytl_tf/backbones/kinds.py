"""The Keras layer of each kind of layer in a `NetworkSpec`."""

import importlib
from collections.abc import Callable

import keras

from tinytl_tf.layers import Activation, FrozenConv2D, FrozenDepthwiseConv2D, GlobalAveragePooling
from tinytl_tf.networks.branches import BRANCHES
from tinytl_tf.networks.spec import LayerSpec

__all__ = ["KINDS", "make_layer"]


def make_layer(spec: LayerSpec, seed: int) -> keras.layers.Layer:
    """Returns a new layer for a description.

    Args:
        spec: the description; its kind is a key of `KINDS`.
        seed: of what the layer draws while it trains, and of the classifier's start.
    """
    return KINDS[spec.kind](spec, seed)


def _window(spec: LayerSpec) -> dict[str, object]:
    return {
        "kernel_size": spec.kernel_size[0],
        "strides": spec.strides[0],
        "padding": spec.padding,
        "epsilon": spec.option("epsilon"),
        "name": spec.name,
    }


def _classifier(spec: LayerSpec, seed: int) -> keras.layers.Layer:
    bound = spec.role("kernel")[0].shape[0] ** -0.5
    initializer = keras.initializers.RandomUniform(-bound, bound, seed=seed)
    return keras.layers.Dense(spec.shape[-1], kernel_initializer=initializer, name=spec.name)


def _branch(spec: LayerSpec, seed: int) -> keras.layers.Layer:
    module, name = BRANCHES[spec.kind].layer
    return getattr(importlib.import_module(module), name)(**dict(spec.options), name=spec.name)


def _rescale(spec: LayerSpec, seed: int) -> keras.layers.Layer:
    scale, offset = (
        list(value) if isinstance(value, tuple) else value for value in (spec.option("scale"), spec.option("offset"))
    )
    return keras.layers.Rescaling(scale, offset, name=spec.name)


KINDS: dict[str, Callable[[LayerSpec, int], keras.layers.Layer]] = {
    "rescale": _rescale,
    "convolution": lambda spec, seed: FrozenConv2D(spec.shape[-1], **_window(spec)),
    "depthwise": lambda spec, seed: FrozenDepthwiseConv2D(**_window(spec)),
    "activation": lambda spec, seed: Activation(spec.option("activation"), name=spec.name),
    "add": lambda spec, seed: keras.layers.Add(name=spec.name),
    "global_pool": lambda spec, seed: GlobalAveragePooling(name=spec.name),
    "dropout": lambda spec, seed: keras.layers.Dropout(spec.option("rate"), seed=seed, name=spec.name),
    "dense": _classifier,
    **dict.fromkeys(BRANCHES, _branch),
}
