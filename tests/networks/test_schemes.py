"""What each update scheme trains, counted."""

import dataclasses

import pytest

from tests.tables import TABLES
from tinytl_tf import backbones
from tinytl_tf.errors import InputError
from tinytl_tf.networks.branches import add_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.schemes import (
    SCHEMES,
    Scheme,
    Selector,
    apply_scheme,
    get_scheme,
    rate_factor,
    restrict,
    trained_by,
    useful_rate_factors,
    with_rate_factors,
)
from tinytl_tf.networks.variables import describe_variable


@dataclasses.dataclass
class Variable:
    """What `apply_scheme` knows of a variable."""

    path: str
    shape: tuple
    trainable: bool | None = None


def variables():
    shapes = {
        "stem/kernel": (3, 3, 3, 8),
        "stem/norm/gamma": (8,),
        "stem/norm/beta": (8,),
        "stem/norm/moving_mean": (8,),
        "stem/norm/moving_variance": (8,),
        "block_1_lite_residual/kernel": (5, 5, 4, 8),
        "block_1_lite_residual/norm/gamma": (8,),
        "block_1_lite_residual/norm/beta": (8,),
        "block_1_lite_residual/final_norm/beta": (8,),
        "dropout/seed_generator/seed_generator_state": (2,),
        "classifier/kernel": (8, 4),
        "classifier/bias": (4,),
    }
    return [Variable(path, shape) for path, shape in shapes.items()]


TRAINED = {
    "last": [10, 11],
    "norm+last": [1, 2, 6, 7, 8, 10, 11],
    "full": [0, 1, 2, 5, 6, 7, 8, 10, 11],
    "tinytl-b": [2, 7, 8, 10, 11],
    "tinytl-l": [5, 6, 7, 8, 10, 11],
    "tinytl-lb": [2, 5, 6, 7, 10, 11],
}


def test_there_are_the_six_schemes_of_the_paper_sparse_update_and_lora():
    assert list(SCHEMES) == [*TRAINED, "sparse-update", "sparse-update-l", "sparse-lora", "lora", "lora-b"]


@pytest.mark.parametrize("name", TRAINED)
def test_trains_what_it_says(name):
    network = variables()
    resolution = apply_scheme(iter(network), get_scheme(name))
    expected = [network[index] for index in TRAINED[name]]
    assert list(resolution.variables) == expected
    assert [variable for variable in network if variable.trainable] == expected
    assert all(isinstance(variable.trainable, bool) for variable in network)
    assert sum(row[2] for row in resolution.rows) == len(network)


def test_prints_the_resolved_table():
    assert str(apply_scheme(variables(), get_scheme("tinytl-lb"))) == (
        "scheme tinytl-lb: 860 trained parameters\n"
        "  the classifier                           train     2 variables         36 parameters         144 B\n"
        "  their last shifts                        freeze    1 variables          8 parameters          32 B\n"
        "  lite residuals                           train     3 variables        816 parameters       3,264 B\n"
        "  biases                                   train     1 variables          8 parameters          32 B\n"
        "  everything else                          freeze    5 variables        242 parameters         968 B"
    )


def test_a_variable_that_no_row_covers_is_an_error_and_nothing_changes():
    network = variables()
    with pytest.raises(InputError) as error:
        apply_scheme(network, Scheme("mine", ((r"/kernel$", 1.0), (r"^classifier/", 1.0))))
    assert str(error.value) == (
        "no row of the scheme covers variable 'stem/norm/gamma'; end the table with a row for everything else"
    )
    assert all(variable.trainable is None for variable in network)


def test_an_unknown_scheme_is_an_error():
    with pytest.raises(InputError) as error:
        get_scheme("tinytl")
    assert str(error.value) == (
        "unknown scheme 'tinytl'; choose one of last, norm+last, full, tinytl-b, tinytl-l, tinytl-lb, "
        "sparse-update, sparse-update-l, sparse-lora, lora, lora-b"
    )


