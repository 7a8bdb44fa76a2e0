"""Where branches go, and what their description says."""

import dataclasses

import pytest

from tests import tiny_network
from tinytl_tf.errors import InputError
from tinytl_tf.memory.paper import account_of, list_ops
from tinytl_tf.networks.architectures import ARCHITECTURES
from tinytl_tf.networks.branches import BRANCHES, add_branches, branch_places, with_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.schemes import apply_scheme, get_scheme, restrict, trained_by
from tinytl_tf.networks.spec import LayerSpec, NetworkSpec, VariableSpec
from tinytl_tf.networks.variables import describe_variable


def tiny(**branches):
    return add_branches(from_table(tiny_network.ARCHITECTURE, resolution=64, classes=3), branches)


def branches_of(spec):
    return [layer.name for layer in spec.layers if layer.branch and layer.variables]


def test_lora_goes_around_every_1x1_convolution():
    around = ["block_0_project", "block_1_expand", "block_1_project", "block_2_expand", "block_2_project"]
    around += ["block_3_expand", "block_3_project", "head"]
    spec = tiny(lora=4)
    assert branches_of(spec) == [f"{name}_lora" for name in around]
    assert branch_places(tiny(), "lora") == ("block_0", "block_1", "block_2", "block_3", "head")
    for name in around:
        branch, total = spec.layer(f"{name}_lora"), spec.layer(f"{name}_add_lora")
        assert total.inputs == (name, branch.name)
        assert (branch.inputs, total.shape) == (spec.layer(name).inputs, spec.layer(name).shape)
        assert [reader.name for reader in spec.readers(name)] == [total.name]
        channels = spec.layer(name).role("kernel")[0].shape[-2:]
        assert [v.shape for v in branch.variables] == [(channels[0], 4), (4, channels[1])]
    for variable in spec.variables:
        assert describe_variable(variable.path, variable.shape) == variable


def test_what_has_no_room_for_lora():
    layer = next(layer for layer in tiny().layers if layer.name == "block_1_expand")
    assert BRANCHES["lora"].sites(with_layer(layer), with_layer(layer).place("block_0"))
    for change in (
        {"kernel_size": (1, 3)},
        {"groups": 2},
        {"strides": (2, 2), "shape": (16, 16, 16)},
        {"options": (("activation", "relu"),)},
        {"kind": "norm"},
    ):
        spec = with_layer(dataclasses.replace(layer, **change))
        assert BRANCHES["lora"].sites(spec, spec.place("block_0")) == (), change


def with_layer(layer):
    first = LayerSpec("stem", "convolution", ("image",), (32, 32, 8), "stem")
    return NetworkSpec("n", (64, 64, 3), (first, dataclasses.replace(layer, inputs=("stem",), place="block_0")))


def test_self_attention_takes_branches_inside_and_other_attention_none():
    kernels = tuple(
        VariableSpec(f"block_0_attention/{port}/kernel", (8, 2, width), "kernel", "block_0")
        for port, width in {"query": 4, "key": 4, "value": 3}.items()
    )
    tokens = LayerSpec("stem", "dense", ("image",), (5, 8), "stem")
    attention = LayerSpec("block_0_attention", "attention", ("stem", "stem"), (5, 8), "block_0", kernels)
    spec = with_branches(NetworkSpec("n", (5, 8), (tokens, attention)), ["block_0"], "lora", rank=2)
    assert [layer.name for layer in spec.layers] == [
        "stem",
        "block_0_attention_query_lora",
        "block_0_attention_value_lora",
        "block_0_attention",
    ]
    assert spec.layers[-1].inputs == ("stem", "stem", *(layer.name for layer in spec.layers[1:3]))
    assert spec.layers[-1].option("ports") == ("query", "value")
    assert [spec.layers[n].shape for n in (1, 2)] == [(5, 2, 4), (5, 2, 3)]
    assert [[v.shape for v in spec.layers[n].variables] for n in (1, 2)] == [[(8, 2), (2, 2, 4)], [(8, 2), (2, 2, 3)]]
    crossed = dataclasses.replace(attention, inputs=("stem", "image"))
    assert branch_places(NetworkSpec("n", (5, 8), (tokens, crossed)), "lora") == ("stem",)


