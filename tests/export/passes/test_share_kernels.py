import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema_fb
from ai_edge_litert.interpreter import Interpreter

from tests import tiny_network
from tests.export.passes.graphs import results, single_graph
from tinytl_tf.device import TrainableModel
from tinytl_tf.export.build import with_int8_kernels
from tinytl_tf.export.parity import check_quantized
from tinytl_tf.export.passes import quantize_kernels, run_passes, share_kernels
from tinytl_tf.tflite.liveness import late_readers
from tinytl_tf.tflite.model import Model

RNG = np.random.default_rng(0)
FILTERS, CHANNELS = 256, 160
MATRIX = RNG.normal(size=(FILTERS, CHANNELS)).astype(np.float32)
DELEGATES = pytest.mark.parametrize("xnnpack", [False, True])


def convolve(graph, x, matrix, bias=0.0, **options):
    filters, *_, channels = graph.shape_of(matrix)
    biases = graph.constant(np.full(filters, bias, np.float32))
    graph.plain.tensors[matrix].shape = [filters, 1, 1, channels]
    options = {"padding": schema_fb.Padding.VALID, "strideH": 1, "strideW": 1, **options}
    stride = options["strideH"]
    _, height, width, _ = graph.shape_of(x)
    return graph.apply("CONV_2D", x, matrix, biases, shape=[1, height // stride, width // stride, filters], **options)


@pytest.fixture(autouse=True)
def small_kernels(monkeypatch):
    monkeypatch.setattr(share_kernels, "SMALLEST", 256)


def multiply(graph, x, matrix, **options):
    shape = [*graph.shape_of(x)[:-1], graph.shape_of(matrix)[0]]
    return graph.apply("FULLY_CONNECTED", x, matrix, -1, shape=shape, keepNumDims=True, **options)


def file(layer, shape, back=MATRIX.T, **options):
    """There, back and there again: an operator that XNNPACK refuses would cut its part in two."""
    builder, graph = single_graph()
    x, matrix = graph.tensor(shape), graph.constant(MATRIX)
    dx = layer(graph, layer(graph, x, matrix), graph.constant(np.ascontiguousarray(back)), **options)
    builder.signature("train", graph, {"x": x}, {"dx": dx, "y": layer(graph, dx, matrix)})
    before, after = builder.model(), builder.model()
    changed = share_kernels.share_kernels(after)
    assert changed == sum(op.name == "BATCH_MATMUL" for _, op in Model(after.schema).operators())
    return before, Model.from_bytes(after.to_bytes())


def names(model):
    return [op.name for op in model.graphs[0].operators]


PRODUCTS = pytest.mark.parametrize(
    ("layer", "shape", "operators"),
    [
        (convolve, [1, 4, 6, CHANNELS], ["RESHAPE", "BATCH_MATMUL", "RESHAPE"]),
        (convolve, [1, 1, 6, CHANNELS], ["BATCH_MATMUL"]),
        (multiply, [1, 4, 6, CHANNELS], ["RESHAPE", "BATCH_MATMUL", "RESHAPE"]),
        (multiply, [1, 10, CHANNELS], ["BATCH_MATMUL"]),
        (multiply, [3, CHANNELS], ["BATCH_MATMUL"]),
    ],
)


@PRODUCTS
def test_a_kernel_is_stored_once_and_the_results_are_the_same(layer, shape, operators):
    before, after = file(layer, shape)
    forward = names(before)[0]
    assert names(before) == [forward] * 3
    assert names(after) == [forward, *operators, forward]
    assert len(after.to_bytes()) < len(before.to_bytes()) - 0.95 * MATRIX.nbytes
    x = RNG.normal(size=shape).astype(np.float32)
    for xnnpack in (False, True):
        expected, got = (results(model, [("train", {"x": x})], xnnpack=xnnpack)[0] for model in (before, after))
        for name, values in expected.items():
            # Sums of up to 256 products in another order.
            np.testing.assert_allclose(got[name], values, atol=1e-6 * np.abs(values).max())


@PRODUCTS
def test_xnnpack_takes_it_all(layer, shape, operators):
    _, after = file(layer, shape)
    interpreter = Interpreter(model_content=after.to_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    taken = [op["op_name"] for op in interpreter._get_ops_details()]
    assert taken == [*names(after), "DELEGATE"]


@PRODUCTS
def test_int8_stays_shared_and_computes_with_the_rounded_kernel(layer, shape, operators):
    _, model = file(layer, shape)
    assert quantize_kernels.quantize_kernels(model) == 3
    model = Model.from_bytes(model.to_bytes())
    assert not any(late_readers(graph) for graph in model.graphs)
    scales_and_biases = 12 * (FILTERS + CHANNELS)
    assert MATRIX.size < model.constant_bytes < MATRIX.size + scales_and_biases
    scales = np.abs(MATRIX).max(axis=1) / 127
    rounded = np.round(MATRIX / scales[:, None]) * scales[:, None]
    x = RNG.normal(size=shape).astype(np.float32)
    expected = x @ rounded.T @ rounded
    for xnnpack in (False, True):
        got = results(model, [("train", {"x": x})], xnnpack=xnnpack)[0]["dx"]
        assert 0 < np.linalg.norm(got - expected) < 0.02 * np.linalg.norm(expected)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (convolve, {"back": RNG.normal(size=(CHANNELS, FILTERS)).astype(np.float32)}),
        (convolve, {"bias": 0.5}),
        (convolve, {"strideH": 2, "strideW": 2}),
        (convolve, {"fusedActivationFunction": schema_fb.ActivationFunctionType.RELU}),
        (multiply, {"fusedActivationFunction": schema_fb.ActivationFunctionType.RELU}),
    ],
)
def test_what_is_left_alone(layer, options):
    before, after = file(layer, [1, 4, 6, CHANNELS], **options)
    assert after.to_bytes() == before.to_bytes()


def test_a_small_kernel_stays_twice(monkeypatch):
    monkeypatch.setattr(share_kernels, "SMALLEST", MATRIX.nbytes + 1)
    before, after = file(convolve, [1, 4, 6, CHANNELS])
    assert after.to_bytes() == before.to_bytes()


@pytest.fixture
def trained(converted, monkeypatch, tmp_path):
    """The tiny network with copies and with shared kernels, both with all other passes of `balanced`."""
    monkeypatch.setattr(share_kernels, "SMALLEST", 256)
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)
    content = converted("tinytl-lb", "sgd", 8)
    (tmp_path / "copies.tflite").write_bytes(run_passes(content, ["reorder"])[0])
    shared, report = run_passes(content, ["share_kernels", "reorder"])
    assert report["share_kernels"]["changed"] >= 4
    assert report["share_kernels"]["planned_peak_bytes"] > 0
    (tmp_path / "shared.tflite").write_bytes(shared)
    assert len(shared) < len(content)
    return tmp_path


