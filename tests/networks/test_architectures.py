"""The tables of blocks, written out block by block."""

import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.networks.architectures import ARCHITECTURES, check_places, get_architecture, kernel_schedule, lay_out

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


def test_blocks_of_proxylessnas_mobile():
    layout = lay_out(ARCHITECTURES["proxyless_mobile"])
    assert (layout.stem_filters, layout.head_filters) == (32, 1280)
    assert [block.name for block in layout.blocks] == [f"block_{index}" for index in range(20)]
    for block, (_, inputs, filters, expand, kernel_size, strides, shortcut, branch) in zip(
        layout.blocks, PROXYLESS_MOBILE, strict=True
    ):
        assert (block.inputs, block.expanded, block.filters) == (inputs, expand * inputs, filters)
        assert (block.kernel_size, block.strides, block.shortcut) == (kernel_size, strides, shortcut)
        assert block.branch == (branch and (branch, False))


def test_widths_are_those_of_the_mobilenet_family():
    # torchvision's mobilenet_v2(width_mult=1.4).
    layout = lay_out(ARCHITECTURES["mobilenet_v2"], 1.4)
    assert (layout.stem_filters, layout.head_filters) == (48, 1792)
    filters = list(dict.fromkeys(block.filters for block in layout.blocks))
    assert filters == [24, 32, 48, 88, 136, 224, 448]
    assert lay_out(ARCHITECTURES["mobilenet_v2"], 0.5).head_filters == 1280


def test_kernel_schedule_ends_in_global_pooling():
    assert kernel_schedule([2] * 8) == [(5, False)] * 4 + [(3, False), (1, False)] + [(1, True)] * 2


def test_unknown_name():
    with pytest.raises(InputError) as error:
        get_architecture("resnet")
    assert str(error.value) == (
        "unknown backbone 'resnet'; choose one of mobilenet_v2, efficientnet_lite0, proxyless_mobile, mcunet_5fps, "
        "proxyless_w0.3, mbv2_w0.35"
    )


def test_places_go_from_the_input_to_the_output():
    layout = lay_out(ARCHITECTURES["mobilenet_v2"])
    assert layout.places == ("stem", *(f"block_{index}" for index in range(17)), "head")
    assert layout.branches == tuple(f"block_{index}" for index in range(1, 17))


def test_a_place_that_the_network_lacks_is_named():
    check_places("biases", ("head", "stem"), ("stem", "head"))
    with pytest.raises(InputError) as error:
        check_places("biases", ("head", "neck"), ("stem", "head"))
    assert str(error.value) == "the network has no biases at 'neck'; its places are stem, head"
