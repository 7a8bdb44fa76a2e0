"""Runs a network with its widest tensors split into tiles of channels."""

import dataclasses
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from tinytl_tf import ops
from tinytl_tf.backbones.describe import describe_calls
from tinytl_tf.layers import Activation, FrozenConv2D, FrozenDepthwiseConv2D
from tinytl_tf.networks.spec import LayerSpec, NetworkSpec

__all__ = ["TiledNetwork"]

_CHANNELS = 8  # a tile has a multiple of this many channels, which fill a vector register
_ELEMENT = 4  # bytes
_KINDS = ("convolution", "activation", "depthwise", "activation", "convolution")


@dataclasses.dataclass(frozen=True)
class Chain:
    """Convolution, activation, depthwise convolution, activation and 1x1 convolution, without other readers."""

    expand: FrozenConv2D
    first_activation: Activation
    depthwise: FrozenDepthwiseConv2D
    second_activation: Activation
    project: FrozenConv2D

    @property
    def is_frozen(self) -> bool:
        """Whether at most the biases of the convolutions are trained."""
        convolutions = (self.expand, self.depthwise, self.project)
        return not any(layer.trains_kernel or layer.norm and layer.norm.gamma.trainable for layer in convolutions)


class TiledNetwork:
    """A network that computes its inverted residual blocks tile by tile, forward and backward.

    A depthwise convolution does not mix channels. Therefore a block's wide tensors, between its expanding and
    projecting convolutions, can be computed a few channels at a time, and the projections of all tiles added up. Only
    one tile exists at a time. The result equals that of the network, except for the order of summation. Blocks that
    train more than biases run without tiles.

    Args:
        model: a network from `tinytl_tf.backbones`.
        tile_bytes: maximum size of an expanded tensor of one image; larger tensors are split. `None` for no tiles.

    Example:
    >>> network = TiledNetwork(model, tile_bytes=2**19)  # doctest: +SKIP
    >>> logits = network(images)  # doctest: +SKIP
    """

    def __init__(self, model: keras.Model, tile_bytes: int | None = None) -> None:
        self._model = model
        self._chains: dict[int, tuple[Chain, int]] = {}  # by the last node
        self._inside: set[int] = set()
        spec, by_name = describe_calls(model)
        self._nodes = list(by_name.values())
        for names in _chains(spec) if tile_bytes else ():
            nodes = [by_name[name] for name in names]
            chain = Chain(*(node.operation for node in nodes))
            tiles = _number_of_tiles(nodes[0].outputs[0].shape, tile_bytes)
            if chain.is_frozen and tiles > 1:
                self._chains[id(nodes[-1])] = (chain, tiles)
                # The last node of a chain computes it, from the input of the first.
                self._inside |= {id(node) for node in nodes[:-1]}

    @property
    def tiles(self) -> dict[str, int]:
        """Number of tiles of each split block, by the name of its projecting convolution."""
        return {chain.project.name: tiles for chain, tiles in self._chains.values()}

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the logits for float images with values from 0 to 255; dropout is off."""
        values = {id(self._model.inputs[0]): images}
        with tf.name_scope(self._model.name):
            for node in self._nodes:
                if id(node) in self._inside:
                    # Passes its input on to the node that computes the chain.
                    results = [values[id(node.input_tensors[0])]]
                elif id(node) in self._chains:
                    results = [_run_tiles(*self._chains[id(node)], values[id(node.input_tensors[0])])]
                else:
                    args, kwargs = node.arguments.fill_in(values)
                    results = tf.nest.flatten(node.operation(*args, **kwargs))
                values |= {id(tensor): result for tensor, result in zip(node.outputs, results, strict=True)}
        return values[id(self._model.outputs[0])]


def _chains(spec: NetworkSpec) -> Iterator[list[str]]:
    """Yields the names of the five layers of each chain."""
    for layer in spec.layers:
        chain = [layer]
        while len(chain) < len(_KINDS) and len(spec.readers(chain[-1].name)) == 1:
            chain += spec.readers(chain[-1].name)
        if tuple(link.kind for link in chain) == _KINDS and _can_be_cut(chain):
            yield [link.name for link in chain]


def _can_be_cut(chain: Sequence[LayerSpec]) -> bool:
    """Whether each convolution has a kernel and a bias, and whether the last only mixes channels of one position."""
    convolutions = [layer for layer in chain if layer.kind != "activation"]
    if any(not (layer.role("shift") or layer.role("bias")) or layer.option("activation") for layer in convolutions):
        return False
    expand, _, project = convolutions
    return expand.groups == project.groups == 1 and project.kernel_size == project.strides == (1, 1)


def _number_of_tiles(shape: tuple, tile_bytes: int) -> int:
    """Returns the smallest number of equal tiles, of a multiple of 8 channels each, that makes each tile small enough.

    If no number does, returns the largest possible number.
    """
    _, height, width, channels = shape
    counts = [n for n in range(1, channels // _CHANNELS + 1) if channels % (n * _CHANNELS) == 0]
    small = [n for n in counts if height * width * channels // n * _ELEMENT <= tile_bytes]
    return min(small, default=max(counts, default=1))


def _run_tiles(chain: Chain, tiles: int, x: tf.Tensor) -> tf.Tensor:
    expand_kernel, expand_bias = chain.expand.folded()
    depthwise_kernel, depthwise_bias = chain.depthwise.folded()
    project_kernel, project_bias = chain.project.folded()
    parts = zip(
        tf.split(expand_kernel, tiles, axis=3),
        ops.split_last(expand_bias, tiles),
        tf.split(depthwise_kernel, tiles, axis=2),
        ops.split_last(depthwise_bias, tiles),
        tf.split(project_kernel, tiles, axis=2),
        strict=True,
    )
    total = None
    for kernel, bias, channel_kernel, channel_bias, back_kernel in parts:
        tile, x = _fork(x)
        tile = chain.first_activation(_convolve(chain.expand, tile, kernel, bias))
        tile = chain.second_activation(_convolve(chain.depthwise, tile, channel_kernel, channel_bias))
        projected = chain.project.convolve(tile, back_kernel)
        total = projected if total is None else total + projected
    return ops.affine(total, project_bias)


def _convolve(layer: FrozenConv2D, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    with tf.name_scope(layer.name):  # the converter's errors name it
        return ops.affine(layer.convolve(x, kernel), bias)


@tf.custom_gradient
def _fork(x):
    """Returns the input twice. Gradients then add up in a chain; a single sum would keep the gradients of all tiles."""
    return (tf.identity(x), tf.identity(x)), lambda left, right: left + right
