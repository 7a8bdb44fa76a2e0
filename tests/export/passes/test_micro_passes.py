"""The passes of files for TensorFlow Lite Micro: each does its part, and none changes what is computed."""

import functools
import importlib
import itertools

import numpy as np
import pytest

from tests import tiny_network
from tests.export.passes.graphs import results, single_graph
from tests.micro_files import converted
from tinytl_tf.export.passes.matrix_products import matrix_products
from tinytl_tf.export.passes.micro_operators import micro_operators
from tinytl_tf.export.passes.pipeline import MICRO_PASSES
from tinytl_tf.export.passes.place_tensors import METADATA, arena_plan, place_tensors
from tinytl_tf.export.passes.zero_variables import zero_variables
from tinytl_tf.tflite.micro_contract import INPUTS, OUTPUTS
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime.micro_arena import measure_arena
from tinytl_tf.tflite.runtime.micro_signature import MicroInterpreter

runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")

placing = importlib.import_module("tinytl_tf.export.passes.place_tensors")  # the package has the function of that name

CASE = ("tinytl-b", "sgd")
# Without the others TensorFlow Lite Micro does not start the file (a graph that nothing runs ends the process), or they
# find nothing in this network.
OPTIONAL = [
    "zero_variables",
    "fuse_biases",
    "pointwise_products",
    "matrix_products",
    "share_forward",
    "reorder",
    "drop_names",
    "drop_tensors",
    "place_tensors",
]
SMALLER = ["pointwise_products", "share_forward", "reorder", "drop_tensors", "place_tensors"]


@functools.cache
def without(*left_out):
    model = Model.from_bytes(converted(*CASE))
    for name, run in MICRO_PASSES.items():
        if name not in left_out:
            run(model)
            model = Model(model.schema)
    return model.to_bytes()


@functools.cache
def figures(content):
    """Losses of some images, logits, and the state after two steps."""
    graph = MicroInterpreter(runtime.Interpreter.from_bytes(content, arena_size=2**24))
    images, labels = tiny_network.photos(2, 4)
    losses, rate = [], np.float32([0.01])
    graph.run("forget")
    for batch in zip(images, labels, strict=True):
        for image, label in zip(*batch, strict=True):
            losses.append(graph.run("accumulate", image=image[None], label=label[None])["loss"])
        assert graph.run("apply", learning_rate=rate)["applied"].item() == 1
    state = graph.run("save")["state"]
    logits = graph.run("infer", image=images[0][:1])["logits"]
    assert graph.run("reset")["applied"].item() == 1
    return np.concatenate(losses), logits, state, graph.run("save")["state"]


