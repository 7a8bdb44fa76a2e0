import pytest

from tinytl_tf.memory import PlannedGrowth
from tinytl_tf.planning import Costs, Target
from tinytl_tf.planning.plan import BIASES, LITE_RESIDUALS, all_targets, layout_of


def growth(**parts):
    return PlannedGrowth("train", 1, parts)


LAST = growth(file=1000, structures=100, variables=10, arena=2000)
ALL_BIASES = growth(file=1500, structures=400, variables=30, arena=2600)
EVERYTHING = growth(file=2500, structures=900, variables=600, arena=4000)


def larger(known):
    return growth(**{**known.parts, "arena": 4 * known.parts["arena"]})


@pytest.fixture
def costs(config):
    files = (LAST, ALL_BIASES, EVERYTHING)
    return Costs(layout_of(config), {64: files, 128: tuple(map(larger, files))})


def test_the_known_files_are_met(config, costs):
    targets = all_targets(layout_of(config))
    biases = [target for target in targets if target.kind == BIASES]
    for chosen, known in (((), LAST), (biases, ALL_BIASES), (targets, EVERYTHING)):
        assert costs.growth_bytes(64, chosen) == pytest.approx(known.growth_bytes)
        assert costs.growth_bytes(128, chosen) == pytest.approx(larger(known).growth_bytes)


def test_between_the_resolutions_it_goes_by_pixels(costs):
    low, high = costs.growth_bytes(64, ()), costs.growth_bytes(128, ())
    share = (96**2 - 64**2) / (128**2 - 64**2)
    assert costs.growth_bytes(96, ()) == pytest.approx(low + share * (high - low))


def test_a_place_pays_for_the_way_down_to_it_once(costs):
    deep, late = Target(BIASES, "block_1"), Target(BIASES, "block_3")
    assert costs.growth_bytes(64, {late}) < costs.growth_bytes(64, {deep})
    assert costs.growth_bytes(64, {deep, late}) == costs.growth_bytes(64, {deep})


def test_a_branch_needs_the_gradient_of_its_output_only(costs):
    branch, below, at = Target(LITE_RESIDUALS, "block_2"), Target(BIASES, "block_3"), Target(BIASES, "block_2")
    assert costs.growth_bytes(64, {branch, below}) == costs.growth_bytes(64, {branch})
    assert costs.growth_bytes(64, {branch, at}) > costs.growth_bytes(64, {branch})


def test_one_resolution_is_enough(config):
    costs = Costs(layout_of(config), {64: (LAST, ALL_BIASES, EVERYTHING)})
    assert costs.growth_bytes(64, ()) == LAST.growth_bytes
