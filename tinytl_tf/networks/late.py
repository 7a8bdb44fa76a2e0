"""The late places of a network, which pay most for the memory of training them."""

import math

from tinytl_tf.networks.spec import NetworkSpec

__all__ = ["LATE", "late_places"]

LATE = "late"  # stands for the names of these places in settings
_SHARE = 2 / 5  # share of the blocks that are late: 7 of MobileNetV2's 17, 5 of the 12 of a ViT-S


def late_places(spec: NetworkSpec) -> tuple[str, ...]:
    """Returns the last two fifths of the blocks, rounded up, and the head if there is one.

    The backward pass ends at the first of these places; nothing before it is differentiated or kept.

    Args:
        spec: the network.

    Reference:
        Lin et al., On-Device Training Under 256KB Memory (2022): kernels of late layers contribute most.

    Example:
        >>> from tinytl_tf.networks.from_table import from_table
        >>> late_places(from_table("mobilenet_v2", resolution=96, classes=10))[0]
        'block_10'
    """
    blocks = spec.blocks
    first = len(blocks) - math.ceil(_SHARE * len(blocks))
    early = {*blocks[:first], *([] if not blocks else spec.places[: spec.places.index(blocks[0])])}
    return tuple(place for place in spec.places if place not in early)
