import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema_fb

from tests.export.passes.graphs import results, single_graph
from tinytl_tf.export.passes.quantize_kernels import quantize_kernels
from tinytl_tf.export.passes.transpose_kernels import transpose_kernels
from tinytl_tf.tflite.model import Model

RNG = np.random.default_rng(0)
VALID, SAME = schema_fb.Padding.VALID, schema_fb.Padding.SAME
STRIDES = {"strideH": 1, "strideW": 1}
FILTERS, CHANNELS = 48, 32
POINTWISE = RNG.normal(size=(FILTERS, 1, 1, CHANNELS)).astype(np.float32)
DEPTHWISE = RNG.normal(size=(1, 3, 5, CHANNELS * 2)).astype(np.float32)
IMAGE = RNG.normal(size=(1, 4, 6, CHANNELS)).astype(np.float32)


def pointwise(graph, x, kernel):
    filters = kernel.shape[0]
    shape = [*graph.shape_of(x)[:3], filters]
    zeros = graph.constant(np.zeros(filters, np.float32))
    return graph.apply("CONV_2D", x, graph.constant(kernel), zeros, shape=shape, padding=VALID, **STRIDES)


def depthwise(graph, x, kernel):
    zeros = graph.constant(np.zeros(kernel.shape[-1], np.float32))
    return graph.apply(
        "DEPTHWISE_CONV_2D", x, graph.constant(kernel), zeros, padding=SAME, depthMultiplier=1, **STRIDES
    )


def there_and_back(graph, x):
    forward = pointwise(graph, x, POINTWISE)
    return {"y": pointwise(graph, forward, POINTWISE.transpose(3, 1, 2, 0)), "forward": graph.apply("NEG", forward)}


def dense_there_and_back(graph, x):
    matrix = POINTWISE[:, 0, 0]
    wide = graph.apply(
        "FULLY_CONNECTED", x, graph.constant(matrix), -1, shape=[*IMAGE.shape[:3], FILTERS], keepNumDims=True
    )
    back = graph.constant(np.ascontiguousarray(matrix.T))
    y = graph.apply("FULLY_CONNECTED", wide, back, -1, shape=IMAGE.shape, keepNumDims=True)
    return {"y": y, "forward": graph.apply("NEG", wide)}


def wide_there_and_back(graph, x):
    wide = graph.apply("CONCATENATION", x, x, shape=[*IMAGE.shape[:3], 2 * CHANNELS], axis=3)
    return {"y": depthwise(graph, depthwise(graph, wide, DEPTHWISE), DEPTHWISE[:, ::-1, ::-1])}


def file(build):
    builder, graph = single_graph()
    x = graph.tensor(IMAGE.shape)
    builder.signature("train", graph, {"x": x}, build(graph, x))
    before, after = builder.model(), builder.model()
    transpose_kernels(after)
    return before, Model.from_bytes(after.to_bytes())


def names(model):
    return [op.name for op in model.graphs[0].operators]


def outputs(model, xnnpack):
    first, second = results(model, [("train", {"x": IMAGE})] * 2, xnnpack=xnnpack)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    return first


@pytest.mark.parametrize(
    ("build", "operator", "count", "kernel"),
    [
        (there_and_back, "TRANSPOSE", 1, POINTWISE),
        (dense_there_and_back, "TRANSPOSE", 1, POINTWISE),
        (wide_there_and_back, "REVERSE_V2", 2, DEPTHWISE),
    ],
)
def test_a_kernel_is_stored_once(build, operator, count, kernel):
    before, after = file(build)
    assert names(before).count(operator) == 0
    assert names(after).count(operator) == count
    biases = before.constant_bytes - 2 * kernel.nbytes
    assert 0 < after.constant_bytes - kernel.nbytes - biases < 50
    assert len(after.to_bytes()) < len(before.to_bytes()) - 0.8 * kernel.nbytes
    for xnnpack in (False, True):
        expected = outputs(before, xnnpack)
        for name, got in outputs(after, xnnpack).items():
            np.testing.assert_allclose(got, expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "operator"), [(there_and_back, "CONV_2D"), (dense_there_and_back, "FULLY_CONNECTED")]
)
def test_int8_is_turned_as_int8_and_computes_with_the_rounded_kernel(build, operator):
    _, turned = file(build)
    model = Model.from_bytes(turned.to_bytes())
    quantize_kernels(model)
    model = Model.from_bytes(model.to_bytes())
    assert names(model) == [operator, "TRANSPOSE", "MUL", operator, "NEG"]
    biases = 4 * (FILTERS + CHANNELS) if operator == "CONV_2D" else 0
    assert POINTWISE.size < model.constant_bytes - biases < POINTWISE.size + 4 * FILTERS + 50
    kernels = [model.graphs[0].tensors[op.inputs[1]] for op in model.graphs[0].operators if op.name == operator]
    assert [(kernel.dtype, kernel.is_constant) for kernel in kernels] == [("int8", True), ("int8", False)]

    scales = np.abs(POINTWISE).max(axis=(1, 2, 3)) / 127
    rounded = np.round(POINTWISE[:, 0, 0] / scales[:, None]) * scales[:, None]
    for xnnpack in (False, True):
        got = outputs(model, xnnpack)
        forward = -got["forward"]
        np.testing.assert_allclose(forward, IMAGE @ rounded.T, atol=0.02 * np.abs(forward).max())
        expected = forward @ rounded
        np.testing.assert_allclose(got["y"], expected, atol=0.02 * np.abs(expected).max())


def test_a_kernel_of_the_signature_infer_is_the_one_that_is_kept():
    builder, train = single_graph()
    infer = builder.graph("infer")
    x = train.tensor(IMAGE.shape)
    wide = train.tensor([*IMAGE.shape[:3], FILTERS])
    # The graph of `train` comes first in the file, and its backward pass first in it.
    back, forward = pointwise(train, wide, POINTWISE.transpose(3, 1, 2, 0)), pointwise(train, x, POINTWISE)
    y = infer.tensor(IMAGE.shape)
    builder.signature("train", train, {"x": x, "wide": wide}, {"back": back, "forward": forward})
    builder.signature("infer", infer, {"x": y}, {"forward": pointwise(infer, y, POINTWISE)})
    model = builder.model()
    transpose_kernels(model)
    model = Model.from_bytes(model.to_bytes())
    assert names(model) == ["TRANSPOSE", "CONV_2D", "CONV_2D"]
    assert [op.name for op in model.graphs[1].operators] == ["CONV_2D"]


def unrelated(graph, x):
    return {"y": pointwise(graph, pointwise(graph, x, POINTWISE), RNG.normal(size=(32, 1, 1, 48)).astype(np.float32))}


def symmetric(graph, x):
    kernel = np.eye(32, dtype=np.float32)[:, None, None]
    return {"y": pointwise(graph, pointwise(graph, x, kernel), kernel)}


def small(graph, x):
    kernel = RNG.normal(size=(8, 1, 1, 32)).astype(np.float32)
    return {"y": pointwise(graph, pointwise(graph, x, kernel), kernel.transpose(3, 1, 2, 0))}


@pytest.mark.parametrize("build", [unrelated, symmetric, small])
def test_what_is_left_alone(build):
    before, after = file(build)
    assert names(after) == names(before)
    for name, got in outputs(after, False).items():
        np.testing.assert_array_equal(got, outputs(before, False)[name])
