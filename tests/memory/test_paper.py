"""The paper's figures, to the printed digit."""

import dataclasses
import functools

import pytest

from tinytl_tf import backbones
from tinytl_tf.errors import InputError
from tinytl_tf.memory import paper, paper_account
from tinytl_tf.memory.paper import account_of
from tinytl_tf.memory.resnet50 import resnet50_spec
from tinytl_tf.networks.branches import add_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.schemes import get_scheme
from tinytl_tf.ops import ACTIVATIONS

PAPERS_BRANCHES = {"lite_residual": True, "branch_final_norm": True}
SCHEMES = ("last", "tinytl-b", "tinytl-l", "tinytl-lb", "norm+last", "full")


@functools.cache
def account(scheme, architecture="proxyless_mobile", **changes):
    """That of the paper's table 2 but for what is changed."""
    options = {"resolution": 224, "batch_size": 8, "classes": 102, **changes}
    return paper_account(architecture, scheme, **options)


TINY = {"resolution": 32, "classes": 2, "width": 0.35}


def replaced(name, **changes):
    """MobileNetV2 with one layer that is something else."""
    spec = from_table("mobilenet_v2", **TINY)
    layers = (dataclasses.replace(layer, **changes) if layer.name == name else layer for layer in spec.layers)
    return dataclasses.replace(spec, layers=tuple(layers))


def mb(size, printed):
    """The size in MB with as many digits as `printed`."""
    return f"{size / 1e6:.{len(printed.partition('.')[2])}f}"


