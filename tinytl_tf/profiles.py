"""Memory profiles, and types of the frozen kernels, as tables: trade-offs of an exported file for memory."""

import dataclasses

from tinytl_tf.errors import InputError

__all__ = ["FROZEN_WEIGHTS", "PROFILES", "Profile", "get_profile"]

FROZEN_WEIGHTS = ("float32", "int8")  # types of frozen kernels, see `quantize_kernels`


@dataclasses.dataclass(frozen=True)
class Profile:
    """A trade-off between speed and memory of a file. The results are the same.

    Attributes:
        name: the name on the command line.
        tile_bytes: largest expanded tensor of a block while training, see `TiledNetwork`; `None` for complete blocks.
        infer_tile_bytes: the same for the signature `infer`.
        masks: how activations keep their masks, see `ops.mask_storage`.
        xnnpack: whether clients use XNNPACK by default.
        vector_bytes: largest variable of several biases and scales; `None` for a single variable, which needs the
            fewest operators.
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
        # The arena of a microcontroller: tiles as small as pays, and no vector of all biases at once.
        Profile("micro", tile_bytes=75_000, infer_tile_bytes=75_000, masks="rows", xnnpack=False, vector_bytes=8_192),
        # Without a delegate memory is the arena, and every tile makes it smaller.
        Profile("min-memory", tile_bytes=450_000, infer_tile_bytes=450_000, masks="bits", xnnpack=False),
        # XNNPACK keeps a table of pointers for every depthwise convolution, as large for a tile as without tiles.
        Profile("balanced", tile_bytes=1_700_000, infer_tile_bytes=None, masks="bits", xnnpack=True),
        Profile("fast", tile_bytes=None, infer_tile_bytes=None, masks="bytes", xnnpack=True),
    )
}


def get_profile(name: str) -> Profile:
    """Returns the profile called `name`; raises `InputError` if the name is unknown."""
    if name not in PROFILES:
        raise InputError(f"unknown profile {name!r}; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]
