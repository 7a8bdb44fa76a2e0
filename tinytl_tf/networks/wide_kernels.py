"""The wide kernel of a place: the kernel of its widest layer, whose gradient often needs the smallest input."""

import math
from collections.abc import Sequence

from tinytl_tf.networks.spec import LayerSpec, NetworkSpec, VariableSpec

__all__ = ["wide_kernel", "wide_kernel_places", "wide_layer"]

_KINDS = ("convolution", "dense")


def wide_kernel(spec: NetworkSpec, place: str) -> VariableSpec | None:
    """Returns the kernel of the layer with the largest output at a place; `None` if the place has no such layer.

    Only convolutions without groups and dense layers count. If several have the largest output, the one with the
    smallest input is taken, and then the first. In a block that widens and narrows again, this is the widening layer:

        block_12: 8x8x96 -> expand 1x1 -> 8x8x576 -> depthwise 3x3 -> 8x8x576 -> project 1x1 -> 8x8x96

    The gradient of a kernel needs the layer's input: here the 6,144 values before `expand`, where the kernel of
    `project` would need 36,864. In a transformer, the wide kernel is that of the first dense layer after attention; in
    a bottleneck of ResNet-50, that of the last convolution.

    Args:
        spec: the network, with or without branches, which are ignored.
        place: name of the place.

    Reference:
        Lin et al., On-Device Training Under 256KB Memory (2022): the first 1x1 convolution of a late block contributes
        most.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> wide_kernel(from_table("mobilenet_v2", resolution=128, classes=10), "block_12").path
        'block_12_expand/kernel'
    """
    layer = wide_layer(spec, place)
    return layer and layer.role("kernel")[0]


def wide_layer(spec: NetworkSpec, place: str) -> LayerSpec | None:
    """Returns the layer that has the wide kernel of a place; `None` if the place has none."""
    layers = [layer for layer in spec.layers_of(place) if layer.kind in _KINDS and layer.groups == 1]
    layers = [layer for layer in layers if layer.role("kernel")]
    return min(layers, key=lambda layer: (-_size(layer.shape), _input_size(spec, layer)), default=None)


def wide_kernel_places(spec: NetworkSpec) -> tuple[str, ...]:
    """Returns the names of the places that have a wide kernel, from the input to the output."""
    return tuple(place for place in spec.places if wide_kernel(spec, place))


def _input_size(spec: NetworkSpec, layer: LayerSpec) -> int:
    return _size(spec.shape(spec.trunk(layer.inputs[0])))


def _size(shape: Sequence[int | None]) -> int:
    return math.prod(size or 1 for size in shape)  # Keras may leave the number of a transformer's tokens open
