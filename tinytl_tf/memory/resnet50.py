"""The description of ResNet-50, which the paper compares with. The package has no weights for it."""

from tinytl_tf.networks.spec import STEM, NetworkSpec, block_name
from tinytl_tf.networks.writer import SpecWriter

__all__ = ["resnet50_spec"]

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # filters, blocks, strides
EXPANSION = 4


def resnet50_spec(*, resolution: int, classes: int) -> NetworkSpec:
    """Returns the description of ResNet-50 with the stride in the 3x3 convolution, as in torchvision.

    Args:
        resolution: height and width of the images, in pixels.
        classes: number of outputs.
    """
    writer, number = SpecWriter((resolution, resolution, 3), rescale=(1.0, 0.0)), 0
    writer.convolve(STEM, 64, 7, strides=2, activation="relu")
    size = -(-writer.last.shape[0] // 2)
    writer.add("max_pool", "max_pool", STEM, (size, size, 64))
    for filters, blocks, strides in STAGES:
        for index in range(blocks):
            _bottleneck(writer, block_name(number), filters, strides if index == 0 else 1)
            number += 1
    return writer.finish("resnet50", writer.last.place, classes, 0.0)


def _bottleneck(writer: SpecWriter, place: str, filters: int, strides: int) -> None:
    """Adds 1x1, 3x3 and 1x1 convolutions, a shortcut (a 1x1 convolution if the shape changes), the sum and a ReLU."""
    shortcut = entry = writer.last
    writer.convolve(place, filters, 1, part="reduce", activation="relu")
    writer.convolve(place, filters, 3, part="convolve", strides=strides, activation="relu")
    writer.convolve(place, EXPANSION * filters, 1, part="expand")
    expanded = writer.last
    if expanded.shape != entry.shape:
        writer.convolve(place, EXPANSION * filters, 1, part="shortcut", strides=strides, source=entry)
        shortcut = writer.last
    writer.sum(f"{place}_add_shortcut", place, shortcut, expanded)
    writer.add(place, "activation", place, activation="relu")
