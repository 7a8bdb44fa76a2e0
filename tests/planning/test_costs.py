import collections
import math
import re

import pytest

from tinytl_tf.backbones import ARCHITECTURES, build
from tinytl_tf.experiment import network_of
from tinytl_tf.layers import LiteResidual
from tinytl_tf.networks.branches import LITE_RESIDUAL, branch_places, with_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.wide_kernels import wide_layer
from tinytl_tf.planning import Costs, Target
from tinytl_tf.planning.account import total
from tinytl_tf.planning.plan import BIASES, KERNELS, LITE_RESIDUALS, all_targets


def needs(file, structures, variables, arena):
    """Of two resources, which have parts in common."""
    return {
        "growth": {"file": file, "structures": structures, "variables": variables, "arena": arena},
        "flash": {"file": file},
    }


LAST = needs(file=1000, structures=100, variables=10, arena=2000)
ALL_BIASES = needs(file=1500, structures=400, variables=30, arena=2600)
WITH_BRANCHES = needs(file=2500, structures=900, variables=600, arena=4000)
WITH_KERNELS = needs(file=1900, structures=450, variables=800, arena=3100)


def larger(known):
    return {**known, "growth": {**known["growth"], "arena": 4 * known["growth"]["arena"]}}


@pytest.fixture
def costs(config):
    files = (LAST, ALL_BIASES, WITH_BRANCHES, WITH_KERNELS)
    return Costs(network_of(config, branch=LITE_RESIDUAL), {64: files, 128: tuple(map(larger, files))})


def test_the_known_files_are_met(config, costs):
    targets = all_targets(network_of(config))
    biases, branches, kernels = (
        [target for target in targets if target.kind == kind and target.share == 1]
        for kind in (BIASES, LITE_RESIDUALS, KERNELS)
    )
    for chosen, known in (
        ((), LAST),
        (biases, ALL_BIASES),
        (biases + branches, WITH_BRANCHES),
        (biases + kernels, WITH_KERNELS),
    ):
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
    costs = Costs(network_of(config, branch=LITE_RESIDUAL), {64: (LAST, ALL_BIASES, WITH_BRANCHES, WITH_KERNELS)})
    assert costs.needs(64, ()) == total(LAST)


def test_time_goes_by_multiply_adds(config):
    spec = network_of(config, branch=LITE_RESIDUAL)
    files = tuple({"time": {"multiply_adds": size}} for size in (1000, 2000, 2100, 2600))
    costs, kernels = Costs(spec, {64: files}), {}
    for target in all_targets(spec):
        if target.kind == KERNELS:
            layer = wide_layer(spec, target.place)
            kernels[target] = target.share * layer.role("kernel")[0].size * math.prod(layer.shape[:-1])
    whole = sum(size for target, size in kernels.items() if target.share == 1)
    for target, size in kernels.items():
        biases = Target(BIASES, target.place)
        expected = costs.needs(64, {biases})["time"] + 600 * size / whole
        assert costs.needs(64, {biases, target})["time"] == pytest.approx(expected)


def test_records_of_operators_go_by_their_number(config):
    """As the structures of LiteRT do; tensors go by their size."""
    files = tuple({"arena": {"records": size, "tensors": 0}} for size in (100, 700, 700, 700))
    costs = Costs(network_of(config, branch=LITE_RESIDUAL), {64: files})
    head, block = Target(BIASES, "head"), Target(BIASES, "block_3")
    # One convolution of the head against three of a block; the whole network has stem, 2 + 3 * 3, head.
    assert costs.needs(64, {head})["arena"] == pytest.approx(100 + 600 / 13)
    assert costs.needs(64, {block})["arena"] == pytest.approx(100 + 4 * 600 / 13)


def test_a_share_of_a_kernel_needs_the_whole_input(config):
    spec = network_of(config, branch=LITE_RESIDUAL)
    base = {"variables": 0, "records": 0, "arena": 0}
    whole = {"variables": 8000, "records": 800, "arena": 80}
    costs = Costs(
        spec, {64: tuple({name: {name: value[name]} for name in base} for value in (base, base, base, whole))}
    )
    one = costs.needs(64, {Target(KERNELS, "block_3")})
    quarter = costs.needs(64, {Target(KERNELS, "block_3", 1 / 4)})
    assert quarter == pytest.approx({**one, "variables": one["variables"] / 4})


@pytest.mark.parametrize("name", ["tiny_network", "proxyless_w0.3"])
def test_a_part_is_shared_out_by_the_layers_of_the_network(config, name):
    """By what the built network has: elements of kernels, of biases, convolutions, outputs of activations."""
    architecture = ARCHITECTURES[name]
    model = build(architecture, classes=2, resolution=64, weights=None, lite_residual=True)
    spec = from_table(architecture, classes=2, resolution=64)
    spec = with_branches(spec, branch_places(spec))
    sizes = {target: collections.Counter() for target in all_targets(spec) if target.share == 1}
    for layer in model.layers:
        place = re.match(r"stem|head|block_\d+", layer.name)
        if not place or not layer.weights:
            continue
        if isinstance(layer, LiteResidual):
            kernels = math.prod(layer.kernel.shape) + math.prod(layer.pointwise_kernel.shape)
            sizes[Target(LITE_RESIDUALS, place[0])] += collections.Counter(
                file=kernels,
                variables=kernels,
                records=1,
                tensors=math.prod(layer.input.shape[1:]),
            )
            continue
        projects = layer.name.endswith("_project")
        sizes[Target(BIASES, place[0])] += collections.Counter(
            file=math.prod(layer.kernel.shape),
            variables=math.prod(layer.norm.beta.shape),
            records=1,
            tensors=0 if projects else math.prod(layer.output.shape[1:]),
        )
        if layer.name == (wide_layer(spec, place[0]).name):
            sizes[Target(KERNELS, place[0])] += collections.Counter(
                file=math.prod(layer.kernel.shape),
                variables=math.prod(layer.kernel.shape),
                records=1,
                tensors=math.prod(layer.input.shape[1:]),
            )
    for kind, sums in ((BIASES, (0, 1, 1, 1)), (LITE_RESIDUALS, (0, 0, 1, 0)), (KERNELS, (0, 0, 0, 1))):
        own = [target for target in sizes if target.kind == kind]
        for part in ("file", "variables", "records", "tensors"):
            costs = Costs(spec, {64: tuple({"arena": {part: size}} for size in sums)})
            total = sum(sizes[target][part] for target in own)
            # From the output on: each place adds its share to those behind it, each branch is alone.
            for number, target in enumerate(own, 1):
                chosen = own[:number] if kind == BIASES else [target]
                expected = sum(sizes[target][part] for target in chosen) / total
                assert costs.needs(64, {target})["arena"] == pytest.approx(expected, rel=1e-9), (part, target)
