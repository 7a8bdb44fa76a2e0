import collections

import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import TensorType

from tests.export.passes.graphs import results, single_graph
from tinytl_tf.export.passes.quantize_casts import quantize_casts
from tinytl_tf.profiles import PROFILES
from tinytl_tf.tflite.edit import add_operator_code
from tinytl_tf.tflite.model import Model

WHOLE = np.arange(256, dtype=np.float32)


def cast(graph, source, dtype):
    return graph.apply("CAST", source, dtype=dtype, outDataType=getattr(TensorType, dtype.upper()))


def after_pass(builder, graph, inputs, outputs):
    builder.signature("train", graph, inputs, outputs)
    before, after = builder.model(), builder.model()
    quantize_casts(after)
    return before, Model.from_bytes(after.to_bytes())


def names(model):
    return [op.name for op in model.graphs[0].operators]


@pytest.mark.parametrize("xnnpack", [False, True])
@pytest.mark.parametrize("calls", [1, 3])
def test_bytes_come_back_as_they_were(xnnpack, calls):
    builder, graph = single_graph()
    x = graph.tensor([256])
    kept = cast(graph, graph.apply("ABS", x), "uint8")
    back = [graph.apply("NEG", cast(graph, kept, "float32")) for _ in range(2)]
    before, after = after_pass(builder, graph, {"x": x}, {"first": back[0], "second": back[1]})
    assert names(before) == ["ABS", "CAST", "CAST", "NEG", "CAST", "NEG"]
    assert names(after) == ["ABS", "QUANTIZE", "DEQUANTIZE", "NEG", "DEQUANTIZE", "NEG"]
    inputs = [("train", {"x": np.random.default_rng(i).permutation(WHOLE)}) for i in range(calls)]
    for expected, got in zip(*(results(model, inputs, xnnpack=xnnpack) for model in (before, after)), strict=True):
        for name in ("first", "second"):
            np.testing.assert_array_equal(got[name], expected[name])
    np.testing.assert_array_equal(got["first"], -inputs[-1][1]["x"])


def test_pixels_and_labels_are_left_alone():
    builder, graph = single_graph()
    pixels, numbers = graph.tensor([256], "uint8"), graph.tensor([256])
    outputs = {"image": cast(graph, pixels, "float32"), "label": cast(graph, numbers, "int32")}
    before, after = after_pass(builder, graph, {"pixels": pixels, "numbers": numbers}, outputs)
    assert after.to_bytes() == before.to_bytes()


def tied(graph, kept, gradient, bound=0.0):
    """The bytes `kept`, tied to a gradient of shape [1, 1] as `ops.masks` does it."""
    least = graph.apply("MINIMUM", graph.apply("ABS", gradient), graph.constant(np.full([1, 1], bound, np.float32)))
    return graph.apply("BITWISE_XOR", kept, cast(graph, least, "uint8"), dtype="uint8")


@pytest.mark.parametrize("xnnpack", [False, True])
def test_bytes_that_wait_come_back_as_they_were(xnnpack):
    builder, graph = single_graph()
    x, gradient = graph.tensor([2, 128]), graph.tensor([1, 1])
    y = cast(graph, tied(graph, cast(graph, x, "uint8"), gradient), "float32")
    before, after = after_pass(builder, graph, {"x": x, "gradient": gradient}, {"y": y})
    assert names(before) == ["CAST", "ABS", "MINIMUM", "CAST", "BITWISE_XOR", "CAST"]
    assert names(after) == ["QUANTIZE", "ABS", "MINIMUM", "QUANTIZE", "ADD", "DEQUANTIZE"]
    inputs = [("train", {"x": WHOLE.reshape(2, 128), "gradient": np.float32([[-3]])})]
    for model in (before, after):
        np.testing.assert_array_equal(results(model, inputs, xnnpack=xnnpack)[0]["y"], WHOLE.reshape(2, 128))


def test_bytes_are_not_added_to_others_than_zero():
    builder, graph = single_graph()
    pixels, x, gradient = graph.tensor([256], "uint8"), graph.tensor([256]), graph.tensor([1, 1])
    kept = cast(graph, x, "uint8")
    outputs = {
        "pixels": graph.apply("BITWISE_XOR", kept, pixels, dtype="uint8"),
        "bytes": graph.apply("BITWISE_XOR", kept, cast(graph, x, "uint8"), dtype="uint8"),
        "one": tied(graph, kept, gradient, bound=1.0),
    }
    _, after = after_pass(builder, graph, {"pixels": pixels, "x": x, "gradient": gradient}, outputs)
    assert names(after).count("BITWISE_XOR") == 3
    assert "ADD" not in names(after)


def test_every_mask_of_an_exported_network_is_packed_tied_and_unpacked(converted):
    model = Model.from_bytes(converted("tinytl-lb", "sgd", 8))
    before = collections.Counter(op.name for _, op in model.operators())
    quantize_casts(model)
    after = collections.Counter()
    for graph in Model(model.schema).graphs:
        for op in graph.operators:
            if op.inputs and op.outputs:
                after[op.name, graph.tensors[op.inputs[0]].dtype, graph.tensors[op.outputs[0]].dtype] += 1
    masks = before["BITWISE_XOR"]
    assert masks >= 8  # activations of the tiny network
    assert after["QUANTIZE", "float32", "uint8"] == 2 * masks
    assert after["ADD", "uint8", "uint8"] == after["DEQUANTIZE", "uint8", "float32"] == masks
    assert before["CAST"] - sum(count for (name, *_), count in after.items() if name == "CAST") == 3 * masks
    assert not any(name == "BITWISE_XOR" or (name, target) == ("CAST", "uint8") for name, _, target in after)


@pytest.mark.thorough
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_with_a_delegate_masks_are_floats_only_after_the_loss(converted, profile):
    model = Model.from_bytes(converted("tinytl-b", "sgd", 8, profile.name))
    quantize_casts(model)
    model = Model(model.schema)
    body = next(g for g in model.graphs_of("train") if any(op.name == "SOFTMAX" for op in g.operators))
    after_loss = {i for op in body.operators if op.name == "SOFTMAX" for i in op.outputs}
    waiting = []
    for op in body.operators:
        if after_loss.intersection(op.inputs):
            after_loss.update(op.outputs)
        if op.name == "DEQUANTIZE":
            waiting.append(op.outputs[0] in after_loss)
    assert len(waiting) >= 8
    assert set(waiting) == {profile.xnnpack}


def test_operator_codes_are_added_once():
    builder, _ = single_graph()
    schema = builder.schema
    first = add_operator_code(schema, "QUANTIZE")
    assert add_operator_code(schema, "ADD") != first
    assert add_operator_code(schema, "QUANTIZE", version=3) not in (first, first + 1)
    assert add_operator_code(schema, "QUANTIZE") == first
    assert len(schema.operatorCodes) == 3
    # Codes above 127 do not fit the old field, which says 127 then.
    assert schema.operatorCodes[add_operator_code(schema, "READ_VARIABLE")].deprecatedBuiltinCode == 127
