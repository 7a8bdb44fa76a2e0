import pytest

from tinytl_tf.experiment import network_of
from tinytl_tf.networks.wide_kernels import wide_kernel
from tinytl_tf.planning.plan import BIASES, KERNELS, LITE_RESIDUALS, Plan, Target, all_targets
from tinytl_tf.training import Experiment

HEAD, BLOCK_2 = Target(BIASES, "head"), Target(BIASES, "block_2")
BRANCH_3 = Target(LITE_RESIDUALS, "block_3")
KERNEL_3 = Target(KERNELS, "block_3")
QUARTER_3, EIGHTH_3 = KERNEL_3._replace(share=1 / 4), KERNEL_3._replace(share=1 / 8)


def test_targets_go_from_the_output_to_the_input(config):
    targets = all_targets(network_of(config))
    names = [f"{kind} {place}" for kind, place, share in targets if share == 1]
    assert names == [
        *("biases head", "biases block_3", "biases block_2", "biases block_1", "biases block_0", "biases stem"),
        *("lite_residuals block_3", "lite_residuals block_2", "lite_residuals block_1"),
        *("kernels head", "kernels block_3", "kernels block_2", "kernels block_1", "kernels block_0", "kernels stem"),
    ]
    assert [share for kind, place, share in targets if (kind, place) == KERNEL_3[:2]] == [1, 1 / 2, 1 / 4, 1 / 8]


def test_shares_of_a_kernel_are_whole_channels(config):
    spec = network_of(config)
    for _, place, share in all_targets(spec):
        assert wide_kernel(spec, place).shape[-1] * share % 1 == 0 or share == 1


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ((), ("last", (), (), ())),
        ((HEAD, BLOCK_2), ("tinytl-b", ("block_2", "head"), (), ())),
        ((BRANCH_3,), ("tinytl-l", (), ("block_3",), ())),
        ((HEAD, BRANCH_3), ("tinytl-lb", ("head",), ("block_3",), ())),
        ((KERNEL_3,), ("sparse-update", ("block_3",), (), ("block_3",))),
        ((BLOCK_2, KERNEL_3), ("sparse-update", ("block_2", "block_3"), (), ("block_3",))),
        ((KERNEL_3, BRANCH_3), ("sparse-update-l", ("block_3",), ("block_3",), ("block_3",))),
        ((QUARTER_3,), ("sparse-update", ("block_3",), (), ("block_3:1/4",))),
        ((QUARTER_3, EIGHTH_3), ("sparse-update", ("block_3",), (), ("block_3:1/4",))),
        ((EIGHTH_3, KERNEL_3), ("sparse-update", ("block_3",), (), ("block_3",))),
    ],
)
def test_a_plan_says_scheme_and_places(config, targets, expected):
    planned = Plan(96, frozenset(targets)).configure(config)
    assert (planned.scheme, planned.biases, planned.lite_residuals, planned.kernels) == expected
    assert (planned.backbone.resolution, config.backbone.resolution) == (96, 64)


def test_all_biases_and_lite_residuals_need_no_list(config):
    targets = {target for target in all_targets(network_of(config)) if target.kind != KERNELS}
    plan = Plan(64, frozenset(targets)).configure(config)
    assert (plan.scheme, plan.biases, plan.lite_residuals) == ("tinytl-lb", (), ())


def test_a_plan_with_kernels_lists_all_places(config):
    """No places would mean the late ones."""
    spec = network_of(config)
    plan = Plan(64, frozenset(all_targets(spec))).configure(config)
    assert (plan.scheme, plan.biases, plan.kernels) == ("sparse-update-l", spec.places, spec.places)
    assert plan.lite_residuals == ("block_1", "block_2", "block_3")


def test_what_is_configured_is_what_trains(config):
    plan = Plan(64, frozenset({HEAD, BLOCK_2, BRANCH_3, Target(KERNELS, "block_2", 1 / 2)}))
    model, resolution = Experiment(plan.configure(config)).build_model(4)
    whole = wide_kernel(network_of(config), "block_2").shape
    assert model.get_layer("block_2_expand").kernel.shape == (*whole[:-1], whole[-1] // 2)
    assert {v.path for v in resolution.variables} == {
        *("classifier/kernel", "classifier/bias", "head/norm/beta"),
        *(f"block_2_{part}/norm/beta" for part in ("expand", "depthwise", "project")),
        "block_2_expand/kernel",
        *(f"block_3_lite_residual/{part}" for part in ("kernel", "pointwise_kernel", "norm/gamma", "norm/beta")),
    }
    assert {v.path.split("/")[0] for v in model.weights if "_lite_residual/" in v.path} == {"block_3_lite_residual"}


def test_a_plan_without_lite_residuals_has_no_weights_for_them(config):
    config = config.copy_and_resolve_references()
    config.backbone.branch_weights = "branches.npz"
    for targets, expected in (((HEAD, BRANCH_3), "branches.npz"), ((HEAD,), ""), ((), "")):
        assert Plan(96, frozenset(targets)).configure(config).backbone.branch_weights == expected


def test_a_plan_keeps_the_rate_factors_of_what_it_trains(config):
    config = config.copy_and_resolve_references()
    slow, fast = ("_lite_residual/", 0.1), ("^head/", 2.0)
    config.training.rate_factors = (slow, fast)
    for targets, expected in (((HEAD, BRANCH_3), (slow, fast)), ((HEAD,), (fast,)), ((BRANCH_3,), (slow,)), ((), ())):
        assert Plan(64, frozenset(targets)).configure(config).training.rate_factors == expected
