"""The forward pass of a network on one image as a list of operations, from its table of blocks alone."""

import dataclasses
import math

from tinytl_tf.networks.architectures import BRANCH_POOL_SIZE, Architecture, PlacedBlock, lay_out

__all__ = ["LeafOp", "Parameter", "convolution", "dense", "list_ops"]

BRANCH_GROUPS = 2


@dataclasses.dataclass
class Parameter:
    """A variable as a scheme sees it.

    Attributes:
        path: that of the variable in the network that `backbones.build` makes.
        shape: its shape.
        trainable: whether it is trained.
    """

    path: str
    shape: tuple[int, ...]
    trainable: bool = True

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class LeafOp:
    """One operation. Those that cost nothing in the paper's account (pooling, resizing, addition) are left out.

    Attributes:
        name: of the layer it is in.
        kind: a key of `paper.RULES`.
        inputs: elements of its input.
        outputs: elements of its output.
        groups: of a convolution; a depthwise one has as many as channels.
        held: elements of the block's input, which the block's shortcut keeps alive meanwhile.
        parameters: its variables; the first one multiplies the input, so that its gradient needs the input.
    """

    name: str
    kind: str
    inputs: int
    outputs: int
    groups: int = 1
    held: int = 0
    parameters: tuple[Parameter, ...] = ()


def list_ops(
    architecture: Architecture, *, resolution: int, classes: int, width: float = 1.0, lite_residual: bool
) -> list[LeafOp]:
    """Lists the operations in the order in which they run: in a block the main branch first.

    Args:
        architecture: the table of the network.
        resolution: height and width of the image, in pixels.
        classes: number of outputs.
        width: multiplies the number of channels.
        lite_residual: whether each block but the first has a lite residual branch, with the paper's norm at its end.

    Returns:
        The operations; their parameters are those of the network without the statistics of the norms.
    """
    layout, activation = lay_out(architecture, width), architecture.activation
    ops = convolution("stem", resolution, 3, layout.stem_filters, 3, strides=2, activation=activation)
    size = _shrink(resolution, 2)
    for block in layout.blocks:
        block_ops = _main_branch(block, size, activation)
        if lite_residual and block.branch:
            block_ops += _lite_residual(block, size)
        held = size**2 * block.inputs if block.shortcut else 0
        ops += [dataclasses.replace(op, held=held) for op in block_ops]
        size = _shrink(size, block.strides)
    if layout.head_filters:
        ops += convolution("head", size, layout.blocks[-1].filters, layout.head_filters, 1, activation=activation)
    return [*ops, dense("classifier", layout.features, classes)]


def convolution(
    name: str,
    size: int,
    channels: int,
    filters: int,
    kernel_size: int,
    *,
    strides: int = 1,
    groups: int = 1,
    activation: str | None = None,
    kernel: str = "kernel",
    norm: str = "norm",
) -> list[LeafOp]:
    """A convolution without bias, its norm and its activation, as three operations.

    Args:
        name: of the layer.
        size: height and width of the input; the output has `ceil(size / strides)`.
        channels: of the input.
        filters: channels of the output.
        kernel_size: height and width of the kernel.
        strides: of the kernel.
        groups: of the channels.
        activation: kind of the activation, `None` for none.
        kernel: name of the kernel's variable in the layer.
        norm: name of the norm in the layer.
    """
    before, after = size**2 * channels, _shrink(size, strides) ** 2 * filters
    kernel = Parameter(f"{name}/{kernel}", (kernel_size, kernel_size, channels // groups, filters))
    vectors = tuple(Parameter(f"{name}/{norm}/{vector}", (filters,)) for vector in ("gamma", "beta"))
    ops = [
        LeafOp(name, "convolution", before, after, groups, parameters=(kernel,)),
        LeafOp(name, "norm", after, after, parameters=vectors),
    ]
    return [*ops, LeafOp(name, activation, after, after)] if activation else ops


def dense(name: str, features: int, classes: int) -> LeafOp:
    """A dense layer with a bias."""
    parameters = (Parameter(f"{name}/kernel", (features, classes)), Parameter(f"{name}/bias", (classes,)))
    return LeafOp(name, "dense", features, classes, parameters=parameters)


def _main_branch(block: PlacedBlock, size: int, activation: str) -> list[LeafOp]:
    """Expanding 1x1, depthwise and projecting 1x1 convolution."""
    name, wide, ops = block.name, block.expanded, []
    if wide > block.inputs:
        ops += convolution(f"{name}_expand", size, block.inputs, wide, 1, activation=activation)
    ops += convolution(
        f"{name}_depthwise",
        size,
        wide,
        wide,
        block.kernel_size,
        strides=block.strides,
        groups=wide,
        activation=activation,
    )
    return ops + convolution(f"{name}_project", _shrink(size, block.strides), wide, block.filters, 1)


def _lite_residual(block: PlacedBlock, size: int) -> list[LeafOp]:
    """Grouped convolution on the pooled input, then 1x1 convolution."""
    name, inputs = f"{block.name}_lite_residual", block.inputs
    kernel_size, global_pool = block.branch
    pooled = 1 if global_pool else size // BRANCH_POOL_SIZE
    grouped = convolution(
        name, pooled, inputs, inputs, kernel_size, strides=block.strides, groups=BRANCH_GROUPS, activation="relu"
    )
    pointwise = convolution(
        name,
        _shrink(pooled, block.strides),
        inputs,
        block.filters,
        1,
        kernel="pointwise_kernel",
        norm="final_norm",
    )
    return grouped + pointwise


def _shrink(size: int, strides: int) -> int:
    """Height and width after a stride; both paddings, with an odd kernel, give the same."""
    return -(-size // strides)
