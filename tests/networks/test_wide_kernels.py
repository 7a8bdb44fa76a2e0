"""Which kernel of each place is the wide one, and which places are late, in networks of several structures."""

import pytest

from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.late import late_places
from tinytl_tf.networks.spec import LayerSpec, NetworkSpec, VariableSpec
from tinytl_tf.networks.wide_kernels import wide_kernel, wide_kernel_places


def layer(name, inputs, shape, kernel, kind="convolution", **fields):
    variables = (VariableSpec(f"{name}/kernel", kernel, "kernel", "block_0"),)
    return LayerSpec(name, kind, inputs, shape, "block_0", variables, kernel[:2], **fields)


def network(*layers):
    return NetworkSpec("net", (8, 8, 16), layers)


def test_the_expanding_layer_of_an_inverted_block():
    spec = from_table("mobilenet_v2", resolution=96, classes=10)
    assert [wide_kernel(spec, name).path for name in ("stem", "block_0", "block_13", "head")] == [
        "stem/kernel",
        "block_0_project/kernel",  # this block does not expand
        "block_13_expand/kernel",
        "head/kernel",
    ]
    assert wide_kernel_places(spec) == spec.places


def test_the_last_convolution_of_a_bottleneck_and_not_its_projected_shortcut():
    spec = network(
        layer("block_0_shortcut", ("image",), (8, 8, 64), (1, 1, 16, 64)),
        layer("block_0_a", ("image",), (8, 8, 8), (1, 1, 16, 8)),
        layer("block_0_b", ("block_0_a",), (8, 8, 8), (3, 3, 8, 8)),
        layer("block_0_c", ("block_0_b",), (8, 8, 64), (1, 1, 8, 64)),
        LayerSpec("block_0_sum", "add", ("block_0_c", "block_0_shortcut"), (8, 8, 64), "block_0"),
    )
    assert wide_kernel(spec, "block_0").path == "block_0_c/kernel"


def test_the_first_of_equal_layers():
    spec = network(
        layer("block_0_a", ("image",), (8, 8, 16), (3, 3, 16, 16)),
        layer("block_0_b", ("block_0_a",), (8, 8, 16), (3, 3, 16, 16)),
    )
    assert wide_kernel(spec, "block_0").path == "block_0_a/kernel"


def test_no_depthwise_or_grouped_kernel():
    spec = network(
        layer("block_0_a", ("image",), (8, 8, 16), (3, 3, 16, 1), "depthwise", groups=16),
        layer("block_0_b", ("block_0_a",), (8, 8, 64), (3, 3, 4, 64), groups=4),
    )
    assert wide_kernel(spec, "block_0") is None
    assert wide_kernel_places(spec) == ()


@pytest.mark.parametrize(
    ("name", "first"),
    [("mobilenet_v2", "block_10"), ("efficientnet_lite0", "block_9"), ("mcunet_5fps", "block_8")],
)
def test_late_places_are_the_last_two_fifths_of_the_blocks_and_the_head(name, first):
    spec = from_table(name, resolution=128, classes=10)
    late = late_places(spec)
    assert late == spec.places[spec.places.index(first) :]
