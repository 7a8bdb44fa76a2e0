"""What training each place costs, estimated from a few files that were converted."""

import dataclasses
from collections.abc import Collection, Mapping

from tinytl_tf.networks.architectures import Layout
from tinytl_tf.planning.account import Parts
from tinytl_tf.planning.plan import BIASES, LITE_RESIDUALS, Target

__all__ = ["Costs"]

# How the parts of a resource are shared out; the others go by `activations`.
_SHARED_BY = {"file": "constants", "variables": "variables", "structures": "operators", "records": "operators"}

_Table = dict[Target | None, float]  # bytes of each target; those of the classifier alone under `None`


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large a place is, for sharing out: numbers without a unit that are compared with each other only."""

    constants: float
    variables: float
    operators: float
    activations: float


class Costs:
    """Estimates what any plan between those that were converted needs of each resource.

    At the smallest and the largest resolution three files are known: the classifier alone, all biases, all biases and
    lite residuals. What the second needs above the first is shared out over the places, each part of a resource in
    proportion to what makes it: kernels for the file (backward has copies), convolutions for the structures,
    activations for the arena. Backward runs down to the lowest trained place, so a plan pays for all places from there
    up. What the third needs above the second is shared out over the branches likewise. Between the resolutions
    each part is linear in the number of pixels.

    Args:
        layout: the network.
        anchors: by resolution, what the three files need, in this order.
    """

    def __init__(self, layout: Layout, anchors: Mapping[int, tuple[Parts, Parts, Parts]]) -> None:
        self._layout = layout
        self._tables = {
            resolution: {name: _share_out(layout, *(parts[name] for parts in files)) for name in files[0]}
            for resolution, files in anchors.items()
        }

    def needs(self, resolution: int, targets: Collection[Target]) -> dict[str, float]:
        """Estimated bytes of each resource that training these targets needs."""
        low, high = min(self._tables), max(self._tables)
        share = (resolution**2 - low**2) / (high**2 - low**2) if high > low else 0
        needs = {}
        for name in self._tables[low]:
            small, large = (self._at_anchor(self._tables[anchor][name], targets) for anchor in (low, high))
            needs[name] = small + share * (large - small)
        return needs

    def _at_anchor(self, table: _Table, targets: Collection[Target]) -> float:
        places = self._layout.places
        # The gradient of a branch needs that of its block's output, and nothing from inside the block.
        lowest = min((places.index(t.place) + (t.kind == LITE_RESIDUALS) for t in targets), default=len(places))
        backward = sum(table[Target(BIASES, place)] for place in places[lowest:])
        return table[None] + backward + sum(table[t] for t in targets if t.kind == LITE_RESIDUALS)


def _share_out(
    layout: Layout, last: Mapping[str, int], biases: Mapping[str, int], everything: Mapping[str, int]
) -> _Table:
    """What each target needs of a resource, by the parts of it that the three files need."""
    table: _Table = {None: float(sum(last.values()))}
    for kind, sizes, less, more in (
        (BIASES, _place_sizes(layout), last, biases),
        (LITE_RESIDUALS, _branch_sizes(layout), biases, everything),
    ):
        for place, size in sizes.items():
            table[Target(kind, place)] = 0.0
            for part, value in more.items():
                measure = _SHARED_BY.get(part, "activations")
                total = sum(getattr(other, measure) for other in sizes.values())
                table[Target(kind, place)] += (value - less[part]) * getattr(size, measure) / total
    return table


def _place_sizes(layout: Layout) -> dict[str, Sizes]:
    """Sizes of each place; its pixels are a share of the image's."""
    sizes, pixels, inputs = {}, 1 / 4, layout.stem_filters
    sizes["stem"] = Sizes(27 * layout.stem_filters, layout.stem_filters, 1, pixels * layout.stem_filters)
    for block in layout.blocks:
        expands = block.expanded > block.inputs
        constants = block.expanded * (block.inputs * expands + block.kernel_size**2 + block.filters)
        wide = pixels * block.expanded * expands
        pixels /= block.strides**2
        biases = block.expanded * (1 + expands) + block.filters
        sizes[block.name] = Sizes(constants, biases, 2 + expands, wide + pixels * block.expanded)
        inputs = block.filters
    if layout.head_filters:
        sizes["head"] = Sizes(inputs * layout.head_filters, layout.head_filters, 1, pixels * layout.head_filters)
    return sizes


def _branch_sizes(layout: Layout) -> dict[str, Sizes]:
    sizes, pixels = {}, 1 / 4
    for block in layout.blocks:
        if block.branch:
            kernel_size, _ = block.branch
            parameters = block.inputs * (kernel_size**2 * block.inputs / 2 + block.filters)
            sizes[block.name] = Sizes(parameters, parameters, 1, pixels * block.inputs)
        pixels /= block.strides**2
    return sizes