@pytest.mark.parametrize("first", ["lora", "lite_residual"])
def test_two_kinds_go_together(first):
    kinds = {"lora": ["block_2", "block_1"], "lite_residual": ["block_2"]}
    spec = tiny(**{kind: kinds[kind] for kind in sorted(kinds, key=lambda kind: kind != first)})
    shortcut = spec.layer("block_2_add_shortcut")
    ends = [source for source in shortcut.inputs if source.startswith("block_2")]
    sums, names = [], ends
    while spec.layer(names[0]).branch:
        sums.append(spec.layer(names[0]).inputs[1])
        names = spec.layer(names[0]).inputs
    assert names[0] == "block_2_project"
    assert set(sums) == {"block_2_project_lora", "block_2_lite_residual"}
    # Both take what LoRA made of the block before.
    assert spec.layer("block_2_lite_residual").inputs == ("block_1_project_add_lora",)
    assert spec.layer("block_2_expand_lora").inputs == ("block_1_project_add_lora",)
    assert {spec.place(name).joint for name in ("block_1", "block_2")} == {"block_1_project", "block_2_project"}


def test_choices():
    everywhere = branches_of(tiny(lora=True))
    assert branches_of(tiny(lora={"rank": 4})) == branches_of(tiny(lora=4)) == everywhere
    assert tiny(lora=True) == tiny(lora=4) != tiny(lora=3)
    assert branches_of(tiny(lora=["head"])) == branches_of(tiny(lora={"places": ("head",)})) == ["head_lora"]
    assert tiny(lora={"places": ["head"], "rank": 2, "alpha": 8}).layer("head_lora").options == (
        ("filters", (32,)),
        ("rank", 2),
        ("alpha", 8),
    )
    assert tiny(lora=False, lite_residual=()) == tiny()
    paper = add_branches(tiny(), {"lite_residual": True, "lora": 1}, final_norm=True)
    assert paper.layer("block_2_lite_residual").option("final_norm") is True
    assert tiny(lite_residual={"final_norm": True}).layer("block_2_lite_residual").option("final_norm") is True


def test_the_width_of_a_lite_residual():
    name = "block_2_lite_residual"
    whole, half = tiny(lite_residual=True), tiny(lite_residual={"expand": 0.5})
    assert (whole.layer(name).option("expand"), half.layer(name).option("expand")) == (None, 0.5)
    kernels = [next(v for v in spec.variables if v.path == f"{name}/kernel").shape for spec in (whole, half)]
    assert kernels == [(5, 5, 8, 16), (5, 5, 8, 8)]
    assert tiny(lite_residual={"expand": 1}) == whole


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_branches_of_the_tables_are_as_wide_as_the_papers(architecture):
    spec = add_branches(from_table(architecture, resolution=224, classes=10), {"lite_residual": True})
    assert all(layer.option("expand") is None for layer in spec.layers if layer.branch)


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        (
            {"lite_residual": {"expand": 0}},
            "expected expand of lite residuals as a number above 0, got 0; 0.5 halves their width",
        ),
        (
            {"adapter": True},
            "expected arguments of the network or kinds of branches, lite_residual, lora, got 'adapter'",
        ),
        ({"lora": {"size": 3}}, "expected settings of lora from rank, alpha, wide, got 'size'"),
        ({"lora": 0}, "expected the rank of LoRA as a whole number of 1 or more, got 0; 4 is common"),
        ({"lora": {"rank": True}}, "expected the rank of LoRA as a whole number of 1 or more, got True; 4 is common"),
        (
            {"lora": "head"},
            "expected lora as True, False, names of places, its rank, or a mapping of places and settings, got 'head'",
        ),
        (
            {"lite_residual": 3},
            "expected lite_residual as True, False, names of places, or a mapping of places and settings, got 3",
        ),
        (
            {"lite_residual": {"weight_standardization": True}},
            "expected weight_standardization of lite residuals with final_norm, got it alone: without the norm a "
            "kernel starts at zero, which has no deviation; set both, or neither",
        ),
        (
            {"lora": ["stem"]},
            "the network has no LoRA branches at 'stem'; its places are block_0, block_1, block_2, block_3, head",
        ),
    ],
    ids=str,
)
def test_refused_choices(branches, message):
    with pytest.raises(InputError) as error:
        tiny(**branches)
    assert str(error.value) == message


