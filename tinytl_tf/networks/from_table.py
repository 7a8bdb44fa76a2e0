"""Describes a network that is defined by a table of blocks."""

import numpy as np

from tinytl_tf.networks.architectures import Architecture, Block, check_width, get_architecture
from tinytl_tf.networks.channels import make_divisible
from tinytl_tf.networks.sizes import Resolution, image_size
from tinytl_tf.networks.spec import HEAD, STEM, NetworkSpec, block_name
from tinytl_tf.networks.writer import SpecWriter

__all__ = ["from_table"]


def from_table(
    architecture: str | Architecture, *, resolution: Resolution, classes: int, width: float = 1.0, dropout: float = 0.2
) -> NetworkSpec:
    """Returns the description of a network, without branches.

    Args:
        architecture: a key of `ARCHITECTURES`, or your own table.
        resolution: height and width of the images in pixels, as one number or a pair.
        classes: number of outputs.
        width: multiplier for the number of channels.
        dropout: fraction of features dropped before the classifier during training in Keras.

    Raises:
        InputError: if the name is unknown; or if the width is out of range.

    Example:
        >>> spec = from_table("mobilenet_v2", resolution=96, classes=10)
        >>> [layer.name for layer in spec.layers_of("block_1")][:3]
        ['block_1_expand', 'block_1_expand_activation', 'block_1_depthwise']
        >>> spec.layer("block_1_depthwise").shape
        (24, 24, 96)
    """
    table = get_architecture(architecture) if isinstance(architecture, str) else architecture
    check_width(width)
    scale = 1 / np.asarray(table.pixel_deviation)
    rescale = tuple(_hashable(value) for value in (scale, -np.asarray(table.pixel_mean) * scale))
    writer = SpecWriter(
        (*image_size(resolution), 3),
        rescale=rescale,
        symmetric=table.padding == "symmetric",
        epsilon=table.norm_epsilon,
    )
    writer.convolve(STEM, make_divisible(table.stem_filters * width), 3, strides=2, activation=table.activation)
    rows = [
        (block, block.strides if repetition == 0 else 1)
        for block in table.blocks
        for repetition in range(block.repeats)
    ]
    for number, (block, strides) in enumerate(rows):
        filters = make_divisible(int(block.filters * width))
        _write_block(writer, block_name(number), block, filters, strides, table.activation)
    last = writer.last.place
    if table.head_filters:
        last = HEAD
        writer.convolve(HEAD, make_divisible(table.head_filters * max(width, 1.0)), 1, activation=table.activation)
    return writer.finish(table.name, last, classes, dropout)


def _write_block(writer: SpecWriter, place: str, block: Block, filters: int, strides: int, activation: str) -> None:
    """Adds expanding 1x1, depthwise and projecting 1x1 convolutions, and a shortcut if the shape does not change."""
    entry = writer.last
    if block.expand > 1:
        writer.convolve(place, block.expand * entry.shape[-1], 1, part="expand", activation=activation)
    writer.convolve(place, 0, block.kernel_size, part="depthwise", strides=strides, activation=activation)
    writer.convolve(place, filters, 1, part="project")
    if strides == 1 and entry.shape == writer.last.shape:
        writer.sum(f"{place}_add_shortcut", place, entry, writer.last)


def _hashable(value: np.ndarray) -> float | tuple[float, ...]:
    return tuple(value.tolist()) if value.ndim else value.item()
