import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema_fb

from tests.export.passes.graphs import results, single_graph
from tinytl_tf.export.operator_audit import audit
from tinytl_tf.export.passes.quantize_kernels import quantize_kernels
from tinytl_tf.tflite.model import Model

RNG = np.random.default_rng(0)
DELEGATES = pytest.mark.parametrize("xnnpack", [False, True])
VALID, HYBRID = schema_fb.Padding.VALID, 5


def weights(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def convolve(graph, x, kernel):
    """A convolution without padding; `kernel` is a tensor `[filters, height, width, channels]`."""
    filters, height, width, _ = graph.shape_of(kernel)
    _, rows, columns, _ = graph.shape_of(x)
    shape = [1, rows - height + 1, columns - width + 1, filters]
    bias = graph.constant(np.linspace(-1, 1, filters, dtype=np.float32))
    return graph.apply("CONV_2D", x, kernel, bias, shape=shape, padding=VALID, strideH=1, strideW=1)


def quantized(builder):
    """The file before the pass and after it."""
    before, after = builder.model(), builder.model()
    quantize_kernels(after)
    return before, Model.from_bytes(after.to_bytes())


def kernels(model):
    """The kernels of the convolutions of the first graph: tensor, schema's tensor, and content."""
    subgraph = model.schema.subgraphs[0]
    for op in model.graphs[0].operators:
        if op.name == "CONV_2D":
            tensor = model.graphs[0].tensors[op.inputs[1]]
            content = np.frombuffer(bytes(model.schema.buffers[tensor.buffer].data), tensor.dtype)
            yield tensor, subgraph.tensors[tensor.index], content.reshape(tensor.shape)


@DELEGATES
@pytest.mark.parametrize("shape", [(32, 1, 1, 32), (8, 3, 3, 16)])
def test_each_filter_has_its_scale_and_the_error_is_that_of_rounding(shape, xnnpack):
    kernel = weights(*shape) * np.logspace(-2, 1, shape[0], dtype=np.float32)[:, None, None, None]
    kernel[3] = 0
    builder, graph = single_graph()
    x = graph.tensor([1, 6, 5, shape[-1]])
    y = convolve(graph, x, graph.constant(kernel))
    builder.signature("train", graph, {"x": x}, {"y": y})
    before, after = quantized(builder)

    ((tensor, plain, content),) = kernels(after)
    assert tensor.dtype == "int8"
    assert plain.quantization.quantizedDimension == 0
    assert list(plain.quantization.zeroPoint) == [0] * shape[0]
    largest = np.abs(kernel).max(axis=(1, 2, 3))
    scales = np.asarray(plain.quantization.scale)
    np.testing.assert_allclose(scales, np.where(largest == 0, 1, largest / 127), rtol=1e-6)
    np.testing.assert_array_equal(np.abs(content).max(axis=(1, 2, 3)), np.where(largest == 0, 0, 127))
    restored = content * scales[:, None, None, None]
    assert np.all(np.abs(restored - kernel) <= scales[:, None, None, None] * 0.5001)
    assert after.constant_bytes < before.constant_bytes - 2.9 * kernel.size
    assert [count.version for count in audit(after) if count.name == "CONV_2D"] == [HYBRID]

    image = RNG.normal(size=(1, 6, 5, shape[-1])).astype(np.float32)
    exact, rounded = (results(model, [("train", {"x": image})], xnnpack=xnnpack)[0]["y"] for model in (before, after))
    # Every product is off by half a step of the kernel, and by half a step of the image, at the least of 1/127.
    terms, step = kernel[0].size, np.abs(image).max() / 127
    bound = terms * (np.abs(image).max() * scales / 2 + largest * step / 2 + scales * step / 4)
    assert np.all(np.abs(rounded - exact) <= bound)
    moved = np.abs(rounded - exact).max(axis=(0, 1, 2)) > 0
    np.testing.assert_array_equal(moved, largest > 0)


@DELEGATES
def test_a_kernel_of_two_convolutions_is_quantized_once(xnnpack):
    kernel = weights(32, 1, 1, 32)
    builder, graph = single_graph()
    x = graph.tensor([1, 4, 4, 32])
    first = graph.constant(kernel)
    second = graph.constant(kernel, graph.buffer_of(first))
    y = convolve(graph, convolve(graph, convolve(graph, x, first), second), first)
    builder.signature("train", graph, {"x": x}, {"y": y})
    before, after = quantized(builder)
    assert [tensor.dtype for tensor, *_ in kernels(after)] == ["int8"] * 3
    assert len({tensor.buffer for tensor, *_ in kernels(after)}) == 1
    scales = [plain.quantization.scale for _, plain, _ in kernels(after)]
    np.testing.assert_array_equal(scales[0], scales[1])
    np.testing.assert_allclose(scales[0], np.abs(kernel).max(axis=(1, 2, 3)) / 127, rtol=1e-6)
    image = {"x": RNG.normal(size=(1, 4, 4, 32)).astype(np.float32)}
    exact, rounded = (results(model, [("train", image)], xnnpack=xnnpack)[0]["y"].ravel() for model in (before, after))
    assert 0 < np.linalg.norm(exact - rounded) < 0.05 * np.linalg.norm(exact)


def dense(graph, x, weights):
    shape = [*graph.shape_of(x)[:-1], graph.shape_of(weights)[0]]
    bias = graph.constant(np.linspace(-1, 1, shape[-1], dtype=np.float32))
    return graph.apply("FULLY_CONNECTED", x, weights, bias, shape=shape, keepNumDims=True)


@DELEGATES
@pytest.mark.parametrize("shape", [[3, 32], [1, 7, 32], [1, 4, 5, 32]])
def test_a_dense_layer_has_a_scale_for_each_unit(shape, xnnpack):
    kernel = weights(48, 32) * np.logspace(-2, 1, 48, dtype=np.float32)[:, None]
    builder, graph = single_graph()
    x = graph.tensor(shape)
    builder.signature("train", graph, {"x": x}, {"y": dense(graph, x, graph.constant(kernel))})
    before, after = quantized(builder)
    assert [(count.name, count.version) for count in audit(after)] == [("FULLY_CONNECTED", 12)]
    assert kernel.size < after.constant_bytes < kernel.size + 4 * 2 * 48
    image = RNG.normal(size=shape).astype(np.float32)
    exact, rounded = (results(model, [("train", {"x": image})], xnnpack=xnnpack)[0]["y"] for model in (before, after))
    # Unit by unit: one scale for all would round the small ones to nothing.
    error = np.linalg.norm((rounded - exact).reshape(-1, 48), axis=0)
    size = np.linalg.norm((exact - np.linspace(-1, 1, 48)).reshape(-1, 48), axis=0)
    assert np.all(error > 0)
    assert np.all(error < 0.05 * size)


def test_a_kernel_of_a_convolution_and_a_dense_layer_is_quantized_once():
    kernel = weights(32, 1, 1, 32)
    builder, graph = single_graph()
    x = graph.tensor([1, 4, 4, 32])
    stored = graph.constant(kernel)
    y = dense(graph, convolve(graph, x, stored), graph.constant(kernel.reshape(32, 32), graph.buffer_of(stored)))
    builder.signature("train", graph, {"x": x}, {"y": y})
    before, after = quantized(builder)
    assert {count.name: count.version for count in audit(after)} == {"CONV_2D": HYBRID, "FULLY_CONNECTED": 12}
    image = {"x": RNG.normal(size=(1, 4, 4, 32)).astype(np.float32)}
    exact, rounded = (results(model, [("train", image)], xnnpack=True)[0]["y"] for model in (before, after))
    assert 0 < np.linalg.norm(exact - rounded) < 0.05 * np.linalg.norm(exact)


def small_kernel(graph, x):
    return convolve(graph, x, graph.constant(weights(31, 1, 1, 32)))


def matrix_that_resizes(graph, x):
    """As the gradient of a bilinear resizing: two numbers a row."""
    matrix = np.eye(64, dtype=np.float32) / 2 + np.eye(64, k=1, dtype=np.float32) / 2
    return graph.apply("FULLY_CONNECTED", graph.reshape(x, [8, 64]), graph.constant(matrix), -1)


def matrix_of_two_products(graph, x):
    """One by which BATCH_MATMUL multiplies, and FULLY_CONNECTED with its transpose: their scales differ."""
    rows, matrix = graph.reshape(x, [16, 32]), graph.constant(weights(32, 32))
    return graph.apply("BATCH_MATMUL", graph.apply("FULLY_CONNECTED", rows, matrix, -1), matrix)


def kernel_that_is_computed(graph, x):
    kernel = graph.apply("TANH", graph.constant(weights(32, 1, 1, 32)))
    return convolve(graph, x, kernel)


def kernel_as_image(graph, x):
    kernel = graph.constant(weights(32, 1, 1, 32))
    return convolve(graph, graph.constant(weights(1, 4, 8, 32), graph.buffer_of(kernel)), kernel)


def kernel_of_two_shapes(graph, x):
    """As the converter stores two kernels of zeros."""
    wide = graph.constant(np.zeros((64, 1, 1, 32), np.float32))
    narrow = graph.constant(np.zeros((32, 1, 1, 64), np.float32), graph.buffer_of(wide))
    return convolve(graph, convolve(graph, x, wide), narrow)


@pytest.mark.parametrize(
    "network",
    [
        small_kernel,
        matrix_that_resizes,
        matrix_of_two_products,
        kernel_that_is_computed,
        kernel_as_image,
        kernel_of_two_shapes,
    ],
)
def test_what_is_left_alone(network):
    builder, graph = single_graph()
    x = graph.tensor([1, 4, 4, 32])
    y = network(graph, x)
    builder.signature("train", graph, {"x": x}, {"y": y})
    before, after = quantized(builder)
    assert after.to_bytes() == before.to_bytes()
