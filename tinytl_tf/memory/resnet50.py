"""ResNet-50 as a list of operations: the paper compares with it. There is no network of it to train here."""

import dataclasses

from tinytl_tf.memory.leaf_ops import LeafOp, convolution, dense

__all__ = ["list_resnet50_ops"]

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # filters, blocks, strides
EXPANSION = 4


def list_resnet50_ops(*, resolution: int, classes: int) -> list[LeafOp]:
    """Lists the operations of ResNet-50 with the stride in the 3x3 convolution, as torchvision has it.

    Args:
        resolution: height and width of the image, in pixels.
        classes: number of outputs.
    """
    ops = convolution("stem", resolution, 3, 64, 7, strides=2, activation="relu")
    size, inputs = -(-resolution // 4), 64  # after the stem and a maximum pooling, both of stride 2
    for stage, (filters, blocks, strides) in enumerate(STAGES):
        for index in range(blocks):
            ops += _bottleneck(f"stage_{stage}_{index}", size, inputs, filters, strides if index == 0 else 1)
            size = -(-size // strides) if index == 0 else size
            inputs = EXPANSION * filters
    return [*ops, dense("classifier", inputs, classes)]


def _bottleneck(name: str, size: int, inputs: int, filters: int, strides: int) -> list[LeafOp]:
    """1x1, 3x3 and 1x1 convolution, a 1x1 one on the way past them where the shape changes, the sum's ReLU."""
    after, outputs = -(-size // strides), EXPANSION * filters
    ops = convolution(f"{name}_reduce", size, inputs, filters, 1, activation="relu")
    ops += convolution(f"{name}_convolve", size, filters, filters, 3, strides=strides, activation="relu")
    ops += convolution(f"{name}_expand", after, filters, outputs, 1)
    identity = inputs == outputs and strides == 1
    if not identity:
        ops += convolution(f"{name}_shortcut", size, inputs, outputs, 1, strides=strides)
    ops += [LeafOp(name, "relu", after**2 * outputs, after**2 * outputs)]
    held = size**2 * inputs if identity else 0
    return [dataclasses.replace(op, held=held) for op in ops]
