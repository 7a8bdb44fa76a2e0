"""Tables of an exported file's trade-offs for memory: profiles, and types of the frozen kernels."""

import dataclasses

from tinytl_tf.errors import InputError

__all__ = ["FROZEN_WEIGHTS", "PROFILES", "Profile", "get_profile"]

FROZEN_WEIGHTS = ("float32", "int8")  # types of frozen kernels; see `quantize_kernels`


@dataclasses.dataclass(frozen=True)
class Profile:
    """A trade-off between the speed and the memory of a file. All profiles compute the same results.

    Attributes:
        name: the name on the command line.
        tile_bytes: maximum size of a block's expanded tensor during training; see `TiledNetwork`. `None` computes
            complete blocks.
        infer_tile_bytes: the same for the signature `infer`.
        masks: how activations store their masks; see `ops.mask_storage`.
        xnnpack: whether clients use XNNPACK by default.
        vector_bytes: maximum size of a variable that holds several biases and scales; `None` for a single variable,
            which needs the fewest operators.
    """

    name: str
    tile_bytes: int | None
    infer_tile_bytes: int | None
    masks: str
    xnnpack: bool
    vector_bytes: int | None = None


PROFILES = {
    profile.name: profile
    for profile in (
        # For the arena of a microcontroller: the smallest tiles that still save memory, and no vector of all biases.
        Profile("micro", tile_bytes=75_000, infer_tile_bytes=75_000, masks="rows", xnnpack=False, vector_bytes=8_192),
        # Without a delegate, memory is the arena, and tiles always make it smaller.
        Profile("min-memory", tile_bytes=450_000, infer_tile_bytes=450_000, masks="bits", xnnpack=False),
        # XNNPACK keeps a pointer table for every depthwise convolution, which is as large for a tile as without tiles.
        Profile("balanced", tile_bytes=1_700_000, infer_tile_bytes=None, masks="bits", xnnpack=True),
        Profile("fast", tile_bytes=None, infer_tile_bytes=None, masks="bytes", xnnpack=True),
    )
}


def get_profile(name: str) -> Profile:
    """Returns the profile called `name`; raises `InputError` if the name is unknown."""
    if name not in PROFILES:
        raise InputError(f"unknown profile {name!r}; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
