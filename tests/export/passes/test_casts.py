import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import TensorType

from tests.export.passes.graphs import results, single_graph
from tinytl_tf.export.passes.casts import quantize_casts
from tinytl_tf.export.passes.edit import add_operator_code
from tinytl_tf.flatbuffer import Model

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


def test_each_graph_of_an_exported_network_keeps_its_casts_in_pairs(converted):
    model = Model.from_bytes(converted("tinytl-lb", "sgd", 8))
    casts = [op for _, op in model.operators() if op.name == "CAST"]
    quantize_casts(model)
    counts = dict.fromkeys(("CAST", "QUANTIZE", "DEQUANTIZE"), 0)
    for graph in Model(model.schema).graphs:
        for op in graph.operators:
            if op.name in counts:
                counts[op.name] += 1
                source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
                expected = {"QUANTIZE": ("float32", "uint8"), "DEQUANTIZE": ("uint8", "float32")}
                assert expected.get(op.name, (source.dtype, target.dtype)) == (source.dtype, target.dtype)
                assert op.name != "CAST" or (source.dtype, target.dtype) != ("float32", "uint8")
    assert sum(counts.values()) == len(casts)
    assert counts["QUANTIZE"] >= 8  # activations of the tiny network
    assert counts["DEQUANTIZE"] >= counts["QUANTIZE"]


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
