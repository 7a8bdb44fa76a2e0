"""The passes of files for TensorFlow Lite Micro: each does its part, and none changes what is computed."""

import functools
import importlib
import itertools

import numpy as np
import pytest

from tests import tiny_network
from tests.export.passes.graphs import single_graph
from tests.micro_files import converted
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
    buffers, pack = [], placing._pack

    def record(given):
        pack(given)
        buffers.extend(given)

    monkeypatch.setattr(placing, "_pack", record)
    model = Model.from_bytes(without("place_tensors"))
    assert place_tensors(model) > 100
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
