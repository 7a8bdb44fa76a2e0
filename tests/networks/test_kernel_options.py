"""Options of wide kernels: how they are written, and what they change in a description and in the paper's account."""

import pytest

from tests import tiny_network
from tinytl_tf.errors import InputError
from tinytl_tf.memory.paper import account_of
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.networks.kernel_options import (
    KernelOptions,
    first_filters,
    kernel_options,
    read_kernels,
    with_kernel_options,
)
from tinytl_tf.networks.spec import INPUT, LayerSpec, NetworkSpec, VariableSpec


def tiny_spec():
    return from_table(tiny_network.ARCHITECTURE, resolution=64, classes=4)


def test_entries():
    assert read_kernels(["stem", "block_1:1/2", "block_2:8bit", "block_3:1/8:8bit", "head:1:32bit"]) == {
        "stem": KernelOptions(),
        "block_1": KernelOptions(share=0.5),
        "block_2": KernelOptions(kept_bits=8),
        "block_3": KernelOptions(share=0.125, kept_bits=8),
        "head": KernelOptions(),
    }
    assert read_kernels("block_1:1/4") == {"block_1": KernelOptions(share=0.25)}


@pytest.mark.parametrize("entry", ["block_1:1/3", "block_1:", "block_1:8bit:1/4", "block_1:1/4:1/2", "block_1:4bit"])
def test_other_entries_are_refused(entry):
    with pytest.raises(InputError, match=r'^expected a place, a share from 1, 1/2, 1/4, 1/8 .*write "block_14"'):
        read_kernels([entry])


@pytest.mark.parametrize("entries", [True, 4, [1 / 4], [("block_1", 1 / 4)]])
def test_other_types_are_refused(entries):
    with pytest.raises(InputError, match=r'^expected .*kernels.*write "block_14"'):
        read_kernels(entries)


def test_a_place_is_named_once():
    with pytest.raises(InputError, match="got 'block_1' twice"):
        read_kernels(["block_1:1/4", "block_1"])


@pytest.mark.parametrize("options", [{"share": 1 / 3}, {"share": 0}, {"kept_bits": 16}])
def test_options_are_checked(options):
    with pytest.raises(InputError, match=r"^expected .* of a kernel"):
        KernelOptions(**options)


def test_a_share_splits_the_wide_kernel_of_a_place():
    spec = tiny_spec()
    kernels = read_kernels(["block_2:1/4:8bit", "block_3:8bit", "block_1"])
    changed = with_kernel_options(spec, kernels)
    split = changed.layer("block_2_expand")
    assert [(v.path, v.shape, v.role) for v in split.variables[:3]] == [
        ("block_2_expand/kernel", (1, 1, 16, 8), "kernel"),
        ("block_2_expand/kernel_rest", (1, 1, 16, 24), "kernel"),
        ("block_2_expand/norm/gamma", (32,), "scale"),
    ]
    assert (split.option("kernel_share"), split.option("kept_bits")) == (0.25, 8)
    assert changed.layer("block_3_expand").variables == spec.layer("block_3_expand").variables
    assert changed.layer("block_1_expand") == spec.layer("block_1_expand")
    assert kernel_options(changed) == {name: kernels[name] for name in ("block_2", "block_3")}
    assert sum(v.size for v in changed.variables) == sum(v.size for v in spec.variables)


def test_a_place_without_a_wide_kernel_is_refused():
    with pytest.raises(InputError, match="the network has no wide kernel at 'block_9'; its places are stem, block_0"):
        with_kernel_options(tiny_spec(), {"block_9": KernelOptions(0.5)})


def test_a_share_is_a_whole_number_of_channels():
    kernel = VariableSpec("block_0_wide/kernel", (1, 1, 16, 90), "kernel", "block_0")
    layer = LayerSpec("block_0_wide", "convolution", (INPUT,), (8, 8, 90), "block_0", (kernel,), (1, 1))
    spec = NetworkSpec("net", (8, 8, 16), (layer,))
    assert first_filters(90, 1 / 2) == 45
    with pytest.raises(InputError, match=r"block_0_wide, which has 90, got 0\.25; choose one of 1, 1/2$"):
        with_kernel_options(spec, {"block_0": KernelOptions(0.25)})


def test_the_papers_account_by_hand():
    spec = tiny_spec()
    whole = account_of(spec, "sparse-update", batch_size=1)
    share = account_of(
        with_kernel_options(spec, read_kernels(["block_2:1/4", "block_3:1/2"])), "sparse-update", batch_size=1
    )
    # The wide kernels of both late blocks have 16 * 32 values; 3/4 of the one and 1/2 of the other are now frozen.
    frozen = 16 * 32 * 3 // 4 + 16 * 32 // 2
    assert whole.trained_parameters - share.trained_parameters == frozen
    assert whole.parameters_bytes - share.parameters_bytes == frozen * (4 - 1)
    assert whole.gradients_bytes - share.gradients_bytes == frozen * 4
    assert whole.slots_bytes - share.slots_bytes == frozen * 4 * 2
    assert (whole.parameters, whole.stored_bytes) == (share.parameters, share.stored_bytes)
    # The inputs of both kernels are images of 16 x 16 x 16, in one byte in place of four.
    short = account_of(
        with_kernel_options(spec, read_kernels(["block_2:8bit", "block_3:8bit"])), "sparse-update", batch_size=1
    )
    assert whole.stored_bytes - short.stored_bytes == 2 * 16 * 16 * 16 * (4 - 1)