@pytest.mark.thorough
@pytest.mark.parametrize("name", OPTIONAL)
def test_a_file_without_a_pass_computes_the_same(name):
    assert without(name) != without()
    for actual, expected in zip(figures(without(name)), figures(without()), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("name", SMALLER)
def test_each_of_these_makes_the_arena_smaller(name):
    assert measure_arena(without(name)).bytes > 1.02 * measure_arena(without()).bytes


def test_no_two_buffers_lie_on_each_other_while_both_are_needed(monkeypatch):
    plans, pack = [], placing._pack

    def record(given):
        pack(given)
        plans.append(given)

    monkeypatch.setattr(placing, "_pack", record)
    model = Model.from_bytes(without("place_tensors"))
    assert place_tensors(model) > 100
    for buffers in plans:
        assert len(buffers) > 200
        for one, other in itertools.combinations(buffers, 2):
            apart_in_time = one.last < other.first or other.last < one.first
            apart_in_place = one.offset + one.bytes <= other.offset or other.offset + other.bytes <= one.offset
            assert apart_in_time or apart_in_place
        assert all(buffer.offset % 16 == 0 for buffer in buffers)


def test_the_places_are_those_that_the_runtime_takes():
    model = Model.from_bytes(without())
    offsets = np.frombuffer(model.metadata(METADATA), np.int32)
    tensors = [tensor for graph in model.graphs for tensor in graph.tensors]
    assert offsets[2] == len(offsets) - 3 == len(tensors)
    placed = [not tensor.is_constant and tensor.bytes > 0 for tensor in tensors]
    assert [offset >= 0 for offset in offsets[3:]] == placed
    # Scratch of a few operators comes on top.
    assert arena_plan(model) <= measure_arena(without()).head_bytes <= arena_plan(model) + 4096


def test_inputs_and_outputs_have_their_order_and_there_is_no_signature():
    model = Model.from_bytes(without())
    main = model.graphs[0]
    assert [main.tensors[i].name for i in main.inputs] == list(INPUTS)
    assert [main.tensors[i].name for i in main.outputs] == list(OUTPUTS)
    assert not model.signatures
    # No other names: they have numbers that TensorFlow counts up, and the file would be as long as these.
    assert not any(graph.name for graph in model.graphs)
    names = [tensor.name for graph in model.graphs for tensor in graph.tensors if tensor.name]
    assert len(names) == len(INPUTS) + len(OUTPUTS)


def test_sums_and_counters_have_no_first_value():
    model = Model.from_bytes(converted(*CASE))
    MICRO_PASSES["name_variables"](model)
    model = Model(model.schema)
    trained = (len(model.resource_variables) - 2) // 2  # each has a sum; and there are a count and a magnitude
    assert zero_variables(model) == trained + 2
    starts = [index for _, op in model.operators() if op.name == "CALL_ONCE" for index in op.nested]
    names = [op.name for index in starts for op in Model(model.schema).graphs[index].operators]
    assert sorted(names) == ["ASSIGN_VARIABLE"] * trained + ["VAR_HANDLE"] * trained


@pytest.mark.parametrize("count", [10, 11, 25, 101])
def test_many_tensors_are_joined_ten_at_a_time(count):
    builder, graph = single_graph()
    x = graph.tensor([2, 3])
    parts = [graph.apply("MUL", x, graph.constant(np.float32([factor]))) for factor in range(count)]
    joined = graph.apply("CONCATENATION", *parts, shape=[2 * count, 3], axis=0)
    builder.signature("train", graph, {"x": x}, {"y": joined})
    model = builder.model()
    assert micro_operators(model) == (count > 10)
    model = Model(model.schema)
    sizes = [len(op.inputs) for op in model.graphs[0].operators if op.name == "CONCATENATION"]
    assert max(sizes) <= 10
    assert sum(sizes) - len(sizes) == count - 1


def joined(*shapes, used=False):
    """A graph that joins variables; with `used`, it also needs the first one afterwards."""
    builder, graph = single_graph()
    reads = [graph.read(graph.handle(f"v{number}"), shape) for number, shape in enumerate(shapes)]
    flat = [graph.reshape(read, [int(np.prod(shape))]) for read, shape in zip(reads, shapes, strict=True)]
    state = graph.apply("CONCATENATION", *flat, shape=[sum(int(np.prod(shape)) for shape in shapes)], axis=0)
    outputs = {"state": state} | ({"first": graph.apply("ABS", reads[0])} if used else {})
    builder.signature("train", graph, {}, outputs)
    return builder.model(), [*reads, state]


def test_variables_are_read_to_their_place_in_the_state():
    model, tensors = joined((3, 500), (7,), (1, 2, 400))
    assert place_tensors(model) == 6
    offsets = np.frombuffer(Model(model.schema).metadata(METADATA), np.int32)[3:]
    assert [offsets[tensor] for tensor in tensors] == [0, 6000, 6028, 0]
    assert arena_plan(model) == -(-(6028 + 3200) // 16) * 16


def test_a_variable_that_is_needed_later_has_its_own_buffer():
    model, tensors = joined((3, 500), (7,), used=True)
    place_tensors(model)
    offsets = np.frombuffer(Model(model.schema).metadata(METADATA), np.int32)[3:]
    first, second, state = (offsets[tensor] for tensor in tensors)
    assert abs(first - state) >= 6000
    assert second == state + 6000


@pytest.mark.parametrize(("adj_x", "adj_y"), [*itertools.product((False, True), repeat=2)])
def test_a_product_of_matrices_is_fully_connected(adj_x, adj_y):
    builder, graph = single_graph()
    x, y = (graph.tensor(shape[::-1] if adj else shape) for shape, adj in (([2, 3], adj_x), ([3, 5], adj_y)))
    product = graph.apply("BATCH_MATMUL", x, y, shape=[2, 5], adjX=adj_x, adjY=adj_y)
    builder.signature("train", graph, {"x": x, "y": y}, {"product": product})
    model, changed = builder.model(), builder.model()
    assert matrix_products(changed) == 1
    changed = Model(changed.schema)
    names = [op.name for op in changed.graphs[0].operators]
    assert names == ["TRANSPOSE"] * (adj_x + (not adj_y)) + ["FULLY_CONNECTED"]
    shapes = {name: tensor.shape for name, tensor in model.signature("train").inputs.items()}
    values = {name: np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for name, shape in shapes.items()}
    (expected,), (actual,) = (results(own, [("train", values)], xnnpack=False) for own in (model, changed))
    assert expected["product"].any()
    np.testing.assert_array_equal(actual["product"], expected["product"])


def test_a_product_of_more_than_matrices_is_left_alone():
    builder, graph = single_graph()
    x, y = graph.tensor([4, 2, 3]), graph.tensor([4, 3, 5])
    product = graph.apply("BATCH_MATMUL", x, y, shape=[4, 2, 5], adjX=False, adjY=False)
    builder.signature("train", graph, {"x": x, "y": y}, {"product": product})
    assert matrix_products(builder.model()) == 0
