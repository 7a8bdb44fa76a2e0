"""A network in tiles is the network: values, gradients, and what no longer exists in the file."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_network
from tests.export.conftest import SMALL_PROFILES
from tinytl_tf import backbones
from tinytl_tf.backbones import Block
from tinytl_tf.export.build import build_file
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.export.tiling import TiledNetwork
from tinytl_tf.layers import Activation, FrozenConv2D, FrozenDepthwiseConv2D, GlobalAveragePooling
from tinytl_tf.memory import planned_peak
from tinytl_tf.networks.schemes import apply_scheme, get_scheme
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model

RESOLUTION = 64
WIDE = dataclasses.replace(
    tiny_network.ARCHITECTURE,
    name="wide_network",
    stem_filters=16,
    blocks=(
        Block(expand=1, kernel_size=3, filters=8, strides=1),
        Block(expand=6, kernel_size=3, filters=8, strides=2),
        Block(expand=6, kernel_size=5, filters=8, strides=1),
        Block(expand=5, kernel_size=3, filters=16, strides=1),
    ),
    head_filters=16,
)
EXPANDED = {
    "block_0": (1, 32, 32, 16),
    "block_1": (1, 32, 32, 48),
    "block_2": (1, 16, 16, 48),
    "block_3": (1, 16, 16, 40),
}


def wide_network(scheme, activation="relu6"):
    architecture = dataclasses.replace(WIDE, activation=activation)
    lite_residual = get_scheme(scheme).lite_residual
    model = backbones.build(architecture, classes=3, resolution=RESOLUTION, lite_residual=lite_residual, weights=None)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith(("beta", "gamma")):
            variable.assign(rng.uniform(0.3, 1, variable.shape))
    apply_scheme(model.weights, get_scheme(scheme))
    return model


def images(batch=2, size=RESOLUTION):
    return tf.constant(np.random.default_rng(1).uniform(0, 255, (batch, size, size, 3)).astype(np.float32))


def forward_and_gradients(network, variables, inputs):
    values = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        logits = network(inputs)
        loss = tf.reduce_sum(tf.nn.log_softmax(logits)[:, 0])
    return logits, tape.gradient(loss, values)


def assert_same(tiled, model, inputs):
    variables = model.trainable_variables
    logits, gradients = forward_and_gradients(tiled, variables, inputs)
    expected, expected_gradients = forward_and_gradients(model, variables, inputs)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    largest = max(np.abs(gradient).max() for gradient in expected_gradients)
    for gradient, other, variable in zip(gradients, expected_gradients, variables, strict=True):
        scale = max(np.abs(other).max(), 1e-2 * largest)
        np.testing.assert_allclose(gradient, other, rtol=0, atol=2e-5 * scale, err_msg=variable.path)


@pytest.mark.parametrize(
    ("tile_bytes", "tiles"),
    [
        (None, {}),
        (200_000, {}),
        (196608, {}),
        (196607, {"block_1": 2}),
        (65536, {"block_1": 3}),
        (65535, {"block_0": 2, "block_1": 6}),
        (40960, {"block_0": 2, "block_1": 6, "block_2": 2}),
        (32768, {"block_0": 2, "block_1": 6, "block_2": 2, "block_3": 5}),
        (1, {"block_0": 2, "block_1": 6, "block_2": 6, "block_3": 5}),
    ],
)
def test_number_of_tiles(tile_bytes, tiles):
    network = TiledNetwork(wide_network("tinytl-b"), tile_bytes)
    assert network.tiles == {f"{name}_project": number for name, number in tiles.items()}


@pytest.mark.parametrize(
    ("scheme", "activation", "tile_bytes"),
    [
        ("tinytl-b", "relu6", None),
        ("tinytl-b", "hard_swish", 1),
        ("tinytl-lb", "relu6", 32768),
        ("tinytl-lb", "relu", 1),
    ],
)
def test_equals_the_model_forward_and_backward(scheme, activation, tile_bytes):
    model = wide_network(scheme, activation)
    tiled = TiledNetwork(model, tile_bytes)
    assert bool(tiled.tiles) == (tile_bytes is not None)
    assert_same(tiled, model, images())


@pytest.mark.parametrize("scheme", ["norm+last", "full"])
def test_blocks_that_train_more_than_biases_run_whole(scheme):
    model = wide_network(scheme)
    assert TiledNetwork(model, 1).tiles == {}
    assert_same(TiledNetwork(model, 1), model, images(1))


@pytest.mark.parametrize("layer", ["block_1_expand", "block_1_depthwise", "block_1_project"])
@pytest.mark.parametrize("variable", ["kernel", "norm/gamma"])
def test_a_block_with_one_trained_kernel_or_scale_runs_whole(layer, variable):
    model = wide_network("tinytl-b")
    model.get_layer(layer).train = [variable, "norm/beta"]
    tiled = TiledNetwork(model, 1)
    assert set(tiled.tiles) == {"block_0_project", "block_2_project", "block_3_project"}


class Parts:
    """Layers of one inverted residual block; arguments by layer take the place of a norm's."""

    def __init__(self, **arguments):
        options = dict.fromkeys(("expand", "depthwise", "project"), {"train": ["norm/beta"]}) | arguments
        self.expand = FrozenConv2D(16, 1, name="expand", **options["expand"])
        self.depthwise = FrozenDepthwiseConv2D(3, name="depthwise", **options["depthwise"])
        self.project = FrozenConv2D(16, 1, name="project", **options["project"])
        self.activations = [Activation("relu6", name=f"activation_{i}") for i in range(2)]

    def wide(self, x):
        return self.activations[1](self.depthwise(self.activations[0](self.expand(x))))

    def __call__(self, x):
        return self.project(self.wide(x))