@pytest.mark.parametrize("name", ["tinytl-l", "tinytl-lb"])
def test_a_scheme_of_branches_needs_branches(name):
    network = [variable for variable in variables() if "_lite_residual/" not in variable.path]
    with pytest.raises(InputError) as error:
        apply_scheme(network, get_scheme(name))
    assert str(error.value) == (
        f"scheme {name} trains lite residual branches and this network has none; build it with lite_residual=True"
    )
    assert all(variable.trainable is None for variable in network)


def count(table, classes, branches):
    """Trained parameters by scheme, from a table of the papers, by arithmetic that shares nothing with the builder."""
    kernels, norms = 9 * 3 * 32, 32
    branch_kernels = branch_norms = final_norms = 0
    inputs, nominal = 32, 128
    for expand, size, filters, first_stride, repeats in table:
        for repetition in range(repeats):
            wide = expand * inputs
            kernels += (inputs * wide if expand > 1 else 0) + size**2 * wide + wide * filters
            norms += (wide if expand > 1 else 0) + wide + filters
            if branches and expand > 1:
                branch_size = 5 if nominal // 2 >= 5 else 3
                branch_kernels += branch_size**2 * inputs * inputs // 2 + inputs * filters
                branch_norms += inputs
                final_norms += filters
            nominal //= first_stride if repetition == 0 else 1
            inputs = filters
    kernels, norms = kernels + 320 * 1280, norms + 1280
    head = 1280 * classes + classes
    branch = branch_kernels + 2 * (branch_norms + final_norms)
    every_norm = norms + branch_norms + final_norms
    return {
        "last": head,
        "norm+last": head + 2 * every_norm,
        "full": head + kernels + 2 * norms + branch,
        "tinytl-b": head + every_norm,
        "tinytl-l": head + branch,
        "tinytl-lb": head + branch - final_norms + norms,
    }


# MobileNetV2 with branches and 1000 classes.
MOBILENET_V2 = {
    "last": 1_281_000,
    "norm+last": 1_320_456,
    "tinytl-b": 1_300_728,
    "tinytl-l": 2_398_792,
    "tinytl-lb": 2_414_360,
}

# ProxylessNAS-Mobile with branches and 102 classes: the counts of TinyTL's released code.
PROXYLESS_MOBILE = {
    "last": 130_662,
    "norm+last": 172_614,
    "full": 4_746_590,
    "tinytl-b": 151_638,
    "tinytl-l": 1_947_078,
    "tinytl-lb": 1_962_310,
}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "classes", "branches"),
    [
        ("mobilenet_v2", 1000, True),
        ("mobilenet_v2", 102, False),
        ("efficientnet_lite0", 1000, False),
        ("proxyless_mobile", 102, True),
        ("proxyless_mobile", 1000, False),
    ],
)
def test_counts_of_the_real_networks(name, classes, branches):
    paper = {"lite_residual": branches, "branch_final_norm": True}
    model = backbones.build(name, classes=classes, resolution=64, weights=None, **paper)
    expected = count(TABLES[name], classes, branches)
    if (name, classes) == ("mobilenet_v2", 1000):
        assert expected | MOBILENET_V2 == expected
    if (name, classes) == ("efficientnet_lite0", 1000):
        # 4,694,024 parameters are published; 42,016 of them are the statistics of 21,008 channels.
        assert expected["full"] == 4_694_024 - 2 * (expected["tinytl-b"] - expected["last"])
    if (name, classes) == ("proxyless_mobile", 102):
        assert expected == PROXYLESS_MOBILE
        assert expected["tinytl-b"] - expected["last"] == 20_976  # channels of norms
        assert expected["tinytl-l"] - expected["last"] == 1_816_416  # parameters of branches
    if (name, classes) == ("proxyless_mobile", 1000):
        assert expected["tinytl-b"] - expected["last"] == 17_248
        assert expected["full"] == 4_080_512
    for scheme in map(get_scheme, expected):
        if scheme.lite_residual and not branches:
            continue
        for network in (model.weights, model.variables):  # the latter have the seed of dropout, too
            resolution = apply_scheme(network, scheme)
            assert resolution.parameters == expected[scheme.name], scheme.name
            assert {v.path for v in resolution.variables} == {v.path for v in model.trainable_variables}


