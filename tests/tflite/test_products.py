"""Multiply-adds, against those of graphs that are counted by hand, and of a network from its description."""

import math

from tests.export.passes.graphs import single_graph
from tests.tiny_network import ARCHITECTURE, RESOLUTION, build
from tinytl_tf.export.build import build_file
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.networks.from_table import from_table
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.products import multiply_adds


def test_products_are_counted_by_outputs_and_terms():
    builder, graph = single_graph()
    image, left, right = graph.tensor([1, 8, 8, 3]), graph.tensor([5, 4]), graph.tensor([5, 6])
    x = graph.apply("CONV_2D", image, graph.tensor([16, 3, 3, 3]), shape=[1, 4, 4, 16])
    x = graph.apply("DEPTHWISE_CONV_2D", x, graph.tensor([1, 5, 5, 16]), shape=[1, 4, 4, 16])
    x = graph.apply("FULLY_CONNECTED", x, graph.tensor([7, 256]), shape=[1, 7])
    y = graph.apply("BATCH_MATMUL", left, right, shape=[4, 6], adjX=True, adjY=False)
    z = graph.apply("ADD", y, y)
    builder.signature("train", graph, {"image": image, "left": left, "right": right}, {"x": x, "z": z})
    expected = 4 * 4 * 16 * 27 + 4 * 4 * 16 * 25 + 7 * 256 + 4 * 6 * 5
    assert multiply_adds(builder.model(), "train") == expected


def test_a_network_takes_the_products_of_its_kernels_and_a_step_those_of_each_image():
    model = build("last")
    options = {"optimizer": get_optimizer("sgd"), "batch_size": 4}
    file = Model.from_bytes(build_file(TrainableModule(model, model.trainable_variables, **options))[0])
    layers = from_table(ARCHITECTURE, classes=4, resolution=RESOLUTION).layers
    infer = sum(v.size * layer.size // layer.shape[-1] for layer in layers for v in layer.role("kernel"))
    assert multiply_adds(file, "infer") == infer
    kernel = math.prod(model.get_layer("classifier").kernel.shape)
    # Of the classifier, there is the gradient of its kernel too, if that is a product and not done element by element.
    assert multiply_adds(file, "train", repeats=4) in (4 * infer, 4 * (infer + kernel))