def network(body, size=8):
    inputs = keras.Input((size, size, 16))
    x = GlobalAveragePooling(name="pool")(body(inputs))
    keras.utils.set_random_seed(0)
    return keras.Model(inputs, keras.layers.Dense(3, name="classifier")(x), name="hand_made")


def hand_made_inputs():
    return tf.constant(np.random.default_rng(1).normal(size=(2, 8, 8, 16)).astype(np.float32))


def block_twice(x):
    block = Parts()
    return block(block(x))


def block_twice_at_two_sizes(x):
    block = Parts()
    return block(keras.layers.AveragePooling2D(2, name="shrink")(block(x)))


def projection_outside_of_the_block_too(x):
    block = Parts()
    return block.project(block(x))


def expansion_outside_of_the_block_too(x):
    block = Parts()
    return block(block.expand(x))


def expanded_tensor_read_twice(x):
    block = Parts()
    wide = block.expand(x)
    y = block.project(block.activations[1](block.depthwise(block.activations[0](wide))))
    return keras.layers.Add(name="add")([y, wide])


def filtered_tensor_read_twice(x):
    block = Parts()
    wide = block.wide(x)
    return keras.layers.Add(name="add")([block.project(wide), wide])


BIAS = {"norm": False, "use_bias": True, "train": ["bias"]}


@pytest.mark.parametrize(
    ("arguments", "tiles"),
    [
        (dict.fromkeys(("expand", "depthwise", "project"), BIAS), 1),
        ({"depthwise": {"norm": False}}, 0),
        ({"expand": {**BIAS, "groups": 2}}, 0),
        ({"project": {**BIAS, "activation": "relu"}}, 0),
    ],
)
def test_a_bias_is_cut_as_a_norm_is_and_other_convolutions_run_whole(arguments, tiles):
    model = network(Parts(**arguments))
    tiled = TiledNetwork(model, 1)
    assert len(tiled.tiles) == tiles
    assert_same(tiled, model, hand_made_inputs())


@pytest.mark.parametrize(
    ("body", "tiles"),
    [
        (block_twice, 1),
        (block_twice_at_two_sizes, 1),
        (projection_outside_of_the_block_too, 1),
        (expansion_outside_of_the_block_too, 1),
        (expanded_tensor_read_twice, 0),
        (filtered_tensor_read_twice, 0),
    ],
)
def test_layers_that_are_called_twice_and_tensors_that_others_read(body, tiles):
    model = network(body)
    tiled = TiledNetwork(model, 1)
    assert len(tiled.tiles) == tiles
    assert_same(tiled, model, hand_made_inputs())


def computed(content):
    """Shapes of the float tensors that are computed in all graphs but that of `infer`."""
    model = Model.from_bytes(content)
    graphs = [graph for graph in model.graphs if graph.index != model.signature("infer").graph]
    tensors = [tensor for graph in graphs for tensor in graph.tensors if not tensor.is_constant]
    return {tensor.shape for tensor in tensors if tensor.dtype == "float32"}


@pytest.mark.thorough
def test_no_full_expanded_tensor_is_in_the_file():
    model = wide_network("tinytl-b")

    def content(profile):
        rule = get_optimizer("sgd")
        module = TrainableModule(model, model.trainable_variables, optimizer=rule, batch_size=2, profile=profile)
        return build_file(module)[0]

    profile = SMALL_PROFILES["balanced"]
    tiled, whole = content(profile), content(dataclasses.replace(profile, tile_bytes=None))
    assert set(EXPANDED.values()) <= computed(whole)
    assert not set(EXPANDED.values()) & computed(tiled)
    smallest = min(np.prod(EXPANDED["block_0"]), np.prod(EXPANDED["block_1"]))
    assert max(np.prod(shape) for shape in computed(tiled)) < smallest
    assert planned_peak(Model.from_bytes(tiled)).peak_bytes < 0.7 * planned_peak(Model.from_bytes(whole)).peak_bytes
