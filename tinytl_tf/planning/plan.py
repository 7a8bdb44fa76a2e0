"""A plan: the trained targets and the resolution."""

import dataclasses
from typing import NamedTuple

from ml_collections import ConfigDict

from tinytl_tf.experiment import drop_useless_rate_factors, network_of
from tinytl_tf.networks.branches import branch_places
from tinytl_tf.networks.spec import NetworkSpec, place_position

__all__ = ["BIASES", "LITE_RESIDUALS", "Plan", "Target", "all_targets"]

BIASES, LITE_RESIDUALS = "biases", "lite_residuals"  # keys of the configuration
_SCHEMES = {
    (False, False): "last",
    (True, False): "tinytl-b",
    (False, True): "tinytl-l",
    (True, True): "tinytl-lb",
}


class Target(NamedTuple):
    """A unit that a plan trains or freezes.

    Attributes:
        kind: kind of variables, `"biases"` or `"lite_residuals"`.
        place: name of their place; see `NetworkSpec`.
    """

    kind: str
    place: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """The targets to train in addition to the classifier, and the resolution.

    Attributes:
        resolution: height and width of the images, in pixels.
        targets: targets to train.
    """

    resolution: int
    targets: frozenset[Target]

    @property
    def scheme(self) -> str:
        """Name of the update scheme that trains only the targets' kinds."""
        kinds = {target.kind for target in self.targets}
        return _SCHEMES[BIASES in kinds, LITE_RESIDUALS in kinds]

    def places(self, kind: str) -> tuple[str, ...]:
        """Returns the places of all targets of one kind, from the input to the output."""
        return tuple(sorted((t.place for t in self.targets if t.kind == kind), key=place_position))

    def configure(self, config: ConfigDict) -> ConfigDict:
        """Returns a copy of a configuration, changed to train the plan's targets with their rate factors."""
        spec = network_of(config)
        every = {BIASES: spec.places, LITE_RESIDUALS: branch_places(spec)}
        result = config.copy_and_resolve_references()
        with result.unlocked():
            result.scheme = self.scheme
            result.branches = ()
            result.backbone.resolution = self.resolution
            if not self.places(LITE_RESIDUALS):
                result.backbone.branch_weights = ""
            for kind, places in every.items():
                chosen = self.places(kind)
                result[kind] = () if chosen == places else chosen
            drop_useless_rate_factors(result)
        return result.lock()


def all_targets(spec: NetworkSpec) -> tuple[Target, ...]:
    """Returns all targets: first the biases, then the lite residuals, each from the output to the input."""
    biases = [Target(BIASES, place) for place in reversed(spec.places)]
    return (*biases, *(Target(LITE_RESIDUALS, place) for place in reversed(branch_places(spec))))