# Megabytes of parameters, stored by one image, at its peak, at batch 8, as printed in the paper; trained parameters.
TABLE_2 = {
    "last": ("5.138576", "0.0051", "3.2113", "30.83", "31", 130_662),
    "tinytl-b": ("5.201504", "0.6042", "3.3116", "31.69", "32", 151_638),
    "tinytl-l": ("10.587824", "2.6664", "3.3116", "37.08", "37", 1_947_078),
    "tinytl-lb": ("10.633520", "2.6664", "3.3116", "37.13", "37", 1_962_310),
    "norm+last": ("5.264432", "23.157", "23.395", "192.42", "192", 172_614),
    "full": ("18.986360", "46.244", "46.482", "390.84", "391", 4_746_590),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_table_2(scheme):
    parameters, stored, peak, total, printed, trained = TABLE_2[scheme]
    result = account(scheme)
    assert mb(result.parameters_bytes, parameters) == parameters
    assert mb(result.stored_bytes, stored) == stored
    assert mb(result.peak_bytes, peak) == peak
    assert mb(result.total_bytes, total) == total
    assert mb(result.total_bytes, printed) == printed
    assert (result.trained_parameters, result.parameters) == (trained, 4_746_590)
    assert result.activations_bytes == 8 * result.peak_bytes
    assert result.total_bytes == result.activations_bytes + result.parameters_bytes


RESOLUTIONS = (96, 128, 160, 192, 224, 256, 288, 320, 352, 416, 448)
BY_RESOLUTION = {
    "full": "87.2 140.5 208.7 292.4 390.8 505.1 633.8 778.5 937.5 1301.9 1507.6",
    "last": "9.9 13.5 18.2 24.0 30.8 38.7 47.6 57.6 68.6 93.7 107.9",
    "norm+last": "39.6 66.4 100.7 142.9 192.4 249.9 314.7 387.5 467.5 651.0 754.5",
    "tinytl-b": "10.1 13.9 18.7 24.7 31.7 39.8 49.0 59.3 70.6 96.6 111.2",
    "tinytl-l": "15.5 19.2 24.1 30.1 37.1 45.2 54.4 64.7 76.0 102.0 116.6",
    "tinytl-lb": "15.5 19.3 24.2 30.1 37.1 45.2 54.4 64.7 76.1 102.0 116.6",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_resolutions(scheme):
    printed = BY_RESOLUTION[scheme].split()
    assert [mb(account(scheme, resolution=px).total_bytes, "0.0") for px in RESOLUTIONS] == printed


@pytest.mark.parametrize(
    ("resolution", "printed"),
    [
        (160, "12.32"),
        (192, "13.07"),
        (224, "13.95"),
        (256, "14.96"),
        (288, "16.11"),
        (320, "17.39"),
        (352, "18.81"),
    ],
)
def test_batch_1(resolution, printed):
    result = account("tinytl-lb", resolution=resolution, batch_size=1)
    assert mb(result.total_bytes, printed) == printed


@pytest.mark.parametrize(
    ("classes", "full", "lite_residual"), [(196, "391.3", "37.6"), (37, "390.5", "36.8"), (10, "390.4", "36.7")]
)
def test_classes(classes, full, lite_residual):
    assert mb(account("full", classes=classes).total_bytes, full) == full
    assert mb(account("tinytl-lb", classes=classes).total_bytes, lite_residual) == lite_residual


@pytest.mark.parametrize(
    ("scheme", "printed"), [("full", "367.0"), ("norm+last", "183.0"), ("last", "29.0"), ("tinytl-b", "29.9")]
)
def test_without_branches(scheme, printed):
    result = account(scheme, lite_residual=False)
    assert mb(result.total_bytes, printed) == printed
    assert result.parameters == 2_930_174


@pytest.mark.parametrize("scheme", ["last", "tinytl-b", "tinytl-l", "tinytl-lb"])
def test_an_early_expansion_is_the_peak(scheme):
    result = account(scheme)
    assert result.peak_op == "block_1_expand"
    kept_before = result.peak_bytes - (16 + 48) * 112 * 112 * 4
    # The masks of the stem (32 channels) and of the first block's depthwise convolution (32 channels).
    assert kept_before == (0 if scheme == "last" else 2 * 32 * 112 * 112 // 8)


@pytest.mark.parametrize(
    ("scheme", "printed"),
    [
        ("last", "32.4"),
        ("tinytl-b", "33.5"),
        ("tinytl-l", "60.4"),
        ("tinytl-lb", "60.7"),
        ("norm+last", "194.5"),
        ("full", "447.8"),
    ],
)
def test_gradients_and_slots_of_adam(scheme, printed):
    result = account(scheme)
    with_adam = result.total_bytes + result.gradients_bytes + result.slots_bytes
    assert with_adam - result.total_bytes == 12 * result.trained_parameters
    assert mb(with_adam, printed) == printed
    assert result.honest_bytes == with_adam + result.group_norm_bytes


@pytest.mark.parametrize(("optimizer", "bytes_each"), [("sgd", 4), ("momentum", 8), ("adam", 12)])
def test_bytes_of_a_trained_parameter(optimizer, bytes_each):
    result = account("tinytl-lb", optimizer=optimizer)
    assert result.gradients_bytes + result.slots_bytes == bytes_each * result.trained_parameters
    assert result.total_bytes == account("tinytl-lb").total_bytes


@pytest.mark.parametrize(
    ("scheme", "batch_size", "printed"),
    [("tinytl-lb", 8, "206.8"), ("tinytl-lb", 1, "35.2"), ("tinytl-b", 8, "192.4")],
)
def test_group_norms_with_their_true_gradient(scheme, batch_size, printed):
    result = account(scheme, batch_size=batch_size)
    assert mb(result.total_bytes + result.group_norm_bytes, printed) == printed


@pytest.mark.parametrize("scheme", ["last", "norm+last", "full"])
def test_group_norms_add_nothing_where_nothing_passes_or_all_is_kept(scheme):
    assert account(scheme).group_norm_bytes == 0


@pytest.mark.parametrize(
    ("architecture", "width", "parameters", "printed"),
    [
        ("mobilenet_v2", 1.0, 2_354_534, "447.7"),
        ("mobilenet_v2", 1.4, 4_498_662, "644.2"),
        ("resnet50", 1.0, 23_717_030, "807.6"),
    ],
)
def test_other_networks(architecture, width, parameters, printed):
    result = account("full", architecture, width=width)
    assert mb(result.total_bytes, printed) == printed
    assert result.parameters == parameters
    assert not result.lite_residual


def test_mobilenet_v2_with_imagenet_classes_at_batch_16():
    assert mb(account("full", "mobilenet_v2", batch_size=16, classes=1000).total_bytes, "891") == "891"


def test_resnet50_without_the_peak_and_with_the_profilers_mistake():
    result = account("full", "resnet50")
    assert mb(8 * result.stored_bytes + result.parameters_bytes, "801.4") == "801.4"

    # A bottleneck of torchvision uses one ReLU object three times; the profiler charges the last one's size each time.
    spec = resnet50_spec(resolution=224, classes=102)
    ops = paper.list_ops(spec)
    last_sizes = {op.layer.place: op.inputs for op in ops if op.kind == "relu" and op.layer.name == op.layer.place}
    charged = [
        dataclasses.replace(op, inputs=last_sizes.get(op.layer.place, op.inputs)) if op.kind == "relu" else op
        for op in ops
    ]
    _, peak, _ = paper.walk(charged, {variable.path for variable in spec.variables})
    assert mb(8 * peak + result.parameters_bytes, "815.4") == "815.4"


def test_branches_are_counted_as_the_paper_does_unless_told():
    assert account("last").lite_residual
    assert not account("last", "mobilenet_v2").lite_residual
    assert account("tinytl-lb", "mobilenet_v2").lite_residual
    assert account("full", "mobilenet_v2", lite_residual=True).parameters > account("full", "mobilenet_v2").parameters


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name not in ("relu", "relu6")])
def test_any_other_activation_is_kept_whole(activation):
    architecture = dataclasses.replace(backbones.ARCHITECTURES["mobilenet_v2"], activation=activation)
    options = {"resolution": 32, "width": 0.35}
    bits, whole = (account("tinytl-b", table, **options) for table in ("mobilenet_v2", architecture))
    features = 1280 * 4
    assert whole.stored_bytes - features == 32 * (bits.stored_bytes - features) > 0
    assert account("last", architecture, **options).stored_bytes == features


@pytest.mark.parametrize(("activation", "kept"), [(None, 32), ("relu", 32), ("relu6", 32), ("silu", 0)])
def test_a_gate_keeps_what_its_activation_has_not_kept(activation, kept):
    """`ops.gate` keeps the input of the activation before it, which every activation but a ReLU keeps anyway."""
    layers = replaced("block_2_project", kind="gate", variables=(), options=(("activation", activation),))
    before = account_of(replaced("block_2_project", kind="add", variables=()), "tinytl-b", batch_size=1)
    inputs = layers.layer("block_2_depthwise").size
    assert account_of(layers, "tinytl-b", batch_size=1).stored_bytes == before.stored_bytes + inputs * kept // 8
    last = account_of(layers, "last", batch_size=1)
    assert last.stored_bytes == account_of(from_table("mobilenet_v2", **TINY), "last", batch_size=1).stored_bytes


@pytest.mark.parametrize("kind", ["norm", "layer_norm", "group_norm"])
def test_all_norms_are_counted_as_one(kind):
    norm = tuple(v for v in from_table("mobilenet_v2", **TINY).layer("block_2_project").variables if v.role != "kernel")
    plain = replaced("block_2_project", kind="add", variables=())
    spec = replaced("block_2_project", kind=kind, variables=norm[:2])
    inputs = 4 * spec.layer("block_2_depthwise").size
    for scheme, more in (("tinytl-b", 0), ("norm+last", inputs)):
        with_norm, without = (account_of(each, scheme, batch_size=1) for each in (spec, plain))
        assert with_norm.stored_bytes - without.stored_bytes == more
    of_one, of_none = (paper.walk(paper.list_ops(each), {"stem/norm/beta"}, group_norm=True) for each in (spec, plain))
    assert of_one[0] - of_none[0] == inputs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"architecture": "resnet"},
            "unknown backbone 'resnet'; choose one of mobilenet_v2, efficientnet_lite0, efficientnet_lite1, "
            "efficientnet_lite2, efficientnet_lite3, efficientnet_lite4, proxyless_mobile, mcunet_5fps, "
            "proxyless_w0.3, mbv2_w0.35",
        ),
        (
            {"scheme": "bias"},
            "unknown scheme 'bias'; choose one of last, norm+last, full, tinytl-b, tinytl-l, tinytl-lb, "
            "sparse-update, sparse-update-l, sparse-lora, lora, lora-b",
        ),
        ({"optimizer": "lamb"}, "unknown optimizer 'lamb'; choose one of sgd, momentum, adam"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"classes": 1}, "a classifier needs at least 2 classes, got 1"),
        ({"width": 0}, "width must be above 0 and at most 4, got 0"),
        (
            {"resolution": 32},
            "proxyless_mobile needs images of 33 pixels or more to run with lite residual branches, got resolution 32",
        ),
        (
            {"lite_residual": False},
            "scheme tinytl-lb trains lite residual branches and this network has none; build it with "
            "lite_residual=True",
        ),
        (
            {"architecture": "resnet50"},
            "resnet50 is counted at width 1 and without lite residual branches, got width 1.0 and lite_residual True; "
            "choose last, norm+last, full or tinytl-b",
        ),
    ],
)
def test_refuses_what_can_not_be_counted(arguments, message):
    options = {"resolution": 224, "batch_size": 8, "classes": 102, **arguments}
    architecture, scheme = options.pop("architecture", "proxyless_mobile"), options.pop("scheme", "tinytl-lb")
    with pytest.raises(InputError) as error:
        paper_account(architecture, scheme, **options)
    assert str(error.value) == message


@pytest.mark.parametrize("scheme", ["sparse-lora", "sparse-update-l"])
def test_a_network_is_counted_with_the_branches_of_the_scheme_alone(scheme):
    """Not with branches at all places, which the network that is built does not have."""
    spec = from_table("mobilenet_v2", resolution=96, classes=10)
    spec = add_branches(spec, get_scheme(scheme).branches, final_norm=True)
    account = paper_account("mobilenet_v2", scheme, resolution=96, batch_size=1, classes=10)
    assert account.parameters == sum(v.size for v in spec.variables if v.role != "statistic")
    assert account == account_of(spec, scheme, batch_size=1)
