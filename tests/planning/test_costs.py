import pytest

from tinytl_tf.planning import Costs, Target
from tinytl_tf.planning.account import total
from tinytl_tf.planning.plan import BIASES, LITE_RESIDUALS, all_targets, layout_of


def needs(file, structures, variables, arena):
    """Of two resources, which have parts in common."""
    return {
        "growth": {"file": file, "structures": structures, "variables": variables, "arena": arena},
        "flash": {"file": file},
    }


LAST = needs(file=1000, structures=100, variables=10, arena=2000)
ALL_BIASES = needs(file=1500, structures=400, variables=30, arena=2600)
EVERYTHING = needs(file=2500, structures=900, variables=600, arena=4000)


def larger(known):
    return {**known, "growth": {**known["growth"], "arena": 4 * known["growth"]["arena"]}}


@pytest.fixture
def costs(config):
    files = (LAST, ALL_BIASES, EVERYTHING)
    return Costs(layout_of(config), {64: files, 128: tuple(map(larger, files))})


def test_the_known_files_are_met(config, costs):
    targets = all_targets(layout_of(config))
    biases = [target for target in targets if target.kind == BIASES]
    for chosen, known in (((), LAST), (biases, ALL_BIASES), (targets, EVERYTHING)):
        assert costs.needs(64, chosen) == pytest.approx(total(known))
        assert costs.needs(128, chosen) == pytest.approx(total(larger(known)))


def test_between_the_resolutions_it_goes_by_pixels(costs):
    low, high = costs.needs(64, ())["growth"], costs.needs(128, ())["growth"]
    share = (96**2 - 64**2) / (128**2 - 64**2)
    assert costs.needs(96, ()) == pytest.approx({"growth": low + share * (high - low), "flash": 1000})


def test_a_place_pays_for_the_way_down_to_it_once(costs):
    deep, late = Target(BIASES, "block_1"), Target(BIASES, "block_3")
    for name, size in costs.needs(64, {deep}).items():
        assert costs.needs(64, {late})[name] < size
    assert costs.needs(64, {deep, late}) == costs.needs(64, {deep})


def test_a_branch_needs_the_gradient_of_its_output_only(costs):
    branch, below, at = Target(LITE_RESIDUALS, "block_2"), Target(BIASES, "block_3"), Target(BIASES, "block_2")
    assert costs.needs(64, {branch, below}) == costs.needs(64, {branch})
    assert costs.needs(64, {branch, at})["growth"] > costs.needs(64, {branch})["growth"]


def test_one_resolution_is_enough(config):
    costs = Costs(layout_of(config), {64: (LAST, ALL_BIASES, EVERYTHING)})
    assert costs.needs(64, ()) == total(LAST)


def test_records_of_operators_go_by_their_number(config):
    """As the structures of LiteRT do; tensors go by their size."""
    files = tuple({"arena": {"records": size, "tensors": 0}} for size in (100, 700, 700))
    costs = Costs(layout_of(config), {64: files})
    head, block = Target(BIASES, "head"), Target(BIASES, "block_3")
    # One convolution of the head against three of a block; the whole network has stem, 2 + 3 * 3, head.
    assert costs.needs(64, {head})["arena"] == pytest.approx(100 + 600 / 13)
    assert costs.needs(64, {block})["arena"] == pytest.approx(100 + 4 * 600 / 13)
