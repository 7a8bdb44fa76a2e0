import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema_fb

from tests.export.passes.graphs import results, single_graph
from tinytl_tf.export.passes.fuse_biases import fuse_biases
from tinytl_tf.tflite.model import Model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1, 4, 5, 8)).astype(np.float32)
B = RNG.normal(size=8).astype(np.float32)
STRIDES = {"strideH": 1, "strideW": 1}
VALID, RELU6 = schema_fb.Padding.VALID, schema_fb.ActivationFunctionType.RELU6


def weights(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def pointwise(graph, x, bias=None, **options):
    bias = graph.constant(np.zeros(8, np.float32)) if bias is None else bias
    return graph.apply("CONV_2D", x, graph.constant(weights(8, 1, 1, 8)), bias, padding=VALID, **STRIDES, **options)


def file(build):
    """A file with an image `x` and a vector `b`; `build(graph, x, b)` gives the results of `train`."""
    builder, graph = single_graph()
    x, b = graph.tensor(X.shape), graph.tensor(B.shape)
    builder.signature("train", graph, {"x": x, "b": b}, build(graph, x, b))
    before, after = builder.model(), builder.model()
    fuse_biases(after)
    return before, Model.from_bytes(after.to_bytes())


def names(model):
    return [op.name for op in model.graphs[0].operators]


def assert_same(before, after):
    calls = [("train", {"x": X, "b": B})]
    for xnnpack in (False, True):
        (expected,), (got,) = (results(model, calls, xnnpack=xnnpack) for model in (before, after))
        for name in expected:
            np.testing.assert_allclose(got[name], expected[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_vector_becomes_the_bias_and_the_activation_goes_along(swapped):
    def build(graph, x, b):
        convolved = pointwise(graph, x)
        # Made by an operator that comes after the convolution, as a slice of a variable may.
        late = graph.apply("NEG", b)
        terms = (late, convolved) if swapped else (convolved, late)
        return {"y": graph.apply("ADD", *terms, shape=X.shape, fusedActivationFunction=RELU6)}

    before, after = file(build)
    assert names(before) == ["CONV_2D", "NEG", "ADD"]
    assert names(after) == ["NEG", "CONV_2D"]
    assert after.graphs[0].operators[1].options.fusedActivationFunction == RELU6
    assert_same(before, after)


def test_depthwise():
    def build(graph, x, b):
        kernel, zeros = graph.constant(weights(1, 1, 1, 8)), graph.constant(np.zeros(8, np.float32))
        convolved = graph.apply("DEPTHWISE_CONV_2D", x, kernel, zeros, padding=VALID, depthMultiplier=1, **STRIDES)
        return {"y": graph.apply("ADD", convolved, b)}

    before, after = file(build)
    assert names(after) == ["DEPTHWISE_CONV_2D"]
    assert_same(before, after)


def read_twice(graph, x, b):
    convolved = pointwise(graph, x)
    return {"sum": graph.apply("ADD", convolved, b), "other": graph.apply("NEG", convolved)}


def a_result(graph, x, b):
    convolved = pointwise(graph, x)
    return {"sum": graph.apply("ADD", convolved, b), "convolved": convolved}


def activated(graph, x, b):
    return {"sum": graph.apply("ADD", pointwise(graph, x, fusedActivationFunction=RELU6), b)}


def biased(graph, x, b):
    return {"sum": graph.apply("ADD", pointwise(graph, x, graph.constant(B + 1)), b)}


def trained_bias(graph, x, b):
    return {"sum": graph.apply("ADD", pointwise(graph, x, b), b)}


def whole_image(graph, x, b):
    return {"sum": graph.apply("ADD", pointwise(graph, x), x)}


def no_convolution(graph, x, b):
    return {"sum": graph.apply("ADD", graph.apply("NEG", x), b)}


@pytest.mark.parametrize(
    "build",
    [read_twice, a_result, activated, biased, trained_bias, whole_image, no_convolution],
    ids=lambda f: f.__name__,
)
def test_what_is_left_alone(build):
    before, after = file(build)
    assert after.to_bytes() == before.to_bytes()
    assert_same(before, after)