def placed_variables():
    paths = [f"{place}/norm/beta" for place in ("stem", "head")] + ["classifier/kernel", "classifier/bias"]
    for block in ("block_1", "block_10"):
        paths += [f"{block}_expand/norm/beta", f"{block}_project/norm/gamma"]
        paths += [f"{block}_lite_residual/{name}" for name in ("kernel", "norm/beta", "final_norm/beta")]
    return [Variable(path, (2,)) for path in paths]


CLASSIFIER = {"classifier/kernel", "classifier/bias"}
BRANCH_1_BETAS = {"block_1_lite_residual/norm/beta", "block_1_lite_residual/final_norm/beta"}
BRANCH_1 = {"block_1_lite_residual/kernel", "block_1_lite_residual/norm/beta"}


@pytest.mark.parametrize(
    ("name", "places", "trained"),
    [
        ("tinytl-b", {"biases": ("block_1", "head")}, {"block_1_expand/norm/beta", "head/norm/beta"} | BRANCH_1_BETAS),
        ("tinytl-l", {"lite_residuals": ("block_1",)}, BRANCH_1 | {"block_1_lite_residual/final_norm/beta"}),
        ("tinytl-lb", {"biases": ("stem",), "lite_residuals": ("block_1",)}, BRANCH_1 | {"stem/norm/beta"}),
        (
            "tinytl-lb",
            {"lite_residuals": ("block_1",)},
            BRANCH_1
            | {f"{place}/norm/beta" for place in ("stem", "head")}
            | {f"{block}_expand/norm/beta" for block in ("block_1", "block_10")},
        ),
    ],
)
def test_a_restricted_scheme_trains_at_its_places(name, places, trained):
    resolution = apply_scheme(placed_variables(), restrict(get_scheme(name), **places))
    assert {variable.path for variable in resolution.variables} == CLASSIFIER | trained
    assert resolution.scheme.name == name


def test_no_places_are_all_places():
    for scheme in SCHEMES.values():
        assert restrict(scheme) == scheme


@pytest.mark.parametrize(
    ("name", "places", "message"),
    [
        (
            "last",
            {"biases": ("head",)},
            "scheme last trains no biases to choose from; leave biases empty, got ('head',)",
        ),
        (
            "tinytl-l",
            {"biases": ("head",)},
            "scheme tinytl-l trains no biases to choose from; leave biases empty, got ",
        ),
        (
            "tinytl-b",
            {"lite_residuals": ("block_1",)},
            "scheme tinytl-b trains no lite residuals to choose from; leave ",
        ),
    ],
)
def test_places_need_a_scheme_that_has_them(name, places, message):
    with pytest.raises(InputError) as error:
        restrict(get_scheme(name), **places)
    assert str(error.value).startswith(message)


RATES = (("_lite_residual/norm/", 10), ("_lite_residual/", 0.1), ("^stem/", 0.0))


def test_rate_factors_multiply_what_the_scheme_trains():
    network = variables()
    resolution = apply_scheme(network, with_rate_factors(get_scheme("tinytl-lb"), RATES))
    factors = {variable.path: rate_factor(variable) for variable in network}
    trained = {path: factor for path, factor in factors.items() if factor}
    assert trained == {
        "block_1_lite_residual/kernel": 0.1,
        "block_1_lite_residual/norm/gamma": 10.0,
        "block_1_lite_residual/norm/beta": 10.0,
        "classifier/kernel": 1.0,
        "classifier/bias": 1.0,
    }
    assert [variable.path for variable in resolution.variables] == [v.path for v in network if v.path in trained]
    assert {variable.path for variable in network if variable.trainable} == set(trained)
    assert trained_by(resolution.scheme, map(describe_variable, factors)) == set(trained)
    apply_scheme(network, get_scheme("tinytl-lb"))
    assert {rate_factor(variable) for variable in network if variable.trainable} == {1.0}


