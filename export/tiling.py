"""Runs a network with its widest tensors cut into tiles of channels."""

import dataclasses
from collections.abc import Iterator

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.layers import Activation, FrozenConv2D, FrozenDepthwiseConv2D

__all__ = ["TiledNetwork"]

_CHANNELS = 8  # a tile has a multiple of as many, which fill a vector register
_ELEMENT = 4  # bytes


@dataclasses.dataclass(frozen=True)
class Chain:
    """Convolution, activation, depthwise convolution, activation and 1x1 convolution, with nobody in between."""

    expand: FrozenConv2D
    first_activation: Activation
    depthwise: FrozenDepthwiseConv2D
    second_activation: Activation
    project: FrozenConv2D

    @property
    def layers(self) -> tuple[keras.Layer, ...]:
        """The five layers in order."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @property
    def is_frozen(self) -> bool:
        """Whether the convolutions are kernels and biases, with nothing but biases to train."""
        convolutions = (self.expand, self.depthwise, self.project)
        return not any(layer.kernel.trainable or layer.norm.gamma.trainable for layer in convolutions)


class TiledNetwork:
    """A network whose inverted residual blocks are computed tile by tile, forward and backward.

    A depthwise convolution does not mix channels. So a block's wide tensors, between its expanding and its projecting
    convolution, are computed a few channels at a time, and the projections of the tiles added up; only one tile
    exists at once. The result is that of the network, but for the order of summation. Blocks that train more
    than biases run whole.

    Args:
        model: a network of `tinytl_tf.backbones`.
        tile_bytes: largest expanded tensor of one image; larger ones are cut. `None` cuts nothing.

    Example:
    >>> network = TiledNetwork(model, tile_bytes=2**19)
    >>> logits = network(images)
    """

    def __init__(self, model: keras.Model, tile_bytes: int | None = None) -> None:
        self._model = model
        self._tiles = {}
        for chain in _chains(model) if tile_bytes else ():
            tiles = _number_of_tiles(chain.expand.output.shape, tile_bytes)
            if tiles > 1:
                self._tiles[chain.layers[0].name] = (chain, tiles)

    @property
    def tiles(self) -> dict[str, int]:
        """Number of tiles of the blocks that are cut, by the name of the first convolution."""
        return {name: tiles for name, (_, tiles) in self._tiles.items()}

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the logits of float images of 0 to 255; dropout is off."""
        values = {id(self._model.inputs[0]): images}
        for layer in self._model.layers:
            if isinstance(layer, keras.layers.InputLayer) or id(layer.output) in values:
                continue
            inputs = tf.nest.map_structure(lambda tensor: values.get(id(tensor)), layer.input)
            if layer.name in self._tiles:
                chain, tiles = self._tiles[layer.name]
                values |= {id(skipped.output): None for skipped in chain.layers}
                values[id(chain.project.output)] = _run(chain, tiles, inputs)
            else:
                values[id(layer.output)] = layer(inputs)
        return values[id(self._model.outputs[0])]


def _chains(model: keras.Model) -> Iterator[Chain]:
    """Finds the chains of a network that are frozen."""
    makers, readers = {}, {}
    for layer in model.layers:
        makers[id(layer.output)] = layer
        for tensor in tf.nest.flatten(layer.input):
            readers.setdefault(id(tensor), []).append(layer)
    kinds = [field.type for field in dataclasses.fields(Chain)]
    for layer in model.layers:
        chain = [layer]
        while len(chain) < len(kinds) and len(readers.get(id(chain[-1].output), ())) == 1:
            chain.append(readers[id(chain[-1].output)][0])
        if [type(link) for link in chain] == kinds and chain[-1].kernel_size == chain[-1].strides == 1:
            found = Chain(*chain)
            if found.is_frozen:
                yield found


def _number_of_tiles(shape: tuple, tile_bytes: int) -> int:
    """The least number of equal tiles, each of a multiple of 8 channels, that are small enough, or that there are."""
    _, height, width, channels = shape
    counts = [n for n in range(1, channels // _CHANNELS + 1) if channels % (n * _CHANNELS) == 0]
    small = [n for n in counts if height * width * channels // n * _ELEMENT <= tile_bytes]
    return min(small, default=max(counts, default=1))


def _run(chain: Chain, tiles: int, x: tf.Tensor) -> tf.Tensor:
    expand_kernel, expand_bias = chain.expand.folded()
    depthwise_kernel, depthwise_bias = chain.depthwise.folded()
    project_kernel, project_bias = chain.project.folded()
    parts = zip(
        tf.split(expand_kernel, tiles, axis=3),
        _split(expand_bias, tiles),
        tf.split(depthwise_kernel, tiles, axis=2),
        _split(depthwise_bias, tiles),
        tf.split(project_kernel, tiles, axis=2),
        strict=True,
    )
    total = None
    for kernel, bias, channel_kernel, channel_bias, back_kernel in parts:
        tile, x = _fork(x)
        tile = chain.first_activation(ops.affine(chain.expand.convolve(tile, kernel), bias))
        tile = chain.second_activation(ops.affine(chain.depthwise.convolve(tile, channel_kernel), channel_bias))
        projected = chain.project.convolve(tile, back_kernel)
        total = projected if total is None else total + projected
    return ops.affine(total, project_bias)


@tf.custom_gradient
def _fork(x):
    """Twice the same. Gradients come back as a chain of sums, where TensorFlow would hold those of all tiles for one."""
    return (tf.identity(x), tf.identity(x)), lambda left, right: left + right


def _split(vector: tf.Tensor, parts: int) -> list[tf.Tensor]:
    """Equal parts of a bias. As slices: XNNPACK has no SPLIT into many, and one would end a delegated part of the graph."""
    size = vector.shape[0] // parts

    @tf.custom_gradient
    def op(vector):
        slices = [tf.slice(vector, [i * size], [size]) for i in range(parts)]
        return slices, lambda *gradients: tf.concat(gradients, 0)

    return op(vector)
