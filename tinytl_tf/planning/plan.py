"""A plan: the trained targets and the resolution."""

import dataclasses
from typing import NamedTuple

from ml_collections import ConfigDict

from tinytl_tf.experiment import drop_useless_rate_factors, network_of
from tinytl_tf.networks.branches import branch_places
from tinytl_tf.networks.spec import CLASSIFIER, NetworkSpec, VariableSpec, place_position
from tinytl_tf.networks.wide_kernels import wide_kernel_places

__all__ = ["BIASES", "KERNELS", "KINDS", "LITE_RESIDUALS", "Plan", "Target", "all_targets", "target_of", "with_biases"]

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
    """

    kind: str
    place: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """The targets to train in addition to the classifier, and the resolution.

    A plan that trains the kernel of a place also trains its biases, which cost nothing there.

    Attributes:
        resolution: height and width of the images, in pixels.
        targets: targets to train.
    """

    resolution: int
    targets: frozenset[Target]

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", with_biases(self.targets))

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
            may_be_empty = not self.places(KERNELS)
            for kind, places in every.items():
                chosen = self.places(kind)
                result[kind] = () if chosen == places and may_be_empty else chosen
            drop_useless_rate_factors(result)
        return result.lock()


def with_biases(targets: frozenset[Target]) -> frozenset[Target]:
    """Returns the targets, and the biases of each place whose kernel is trained."""
    return targets | {Target(BIASES, target.place) for target in targets if target.kind == KERNELS}


def all_targets(spec: NetworkSpec) -> tuple[Target, ...]:
    """Returns all targets: biases, then lite residuals, then kernels, each from the output to the input."""
    places = {BIASES: spec.places, LITE_RESIDUALS: branch_places(spec), KERNELS: wide_kernel_places(spec)}
    return tuple(Target(kind, place) for kind in KINDS for place in reversed(places[kind]))


def target_of(variable: VariableSpec) -> Target | None:
    """Returns the target that a trained variable belongs to; `None` for the classifier."""
    if variable.place == CLASSIFIER:
        return None
    kind = LITE_RESIDUALS if variable.branch else KERNELS if variable.role == "kernel" else BIASES
    return Target(kind, variable.place)
