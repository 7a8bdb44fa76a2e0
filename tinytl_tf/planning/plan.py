"""A plan: the trained targets and the resolution."""

import dataclasses
from typing import NamedTuple

from ml_collections import ConfigDict

from tinytl_tf.experiment import drop_useless_rate_factors, network_of
from tinytl_tf.networks.branches import branch_places
from tinytl_tf.networks.kernel_options import KernelOptions, whole_shares
from tinytl_tf.networks.spec import CLASSIFIER, NetworkSpec, VariableSpec, place_position
from tinytl_tf.networks.wide_kernels import wide_kernel, wide_kernel_places

__all__ = ["BIASES", "KERNELS", "KINDS", "LITE_RESIDUALS", "Plan", "Target", "all_targets", "complete", "target_of"]

BIASES, LITE_RESIDUALS, KERNELS = "biases", "lite_residuals", "kernels"  # keys of the configuration
KINDS = (BIASES, LITE_RESIDUALS, KERNELS)
_SCHEMES = {
    (): "last",
    (BIASES,): "tinytl-b",
    (LITE_RESIDUALS,): "tinytl-l",
    (BIASES, LITE_RESIDUALS): "tinytl-lb",
    (BIASES, KERNELS): "sparse-update",
    (BIASES, LITE_RESIDUALS, KERNELS): "sparse-update-l",
}


class Target(NamedTuple):
    """A unit that a plan trains or freezes.

    Attributes:
        kind: kind of variables: `"biases"`, `"lite_residuals"` or `"kernels"`, which are wide kernels; see
            `wide_kernel`.
        place: name of their place; see `NetworkSpec`.
        share: share of the output channels that are trained of a wide kernel; see `KernelOptions`.
    """

    kind: str
    place: str
    share: float = 1.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """The targets to train in addition to the classifier, and the resolution.

    Attributes:
        resolution: height and width of the images, in pixels.
        targets: targets to train, complete; see `complete`.
    """

    resolution: int
    targets: frozenset[Target]

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", complete(self.targets))

    @property
    def scheme(self) -> str:
        """Name of the update scheme that trains only the targets' kinds."""
        return _SCHEMES[tuple(kind for kind in KINDS if self.places(kind))]

    def places(self, kind: str) -> tuple[str, ...]:
        """Returns the places of all targets of one kind, from the input to the output."""
        return tuple(sorted((t.place for t in self.targets if t.kind == kind), key=place_position))

    def configure(self, config: ConfigDict) -> ConfigDict:
        """Returns a copy of a configuration, changed to train the plan's targets with their rate factors."""
        spec = network_of(config)
        every = {BIASES: spec.places, LITE_RESIDUALS: branch_places(spec), KERNELS: ()}
        result = config.copy_and_resolve_references()
        with result.unlocked():
            result.scheme = self.scheme
            result.branches = ()
            result.backbone.resolution = self.resolution
            if not self.places(LITE_RESIDUALS):
                result.backbone.branch_weights = ""
            # No places mean all of them, but late ones for a scheme that trains kernels.
            entries = self._kernel_entries()
            for kind, places in every.items():
                chosen = entries if kind == KERNELS else self.places(kind)
                result[kind] = () if chosen == places and not entries else chosen
            drop_useless_rate_factors(result)
        return result.lock()

    def _kernel_entries(self) -> tuple[str, ...]:
        shares = {target.place: target.share for target in self.targets if target.kind == KERNELS}
        return tuple(KernelOptions(share=shares[place]).entry(place) for place in self.places(KERNELS))


def complete(targets: frozenset[Target]) -> frozenset[Target]:
    """Returns the targets with the biases of each place whose kernel is trained, which cost nothing there.

    Of several shares of a kernel, only the largest one is kept.

    Example:
        >>> sorted(complete(frozenset({Target(KERNELS, "block_3", 0.25), Target(KERNELS, "block_3", 0.5)})))
        [Target(kind='biases', place='block_3', share=1.0), Target(kind='kernels', place='block_3', share=0.5)]
    """
    kernels = sorted((target for target in targets if target.kind == KERNELS), key=lambda target: target.share)
    largest = {target.place: target for target in kernels}
    biases = {Target(BIASES, place) for place in largest}
    return frozenset({target for target in targets if target.kind != KERNELS} | biases | set(largest.values()))


def all_targets(spec: NetworkSpec) -> tuple[Target, ...]:
    """Returns all targets: biases, then lite residuals, then kernels, each from the output to the input.

    A kernel is a target for each share that is a whole number of its channels, from the largest.
    """
    parts = {BIASES: spec.places, LITE_RESIDUALS: branch_places(spec)}
    return (
        *(Target(kind, place) for kind, places in parts.items() for place in reversed(places)),
        *(
            Target(KERNELS, place, share)
            for place in reversed(wide_kernel_places(spec))
            for share in whole_shares(wide_kernel(spec, place).shape[-1])
        ),
    )


def target_of(variable: VariableSpec) -> Target | None:
    """Returns the target that a trained variable belongs to, a whole kernel; `None` for the classifier."""
    if variable.place == CLASSIFIER:
        return None
    kind = LITE_RESIDUALS if variable.branch else KERNELS if variable.role == "kernel" else BIASES
    return Target(kind, variable.place)
