"""Each rule for files that are meant for the Edge TPU's compiler, on a file made to break it."""

import re

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edge_tpu import RULES, lint
from tinytl_tf.tflite.edit import add_buffer, add_tensor, new_operator
from tinytl_tf.tflite.model import Model


def quantized(subgraph, index, scales=(0.1,)):
    parameters = schema_fb.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = np.float32(scales), np.zeros(len(scales), np.int64)
    subgraph.tensors[index].quantization = parameters


def clean():
    """One convolution of int8, as a converter for the accelerator's runtime writes it."""
    schema, subgraph, code = schema_fb.ModelT(), schema_fb.SubGraphT(), "main"
    schema.version, schema.operatorCodes, schema.buffers = 3, [], [schema_fb.BufferT()]
    schema.subgraphs, subgraph.tensors, subgraph.name = [subgraph], [], code
    image = add_tensor(subgraph, (1, 8, 8, 4), "int8")
    kernel = add_tensor(subgraph, (4, 3, 3, 4), "int8", add_buffer(schema, np.ones((4, 3, 3, 4), np.int8)))
    bias = add_tensor(subgraph, (4,), "int32", add_buffer(schema, np.zeros(4, np.int32)))
    features = add_tensor(subgraph, (1, 8, 8, 4), "int8")
    for index, scales in ((image, (0.1,)), (kernel, (0.1,) * 4), (bias, (0.01,) * 4), (features, (0.1,))):
        quantized(subgraph, index, scales)
    options = schema_fb.Conv2DOptionsT()
    options.strideH = options.strideW = 1
    subgraph.operators = [new_operator(schema, "CONV_2D", [image, kernel, bias], [features], options, version=3)]
    subgraph.inputs, subgraph.outputs = [image], [features]
    model = Model(schema)
    model.set_metadata("min_runtime_version", b"1.14.0\0\0")
    return rebuilt(model)


def rebuilt(model):
    return Model.from_bytes(model.to_bytes())


def append(model, name, version=1, options=None, shape=(1, 8, 8, 4), dtype="int8"):
    """Puts an operator behind the last one."""
    subgraph = model.schema.subgraphs[0]
    last = subgraph.outputs[0]
    result = add_tensor(subgraph, shape, dtype)
    quantized(subgraph, result)
    subgraph.operators.append(new_operator(model.schema, name, [last], [result], options, version))
    subgraph.outputs = [result]


def a_newer_runtime(model):
    model.set_metadata("min_runtime_version", b"2.9.0")


def no_runtime(model):
    model.set_metadata("min_runtime_version", b"")


def two_graphs(model):
    model.schema.subgraphs.append(model.schema.subgraphs[0])


def two_images(model):
    model.schema.subgraphs[0].tensors[0].shape = [2, 8, 8, 4]


def two_results(model):
    model.schema.subgraphs[0].tensors[3].shape = [2, 8, 8, 4]


def an_unknown_size(model):
    model.schema.subgraphs[0].tensors[0].shapeSignature = [1, -1, 8, 4]


def floats(model):
    append(model, "DEQUANTIZE", dtype="float32")


def wide_integers(model):
    append(model, "CAST", dtype="int16")


def a_variable(model):
    append(model, "VAR_HANDLE", options=schema_fb.VarHandleOptionsT(), dtype="resource", shape=(1,))


def a_variable_tensor(model):
    model.schema.subgraphs[0].tensors[0].isVariable = True


def a_custom_operator(model):
    append(model, "CUSTOM")
    model.schema.operatorCodes[-1].customCode = "Mine"


def a_new_operator(model):
    append(model, "VAR_HANDLE", options=schema_fb.VarHandleOptionsT())


def a_new_convolution(model):
    model.schema.operatorCodes[0].version = 6


def append_dense(model, version, scales=(0.1,)):
    append(model, "FULLY_CONNECTED", version, schema_fb.FullyConnectedOptionsT(), shape=(1, 4))
    subgraph, schema = model.schema.subgraphs[0], model.schema
    kernel = add_tensor(subgraph, (4, 256), "int8", add_buffer(schema, np.ones((4, 256), np.int8)))
    quantized(subgraph, kernel, scales)
    subgraph.operators[-1].inputs = [*subgraph.operators[-1].inputs, kernel]


def a_dense_kernel_with_scales(model):
    append_dense(model, 4, (0.1, 0.2, 0.3, 0.4))


def a_transposition(model):
    append(model, "TRANSPOSE", 2)


def a_mean(model):
    append(model, "MEAN", 2, schema_fb.ReducerOptionsT(), shape=(1, 4))