@pytest.mark.thorough
@DELEGATES
def test_a_network_trains_the_same(trained, xnnpack):
    copies, shared = (
        TrainableModel(trained / f"{name}.tflite", xnnpack=xnnpack, trust=True) for name in ("copies", "shared")
    )
    start = copies.state()
    for batch in zip(*tiny_network.photos(5, 8), strict=True):
        losses = [model.train(*batch, 0.01).loss for model in (copies, shared)]
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    update = copies.state() - start
    # Rounding, in five steps that each start where the one before ended.
    assert np.linalg.norm(shared.state() - start - update) < 1e-4 * np.linalg.norm(update)


@pytest.mark.thorough
def test_int8_of_shared_kernels_stays_near_float32(trained):
    int8 = with_int8_kernels((trained / "shared.tflite").read_bytes())
    (trained / "int8.tflite").write_bytes(int8)
    assert ("BATCH_MATMUL", 2) in {(op.name, op.version) for _, op in Model.from_bytes(int8).operators()}
    images, labels = tiny_network.photos(2, 8)
    variables = tiny_network.build("tinytl-lb").trainable_variables
    report = check_quantized(
        trained / "int8.tflite", trained / "shared.tflite", variables, images=images, labels=labels
    )
    assert min(report[name]["cosine"] for name in ("xnnpack", "without_xnnpack")) > 0.97