def test_the_table_has_the_factors():
    table = str(apply_scheme(variables(), with_rate_factors(get_scheme("tinytl-lb"), RATES)))
    assert table == (
        "scheme tinytl-lb: 852 trained parameters\n"
        "  the classifier                           train     2 variables         36 parameters         144 B\n"
        "  their last shifts                        freeze    1 variables          8 parameters          32 B\n"
        "  _lite_residual/norm/ of lite residuals   x10       2 variables         16 parameters          64 B\n"
        "  _lite_residual/ of lite residuals        x0.1      1 variables        800 parameters       3,200 B\n"
        "  ^stem/ of biases                         freeze    1 variables          8 parameters          32 B\n"
        "  everything else                          freeze    5 variables        242 parameters         968 B"
    )


def test_the_factor_of_a_row_is_multiplied():
    network = variables()
    scheme = Scheme("mine", ((r"^classifier/", 0.5), (r"", 0.0)))
    apply_scheme(network, with_rate_factors(scheme, [("bias$", 0.5)]))
    assert [rate_factor(variable) for variable in network[-2:]] == [0.5, 0.25]


def test_a_restricted_scheme_keeps_its_rate_factors():
    slow = with_rate_factors(get_scheme("tinytl-lb"), [("_lite_residual/", 0.1)])
    restricted = restrict(slow, biases=("stem",), lite_residuals=("block_1",))
    network = placed_variables()
    apply_scheme(network, restricted)
    assert {variable.path: rate_factor(variable) for variable in network if variable.trainable} == (
        dict.fromkeys(CLASSIFIER | {"stem/norm/beta"}, 1.0) | dict.fromkeys(BRANCH_1, 0.1)
    )
    assert (slow.biases, slow.can_restrict) == (True, True)


def test_useful_rate_factors_are_those_of_what_is_trained():
    described = [describe_variable(variable.path) for variable in variables()]
    rates = [("^stem/norm/beta", 2), ("kernel$", 3), ("^stem/norm/beta$", 4), ("moving", 5)]
    useful = {name: useful_rate_factors(with_rate_factors(get_scheme(name), rates), described) for name in TRAINED}
    assert useful == {
        "last": (("kernel$", 3.0),),
        "norm+last": (("^stem/norm/beta", 2.0), ("kernel$", 3.0)),
        "full": (("^stem/norm/beta", 2.0), ("kernel$", 3.0)),
        "tinytl-b": (("^stem/norm/beta", 2.0), ("kernel$", 3.0)),
        "tinytl-l": (("kernel$", 3.0),),
        "tinytl-lb": (("^stem/norm/beta", 2.0), ("kernel$", 3.0)),
    }


@pytest.mark.parametrize("pattern", ["^stem/kernel", "no_such", "^head/"])
def test_a_rate_factor_of_nothing_that_is_trained_is_refused(pattern):
    network = variables()
    with pytest.raises(InputError) as error:
        apply_scheme(network, with_rate_factors(get_scheme("tinytl-lb"), [("^classifier/", 2), (pattern, 0.1)]))
    assert str(error.value) == (
        f"expected rate_factors of variables that scheme tinytl-lb trains, got {pattern!r}, which is found first in "
        "the path of no such variable; leave it out, or look up the paths in model.weights"
    )
    assert all(variable.trainable is None for variable in network)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (
            ("_lite_residual/", 0.1),
            'expected rate_factors as pairs of a regular expression and a factor, (("_lite_residual/", 0.1),) for '
            "example, got ('_lite_residual/', 0.1)",
        ),
        ("abc", "expected rate_factors as pairs of a regular expression and a factor, "),
        ([("a", 1, 2)], "expected rate_factors as pairs of a regular expression and a factor, "),
        (
            [("(", 1)],
            "expected a regular expression in rate_factors, got '(' (missing ), unterminated subpattern at position "
            "0); give a part of the path of a variable, as in ",
        ),
        ([(3, 1)], "expected a regular expression in rate_factors, got 3 (first argument must be string or compiled "),
        (
            [("a", -0.1)],
            "expected a finite factor of 0 or more in rate_factors, got -0.1 for 'a'; 0.1 is a tenth of the rate",
        ),
        ([("a", float("nan"))], "expected a finite factor of 0 or more in rate_factors, got nan for 'a'; "),
        ([("a", float("inf"))], "expected a finite factor of 0 or more in rate_factors, got inf for 'a'; "),
        ([("a", "1")], "expected a finite factor of 0 or more in rate_factors, got '1' for 'a'; "),
        ([("a", True)], "expected a finite factor of 0 or more in rate_factors, got True for 'a'; "),
    ],
)
def test_rate_factors_that_are_none_are_refused(rates, message):
    with pytest.raises(InputError) as error:
        with_rate_factors(get_scheme("tinytl-lb"), rates)
    assert str(error.value).startswith(message)


