"""Activations, gates and norms in LiteRT: their numbers, and what the file itself keeps until backward.

A converter merges equal computations of forward and backward, so that a file may keep more than TensorFlow's graph.
"""

import pytest

from tests.litert import describe
from tests.ops.test_litert import Case, convert_and_compare
from tinytl_tf import ops
from tinytl_tf.tflite.model import Model

IMAGE, TOKENS, ROWS = (2, 8, 8, 16), (2, 6, 16), (4, 16)
FLOATS = ("float32", IMAGE)
BYTES = ("uint8", IMAGE)
GATES = (2, 1, 1, 16)


def stored(op):
    """The op as an exported file has it; a mask takes a byte and no constant here."""

    def with_masks(*arguments):
        with ops.mask_storage("bytes"):
            return op(*arguments)

    return with_masks


def kept(model):
    """Type and shape of each tensor that is made without the output's gradient and that backward reads.

    Whatever depends on the input but not on the gradient can be computed before the gradient exists, and the runtime
    or a pass may do so.
    """
    model = Model.from_bytes(model)
    inputs = model.signature("run").inputs
    graph = model.graphs[model.signature("run").graph]
    forward, backward, found = {inputs["x"].index}, {inputs["dy"].index}, set()
    for op in graph.operators:
        if backward.intersection(op.inputs):
            backward.update(op.outputs)
            found.update(forward.intersection(op.inputs))
        elif forward.intersection(op.inputs):
            forward.update(op.outputs)
    return sorted((graph.tensors[i].dtype, tuple(graph.tensors[i].shape)) for i in found)


def gated(activation):
    return Case(stored(lambda x, g: ops.gate(x, g, activation)), IMAGE, variables=[GATES])


def squeezed(activation):
    """Both uses of an activation: the squeeze and the product."""

    def op(x):
        return ops.gate(x, ops.sigmoid(ops.global_average_pool(activation(x), keepdims=True)), activation)

    return Case(stored(op), IMAGE)


CASES = {
    "leaky_relu": (Case(stored(ops.leaky_relu), IMAGE), [BYTES]),
    "hard_sigmoid": (Case(stored(ops.hard_sigmoid), IMAGE), [BYTES]),
    "sigmoid": (Case(stored(ops.sigmoid), IMAGE), [FLOATS]),
    "tanh": (Case(stored(ops.tanh), IMAGE), [FLOATS]),
    "elu": (Case(stored(ops.elu), IMAGE), [FLOATS]),
    "hard_swish": (Case(stored(ops.hard_swish), IMAGE), [FLOATS]),
    "silu": (Case(stored(ops.silu), IMAGE), [FLOATS]),
    "gelu": (Case(stored(ops.gelu), IMAGE), [FLOATS]),
    "gelu_tanh": (Case(stored(ops.gelu_tanh), TOKENS), [("float32", TOKENS)]),
    "gate": (gated(None), [FLOATS]),
    "gate_silu": (gated(ops.silu), [FLOATS]),
    "gate_relu6": (gated(ops.relu6), [FLOATS]),
    "gate_hard_swish": (gated(ops.hard_swish), [FLOATS]),
    "squeezed_silu": (squeezed(ops.silu), [("float32", GATES), ("float32", GATES), FLOATS]),
    "squeezed_hard_swish": (squeezed(ops.hard_swish), [("float32", GATES), ("float32", GATES), FLOATS]),
    "layer_norm_2": (Case(ops.layer_norm, ROWS), [("float32", (4, 1)), ("float32", ROWS)]),
    "layer_norm_3": (
        Case(ops.layer_norm, TOKENS, variables=[(16,), (16,)]),
        [("float32", (2, 6, 1)), ("float32", TOKENS)],
    ),
    "layer_norm_4": (
        Case(ops.layer_norm, IMAGE, variables=[(16,), (16,)]),
        [("float32", (2, 8, 8, 1)), FLOATS],
    ),
    "group_norm_2": (
        Case(lambda x, *v: ops.group_norm(x, *v, groups=4), ROWS, variables=[(16,), (16,)]),
        [("float32", ROWS), ("float32", ROWS)],
    ),
    "group_norm_3": (
        Case(lambda x, *v: ops.group_norm(x, *v, groups=16), TOKENS, variables=[(16,), (16,)]),
        [("float32", (2, 1, 16)), ("float32", TOKENS)],
    ),
    "affine_2": (Case(ops.affine, ROWS, variables=[(16,), (16,)]), [("float32", ROWS)]),
    "affine_3": (Case(ops.affine, TOKENS, variables=[(16,), (16,)]), [("float32", TOKENS)]),
    "standardize": (
        Case(ops.standardize, (3, 3, 4, 8)),
        [("float32", (1, 1, 1, 8)), ("float32", (1, 1, 1, 8)), ("float32", (3, 3, 4, 8))],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_numbers_and_what_the_file_keeps(name):
    case, expected = CASES[name]
    model = convert_and_compare(case)
    assert kept(model) == sorted(expected)
    if name == "gate_relu6":  # Its mask is made and read in backward, so that it stays what XNNPACK computes.
        assert not {"CAST", "GREATER", "LESS", "LOGICAL_AND"}.intersection(describe(model).operators)
