"""Costs of training each place, estimated from a few converted files."""

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence

from tinytl_tf.networks.spec import LayerSpec, NetworkSpec
from tinytl_tf.networks.wide_kernels import wide_layer
from tinytl_tf.planning.account import Parts
from tinytl_tf.planning.plan import BIASES, KERNELS, LITE_RESIDUALS, Target, all_targets

__all__ = ["Costs"]

# The field of `Sizes` that each part of a resource is distributed by; all other parts are distributed by `activations`.
_SHARED_BY = {
    "file": "constants",
    "variables": "variables",
    "structures": "operators",
    "records": "operators",
    "multiply_adds": "multiply_adds",
}

_Table = dict[Target | None, float]  # need of each target; `None` is the key for the classifier


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of a place or branch, used as weights to distribute costs; only their ratios matter."""

    constants: float
    variables: float
    operators: float
    activations: float
    multiply_adds: float


class Costs:
    """Estimates how much of each resource a plan needs, by interpolating between converted files.

    At the smallest and the largest resolution, four files are converted, which train only the classifier; all biases;
    all biases and lite residuals; and all biases and wide kernels. The difference between the first two files is
    distributed over the places. Each part of a resource is distributed in proportion to its cause: kernels for the file
    (backward contains copies of them), convolutions for the structures, activations for the arena, and multiply-adds
    for the time. Since backward runs down to the lowest trained place, a plan pays for all places above it. The
    difference between the second and the third file is distributed over the branches in the same way, and the
    difference between the second and the fourth file over the kernels, whose activations are the inputs of their
    layers. A share of a kernel needs that share of its constants, variables and multiply-adds, and the whole input.
    Between the two resolutions, each need is interpolated linearly in the number of pixels.

    Args:
        spec: the network with all branches.
        anchors: needs of the four files, in this order, by resolution.
    """

    def __init__(self, spec: NetworkSpec, anchors: Mapping[int, tuple[Parts, Parts, Parts, Parts]]) -> None:
        self._spec = spec
        self._tables = {
            resolution: {name: _share_out(spec, *(parts[name] for parts in files)) for name in files[0]}
            for resolution, files in anchors.items()
        }

    def needs(self, resolution: int, targets: Collection[Target]) -> dict[str, float]:
        """Returns the estimated amount of each resource that is needed to train these targets."""
        low, high = min(self._tables), max(self._tables)
        share = (resolution**2 - low**2) / (high**2 - low**2) if high > low else 0
        needs = {}
        for name in self._tables[low]:
            small, large = (self._at_anchor(self._tables[anchor][name], targets) for anchor in (low, high))
            needs[name] = small + share * (large - small)
        return needs

    def _at_anchor(self, table: _Table, targets: Collection[Target]) -> float:
        places = self._spec.places
        # The gradient of a branch needs the gradient of its block's output, but nothing from inside the block.
        lowest = min((places.index(t.place) + (t.kind == LITE_RESIDUALS) for t in targets), default=len(places))
        backward = sum(table[Target(BIASES, place)] for place in places[lowest:])
        return table[None] + backward + sum(table[t] for t in targets if t.kind != BIASES)


def _share_out(
    spec: NetworkSpec,
    last: Mapping[str, int],
    biases: Mapping[str, int],
    branches: Mapping[str, int],
    kernels: Mapping[str, int],
) -> _Table:
    """Returns how much of a resource each target needs, given the parts that the four files need."""
    table: _Table = {None: float(sum(last.values()))}
    sizes = {target: _size(spec, target) for target in all_targets(spec)}
    for kind, less, more in ((BIASES, last, biases), (LITE_RESIDUALS, biases, branches), (KERNELS, biases, kernels)):
        own = [target for target in sizes if target.kind == kind]
        table |= dict.fromkeys(own, 0.0)
        for part, value in more.items():
            measure = _SHARED_BY.get(part, "activations")
            total = sum(getattr(sizes[target], measure) for target in own if target.share == 1)
            for target in own:
                table[target] += (value - less[part]) * getattr(sizes[target], measure) / (total or 1)
    return table


def _size(spec: NetworkSpec, target: Target) -> Sizes:
    if target.kind == BIASES:
        return _place_size(spec.layers_of(target.place))
    if target.kind == LITE_RESIDUALS:
        return _branch_size(spec, target.place)
    return _kernel_size(spec, target.place, target.share)


def _place_size(layers: Sequence[LayerSpec]) -> Sizes:
    with_kernels = [layer for layer in layers if layer.role("kernel")]
    return Sizes(
        constants=_elements(layers, "kernel"),
        variables=_elements(layers, "bias", "shift"),
        operators=len(with_kernels),
        activations=sum(layer.size for layer in layers if layer.kind == "activation"),
        multiply_adds=_multiply_adds(layers),
    )


def _branch_size(spec: NetworkSpec, place: str) -> Sizes:
    layers = [layer for layer in spec.layers if layer.place == place and layer.branch and layer.variables]
    parameters = _elements(layers[:1], "kernel")
    return Sizes(parameters, parameters, 1, math.prod(spec.shape(layers[0].inputs[0])), _multiply_adds(layers))


def _kernel_size(spec: NetworkSpec, place: str, share: float) -> Sizes:
    layer = wide_layer(spec, place)
    elements = share * _elements([layer], "kernel")
    kept = math.prod(spec.shape(layer.inputs[0]))  # whole, whatever the share
    return Sizes(elements, elements, 1, kept, share * _multiply_adds([layer]))


def _multiply_adds(layers: Sequence[LayerSpec]) -> float:
    # Keras may leave the number of a transformer's tokens open.
    return sum(_elements([layer], "kernel") * math.prod(size or 1 for size in layer.shape[:-1]) for layer in layers)


def _elements(layers: Sequence[LayerSpec], *roles: str) -> int:
    return sum(variable.size for layer in layers for variable in layer.variables if variable.role in roles)