def test_a_network_without_room_is_told():
    spec = NetworkSpec("n", (64, 64, 3), (LayerSpec("stem", "convolution", ("image",), (32, 32, 8), "stem"),))
    with pytest.raises(InputError, match="the network has no place for LoRA branches; leave out lora"):
        add_branches(spec, {"lora": True})


@dataclasses.dataclass
class Variable:
    path: str
    shape: tuple


def test_what_the_schemes_train():
    spec = tiny(lora=1, lite_residual=["block_2"])
    network = [Variable(variable.path, variable.shape) for variable in spec.variables]
    paths = {
        name: {v.path for v in apply_scheme(network, get_scheme(name)).variables} for name in ("lora", "lora-b", "last")
    }
    lora = {v.path for v in spec.variables if v.branch == "lora"}
    biases = {v.path for v in spec.variables if v.role in ("shift", "repeated")}
    assert paths["lora"] == paths["last"] | lora
    assert paths["lora-b"] == paths["last"] | lora | biases
    one = restrict(get_scheme("lora-b"), branches=["head"], biases=["block_0"])
    assert trained_by(one, spec.variables) == paths["last"] | {
        *(path for path in lora if path.startswith("head")),
        *(path for path in biases if path.startswith("block_0")),
        *(path for path in biases if "_lite_residual/" in path),
    }
    with pytest.raises(InputError, match="scheme lora trains lora branches and this network has none; build it with"):
        apply_scheme([Variable(v.path, v.shape) for v in tiny().variables], get_scheme("lora"))


@pytest.mark.parametrize(
    ("scheme", "places", "message"),
    [
        (
            "tinytl-b",
            {"branches": ("head",)},
            "scheme tinytl-b trains no branches to choose from; leave ",
        ),
        ("lora", {"lite_residuals": ("head",)}, "scheme lora trains no lite residuals to choose from; leave lite_"),
        (
            "tinytl-l",
            {"branches": ("block_1",), "lite_residuals": ("block_1",)},
            "expected branches or lite_residuals, which name the same places, got ('block_1',) and ('block_1',); ",
        ),
    ],
)
def test_places_of_branches_need_a_scheme_that_has_them(scheme, places, message):
    with pytest.raises(InputError) as error:
        restrict(get_scheme(scheme), **places)
    assert str(error.value).startswith(message)


def test_the_account_of_lora():
    spec = tiny(lora={"places": ["head"], "rank": 2})
    height, width, channels = spec.shape("head")
    inputs = spec.shape(spec.layer("head").inputs[0])
    ops = [op for op in list_ops(spec) if op.layer.branch]
    middle = height * width * 2
    assert [(op.inputs, op.outputs) for op in ops] == [
        (height * width * inputs[-1], middle),
        (middle, height * width * channels),
    ]
    account, last = (account_of(spec, name, batch_size=1) for name in ("lora", "last"))
    assert account.trained_parameters - last.trained_parameters == inputs[-1] * 2 + 2 * channels
    # What the two products multiply, in float32, and a bit for each element that a ReLU after them needs.
    kept = 4 * (ops[0].inputs + middle) + height * width * channels // 8
    assert account.stored_bytes - last.stored_bytes >= kept