def trained_of_mobilenet(**places):
    spec = from_table("mobilenet_v2", resolution=96, classes=10)
    return trained_by(restrict(get_scheme("sparse-update"), **places).of(spec), spec.variables)


def test_sparse_update_trains_biases_and_expanding_kernels_of_the_last_seven_blocks():
    expected = {"classifier/kernel", "classifier/bias", "head/norm/beta"}
    for number in range(10, 17):
        layers = [f"block_{number}_{part}" for part in ("expand", "depthwise", "project")]
        expected |= {f"block_{number}_expand/kernel", *(f"{layer}/norm/beta" for layer in layers)}
    assert trained_of_mobilenet() == expected


def test_sparse_update_can_be_kept_to_other_places():
    assert trained_of_mobilenet(biases=["block_3"], kernels=["block_2", "head"]) == {
        "classifier/kernel",
        "classifier/bias",
        "block_2_expand/kernel",
        "head/kernel",
        *(f"block_3_{part}/norm/beta" for part in ("expand", "depthwise", "project")),
    }


def test_a_scheme_that_depends_on_the_network_needs_its_description():
    with pytest.raises(InputError, match=r"^expected selectors for a given network, got 'wide kernels'"):
        apply_scheme(variables(), get_scheme("sparse-update"))


def test_kernels_are_refused_for_a_scheme_that_trains_none_by_place():
    with pytest.raises(InputError) as error:
        restrict(get_scheme("tinytl-b"), kernels=("block_3",))
    assert str(error.value) == (
        "scheme tinytl-b trains no kernels to choose from; leave kernels empty, got ('block_3',)"
    )


def test_sparse_lora_has_branches_around_the_expanding_layers_of_late_blocks():
    spec = from_table("mobilenet_v2", resolution=96, classes=10)
    scheme = get_scheme("sparse-lora")
    spec = add_branches(spec, scheme.branches)
    added = {v.path: v.shape for v in spec.variables if v.branch}
    assert added == {
        path: shape
        for number, (inputs, outputs) in enumerate([(64, 384), *3 * [(96, 576)], *3 * [(160, 960)]], 10)
        for path, shape in {
            f"block_{number}_expand_lora/a": (inputs, 16),
            f"block_{number}_expand_lora/b": (16, outputs),
        }.items()
    }
    trained = trained_by(scheme.of(spec), spec.variables)
    assert {*added} < trained
    assert trained - {*added} == {path for path in trained_of_mobilenet() if not path.endswith("expand/kernel")}


def test_a_late_selector_of_an_early_place_selects_nothing():
    spec = from_table("mobilenet_v2", resolution=96, classes=10)
    early, late = (Selector("", places=(place,), late=True).of(spec) for place in ("block_3", "block_12"))
    assert not any(map(early.selects, spec.variables))
    assert {v.place for v in spec.variables if late.selects(v)} == {"block_12"}


def test_wide_kernels_among_given_paths():
    spec = from_table("mobilenet_v2", resolution=96, classes=10)
    paths = frozenset({"block_3_expand/kernel", "block_3_project/kernel"})
    selector = Selector("", paths=paths, wide_kernels=True).of(spec)
    assert {v.path for v in spec.variables if selector.selects(v)} == {"block_3_expand/kernel"}
