"""The tables of blocks, written out block by block."""

import pytest

from tests.tables import TABLES
from tinytl_tf.errors import InputError
from tinytl_tf.networks.architectures import get_architecture
from tinytl_tf.networks.branches import branch_places, kernel_schedule, with_branches
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.spec import check_places

# ProxylessNAS-Mobile as the authors' file lists it, without the empty blocks 3 and 4: number, input channels, output
# channels, expansion, kernel size, stride, shortcut, kernel size of the branch.
PROXYLESS_MOBILE = [
    (0, 32, 16, 1, 3, 1, False, None),
    (1, 16, 32, 3, 5, 2, False, 5),
    (2, 32, 32, 3, 3, 1, True, 5),
    (5, 32, 40, 3, 7, 2, False, 5),
    (6, 40, 40, 3, 3, 1, True, 5),
    (7, 40, 40, 3, 5, 1, True, 5),
    (8, 40, 40, 3, 5, 1, True, 5),
    (9, 40, 80, 6, 7, 2, False, 5),
    (10, 80, 80, 3, 5, 1, True, 5),
    (11, 80, 80, 3, 5, 1, True, 5),
    (12, 80, 80, 3, 5, 1, True, 5),
    (13, 80, 96, 6, 5, 1, False, 5),
    (14, 96, 96, 3, 5, 1, True, 5),
    (15, 96, 96, 3, 5, 1, True, 5),
    (16, 96, 96, 3, 5, 1, True, 5),
    (17, 96, 192, 6, 7, 2, False, 5),
    (18, 192, 192, 6, 7, 1, True, 3),
    (19, 192, 192, 3, 7, 1, True, 3),
    (20, 192, 192, 3, 7, 1, True, 3),
    (21, 192, 320, 6, 7, 1, False, 3),
]


def filters_of(spec, name):
    return spec.layer(name).shape[-1]


def test_blocks_of_proxylessnas_mobile():
    spec = from_table("proxyless_mobile", resolution=224, classes=102)
    spec = with_branches(spec, branch_places(spec))
    assert (filters_of(spec, "stem"), filters_of(spec, "head")) == (32, 1280)
    assert spec.blocks == tuple(f"block_{index}" for index in range(20))
    for block, (_, inputs, filters, expand, kernel_size, strides, shortcut, branch) in zip(
        spec.blocks, PROXYLESS_MOBILE, strict=True
    ):
        place, depthwise = spec.place(block), spec.layer(f"{block}_depthwise")
        assert (spec.shape(place.entry)[-1], depthwise.shape[-1]) == (inputs, expand * inputs)
        assert filters_of(spec, f"{block}_project") == filters
        assert (depthwise.kernel_size, depthwise.strides) == ((kernel_size,) * 2, (strides,) * 2)
        assert (place.shortcut, place.joint) == (shortcut, f"{block}_project")
        its_branch = [layer for layer in spec.layers if layer.name == f"{block}_lite_residual"]
        assert [layer.option("kernel_size") for layer in its_branch] == ([branch] if branch else [])
        assert not any(layer.option("global_pool") for layer in its_branch)


# Published millions of parameters with 1000 classes (TensorFlow's efficientnet/lite), and pixels of a side.
EFFICIENTNET_LITE = {0: (4.652, 224), 1: (5.417, 240), 2: (6.092, 260), 3: (8.197, 280), 4: (13.007, 300)}


@pytest.mark.parametrize("number", EFFICIENTNET_LITE)
def test_efficientnet_lite_is_scaled_as_published(number):
    """Rows against those written out by hand, and the parameters of both by arithmetic."""
    name = f"efficientnet_lite{number}"
    table = get_architecture(name)
    rows = [(row.expand, row.kernel_size, row.filters, row.strides, row.repeats) for row in table.blocks]
    assert rows == TABLES[name]
    parameters, channels = 3 * 9 * 32 + 2 * 32, 32
    for expand, size, filters, _, repeats in TABLES[name]:
        for _ in range(repeats):
            inner = expand * channels
            parameters += (channels * inner + 2 * inner) * (expand > 1) + size**2 * inner + 2 * inner
            parameters += inner * filters + 2 * filters
            channels = filters
    parameters += channels * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    spec = from_table(name, resolution=table.resolution, classes=1000)
    assert sum(variable.size for variable in spec.variables if variable.role != "statistic") == parameters
    assert (round(parameters / 1e6, 3), table.resolution) == EFFICIENTNET_LITE[number]


def test_widths_are_those_of_the_mobilenet_family():
    # torchvision's mobilenet_v2(width_mult=1.4).
    spec = from_table("mobilenet_v2", resolution=64, classes=2, width=1.4)
    assert (filters_of(spec, "stem"), filters_of(spec, "head")) == (48, 1792)
    filters = list(dict.fromkeys(filters_of(spec, f"{block}_project") for block in spec.blocks))
    assert filters == [24, 32, 48, 88, 136, 224, 448]
    assert filters_of(from_table("mobilenet_v2", resolution=64, classes=2, width=0.5), "head") == 1280


def test_kernel_schedule_ends_in_global_pooling():
    assert kernel_schedule([2] * 8) == [(5, False)] * 4 + [(3, False), (1, False)] + [(1, True)] * 2


def test_unknown_name():
    with pytest.raises(InputError) as error:
        get_architecture("resnet")
    assert str(error.value) == (
        "unknown backbone 'resnet'; choose one of mobilenet_v2, efficientnet_lite0, efficientnet_lite1, "
        "efficientnet_lite2, efficientnet_lite3, efficientnet_lite4, proxyless_mobile, mcunet_5fps, "
        "proxyless_w0.3, mbv2_w0.35"
    )


def test_places_go_from_the_input_to_the_output():
    spec = from_table("mobilenet_v2", resolution=64, classes=2)
    assert spec.places == ("stem", *(f"block_{index}" for index in range(17)), "head")
    assert branch_places(spec) == tuple(f"block_{index}" for index in range(1, 17))


def test_a_place_that_the_network_lacks_is_named():
    check_places("biases", ("head", "stem"), ("stem", "head"))
    with pytest.raises(InputError) as error:
        check_places("biases", ("head", "neck"), ("stem", "head"))
    assert str(error.value) == "the network has no biases at 'neck'; its places are stem, head"
