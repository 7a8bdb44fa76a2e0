"""The networks as tables of blocks."""

import dataclasses

__all__ = ["ARCHITECTURES", "Architecture", "Block"]


@dataclasses.dataclass(frozen=True)
class Block:
    """A row of repeated inverted residual blocks.

    Attributes:
        expand: width of the block as a multiple of its input channels; 1 leaves out the expanding convolution.
        kernel_size: of the depthwise convolution.
        filters: output channels at width 1.
        strides: stride of the first repetition; the others have 1.
        repeats: number of blocks.
    """

    expand: int
    kernel_size: int
    filters: int
    strides: int
    repeats: int = 1


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network of inverted residual blocks between a stem and a 1x1 head.

    Attributes:
        name: the name on the command line.
        stem_filters: output channels of the 3x3 convolution of stride 2 at the input.
        blocks: the rows of blocks.
        head_filters: output channels of the last 1x1 convolution; grows with the width, never shrinks.
        activation: activation after every convolution but the projecting one.
        pixel_mean: taken from each pixel of 0 to 255 before it is divided by `pixel_deviation`.
        pixel_deviation: see `pixel_mean`.
        norm_epsilon: epsilon of the norms.
        imagenet_weights: where `weights="imagenet"` comes from, a key of `weights.IMAGENET_SOURCES`.
    """

    name: str
    stem_filters: int
    blocks: tuple[Block, ...]
    head_filters: int
    activation: str
    pixel_mean: float
    pixel_deviation: float
    norm_epsilon: float
    imagenet_weights: str


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        # Sandler et al. 2018, table 2; input range and epsilon of keras.applications.
        Architecture(
            name="mobilenet_v2",
            stem_filters=32,
            blocks=(
                Block(expand=1, kernel_size=3, filters=16, strides=1),
                Block(expand=6, kernel_size=3, filters=24, strides=2, repeats=2),
                Block(expand=6, kernel_size=3, filters=32, strides=2, repeats=3),
                Block(expand=6, kernel_size=3, filters=64, strides=2, repeats=4),
                Block(expand=6, kernel_size=3, filters=96, strides=1, repeats=3),
                Block(expand=6, kernel_size=3, filters=160, strides=2, repeats=3),
                Block(expand=6, kernel_size=3, filters=320, strides=1),
            ),
            head_filters=1280,
            activation="relu6",
            pixel_mean=127.5,
            pixel_deviation=127.5,
            norm_epsilon=1e-3,
            imagenet_weights="keras_applications",
        ),
        # EfficientNet-B0 without squeeze-and-excitation and with ReLU6 (TensorFlow's efficientnet/lite).
        Architecture(
            name="efficientnet_lite0",
            stem_filters=32,
            blocks=(
                Block(expand=1, kernel_size=3, filters=16, strides=1),
                Block(expand=6, kernel_size=3, filters=24, strides=2, repeats=2),
                Block(expand=6, kernel_size=5, filters=40, strides=2, repeats=2),
                Block(expand=6, kernel_size=3, filters=80, strides=2, repeats=3),
                Block(expand=6, kernel_size=5, filters=112, strides=1, repeats=3),
                Block(expand=6, kernel_size=5, filters=192, strides=2, repeats=4),
                Block(expand=6, kernel_size=3, filters=320, strides=1),
            ),
            head_filters=1280,
            activation="relu6",
            pixel_mean=127.0,
            pixel_deviation=128.0,
            norm_epsilon=1e-3,
            imagenet_weights="efficientnet_lite0_package",
        ),
    )
}