def an_enlargement(model, half=True, size=16):
    options = schema_fb.ResizeBilinearOptionsT()
    options.halfPixelCenters = half
    append(model, "RESIZE_BILINEAR", 3, options, shape=(1, size, size, 4))


def test_a_file_that_fulfills_all_rules_has_no_findings():
    assert lint(clean()) == []


@pytest.mark.parametrize(
    ("damage", "rule", "words"),
    [
        (a_newer_runtime, "runtime", "expected a file for runtimes up to 2.5.0, got 2.9.0"),
        (no_runtime, "runtime", "got ''"),
        (two_graphs, "subgraphs", "expected one graph, got 2"),
        (two_images, "batch", r"got \[2, 8, 8, 4\]"),
        (two_results, "batch", r"got \[2, 8, 8, 4\]"),
        (an_unknown_size, "shapes", r"got \[1, -1, 8, 4\]"),
        (floats, "types", "got float32"),
        (wide_integers, "types", "got int16"),
        (a_variable, "variables", "expected no variables"),
        (a_variable_tensor, "variables", "expected no variables"),
        (a_custom_operator, "custom", "expected builtin operators, got Mine"),
        (a_new_operator, "codes", "VAR_HANDLE, number 142"),
        (a_new_convolution, "versions", "got CONV_2D@6"),
        (a_dense_kernel_with_scales, "dense", "expected one scale .* got 4"),
        (a_transposition, "mapped", "got TRANSPOSE@2; it and all after it may run on the CPU"),
        (a_mean, "logged", "got MEAN@2"),
    ],
)
def test_each_rule_finds_what_breaks_it(damage, rule, words):
    model = clean()
    damage(model)
    found = [finding for finding in lint(rebuilt(model)) if finding.rule == rule]
    assert found, lint(rebuilt(model))
    assert re.search(words, found[0].text), found[0].text
    assert found[0].refuses is (rule not in ("mapped", "logged"))


def test_every_rule_has_a_test():
    cases = test_each_rule_finds_what_breaks_it.pytestmark[0].args[1]
    tested = {rule for _, rule, _ in cases}
    assert tested == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("name", "version"), [("CONV_2D", 6), ("TRANSPOSE_CONV", 4), ("EXP", 2), ("QUANTIZE", 3), ("FULLY_CONNECTED", 9)]
)
def test_versions_that_were_refused_and_those_before_them(name, version):
    for given, is_found in ((version, True), (version + 1, True), (version - 1, False)):
        model = clean()
        append_dense(model, given) if name == "FULLY_CONNECTED" else append(model, name, given)
        found = [finding.text for finding in lint(rebuilt(model)) if finding.rule == "versions"]
        assert bool(found) is is_found, (given, found)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("CONV_2D", 3),
        ("DEPTHWISE_CONV_2D", 3),
        ("ADD", 2),
        ("AVERAGE_POOL_2D", 2),
        ("PAD", 2),
        ("SPLIT", 2),
        ("CONCATENATION", 2),
        ("FULLY_CONNECTED", 4),
        ("SOFTMAX", 2),
    ],
)
def test_versions_that_were_seen_to_run_on_the_accelerator_and_those_after_them(name, version):
    for given, is_found in ((version, False), (version + 1, True)):
        model = clean()
        append_dense(model, given) if name == "FULLY_CONNECTED" else append(model, name, given)
        found = [finding.text for finding in lint(rebuilt(model)) if finding.rule == "mapped"]
        assert bool(found) is is_found, (given, found)


@pytest.mark.parametrize(
    ("version", "is_found"), [(b"1.5.0", False), (b"2.5.0", False), (b"2.5.1", True), (b"2.6.0", True), (b"3.0", True)]
)
def test_the_newest_runtime_that_the_compiler_knows(version, is_found):
    model = clean()
    model.set_metadata("min_runtime_version", version)
    assert any(finding.rule == "runtime" for finding in lint(rebuilt(model))) is is_found


def test_the_first_operator_that_the_compiler_does_not_know():
    assert schema_fb.BuiltinOperator.CONV_3D_TRANSPOSE == 141
    model = clean()
    append(model, "CONV_3D_TRANSPOSE")
    assert not any(finding.rule == "codes" for finding in lint(rebuilt(model)))


def test_an_enlargement_by_two_runs_on_the_accelerator_and_others_do_not():
    for half, size, is_found in ((True, 16, False), (False, 16, True), (True, 24, True)):
        model = clean()
        an_enlargement(model, half, size)
        assert any(finding.rule == "mapped" for finding in lint(rebuilt(model))) is is_found, (half, size)
