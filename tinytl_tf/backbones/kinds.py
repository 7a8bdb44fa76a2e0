"""Creates the Keras layer for each kind of layer in a `NetworkSpec` from its description and a seed."""

import importlib
from collections.abc import Callable

import keras

from tinytl_tf.layers import (
    Activation,
    AveragePooling,
    Crop,
    FrozenConv1D,
    FrozenConv2D,
    FrozenDense,
    FrozenDepthwiseConv1D,
    FrozenDepthwiseConv2D,
    FrozenNorm,
    Gate,
    GlobalAveragePooling,
    GroupNorm,
    LayerNorm,
    MaxPooling,
    SelectiveWrapper,
    Upsampling,
)
from tinytl_tf.networks.branches import BRANCHES
from tinytl_tf.networks.spec import CLASSIFIER, LayerSpec
from tinytl_tf.ops import ACTIVATIONS

__all__ = ["KINDS"]


def _convolution(spec: LayerSpec, seed: int) -> keras.layers.Layer:
    options = {
        "kernel_size": spec.kernel_size,
        "strides": spec.strides,
        "padding": spec.padding,
        "dilation_rate": spec.dilation,
        "name": spec.name,
        **dict(spec.options),
    }
    is_line = len(spec.kernel_size) == 1
    if spec.kind == "depthwise":
        return (FrozenDepthwiseConv1D if is_line else FrozenDepthwiseConv2D)(**options)
    return (FrozenConv1D if is_line else FrozenConv2D)(spec.shape[-1], groups=spec.groups, **options)


def _pool(layer: type) -> Callable[[LayerSpec, int], keras.layers.Layer]:
    return lambda spec, seed: layer(spec.kernel_size, spec.strides, spec.padding, name=spec.name)


def _dense(spec: LayerSpec, seed: int) -> keras.layers.Layer:
    if spec.place == CLASSIFIER:
        return _classifier(spec, seed)
    if spec.options:
        return FrozenDense(spec.shape[-1], bool(spec.role("bias")), **dict(spec.options), name=spec.name)
    dense = keras.layers.Dense(spec.shape[-1], use_bias=bool(spec.role("bias")), name=spec.name)
    dense.build((None, spec.role("kernel")[0].shape[0]))
    return SelectiveWrapper(dense, name=spec.name)


def _activation(spec: LayerSpec, seed: int) -> keras.layers.Layer:
    if spec.option("activation") in ACTIVATIONS:
        return Activation(**dict(spec.options), name=spec.name)
    return keras.layers.Activation(spec.option("activation"), name=spec.name)


def _with_options(layer: type) -> Callable[[LayerSpec, int], keras.layers.Layer]:
    return lambda spec, seed: layer(**dict(spec.options), name=spec.name)


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
    "convolution": _convolution,
    "depthwise": _convolution,
    "norm": _with_options(FrozenNorm),
    "layer_norm": _with_options(LayerNorm),
    "group_norm": _with_options(GroupNorm),
    "activation": _activation,
    "gate": _with_options(Gate),
    "max_pool": _pool(MaxPooling),
    "average_pool": _pool(AveragePooling),
    "upsample": _with_options(Upsampling),
    "crop": _with_options(Crop),
    "add": _with_options(keras.layers.Add),
    "concatenate": _with_options(keras.layers.Concatenate),
    "reshape": lambda spec, seed: keras.layers.Reshape(spec.shape, name=spec.name),
    "global_pool": _with_options(GlobalAveragePooling),
    "dropout": lambda spec, seed: keras.layers.Dropout(spec.option("rate"), seed=seed, name=spec.name),
    "dense": _dense,
    **dict.fromkeys(BRANCHES, _branch),
}
