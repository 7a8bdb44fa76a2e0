import numpy as np
import pytest

from tests.export.passes.graphs import ModelBuilder, results
from tinytl_tf.export.passes.split_reads import split_reads
from tinytl_tf.tflite.model import Model

LARGE, SMALL = [32, 32], [31, 32]
RNG = np.random.default_rng(0)


def file(add_operators, shape=LARGE):
    """A file with one variable; `add_operators(graph, handle, value, x)` gives the outputs of `train`."""
    builder = ModelBuilder()
    graph = builder.graph("train")
    start = builder.graph("start")
    start.add("ASSIGN_VARIABLE", [start.handle("v"), start.constant(RNG.normal(size=shape).astype(np.float32))])
    graph.add("CALL_ONCE", [], initSubgraphIndex=start.index)
    x, handle = graph.tensor(shape), graph.handle("v")
    outputs = add_operators(graph, handle, graph.read(handle, shape), x)
    builder.signature("train", graph, {"x": x}, outputs)
    return builder.model()


def after_pass(model):
    after = Model.from_bytes(model.to_bytes())
    split_reads(after)
    return Model.from_bytes(after.to_bytes())


def names(model):
    return [op.name for op in model.graphs[0].operators]


def readers_of_reads(model):
    graph = model.graphs[0]
    readers = graph.readers()
    return [readers[op.outputs[0]] for op in graph.operators if op.name == "READ_VARIABLE"]


def assert_same(before, after, shape=LARGE):
    calls = [("train", {"x": RNG.normal(size=shape).astype(np.float32)}) for _ in range(3)]
    for xnnpack in (False, True):
        pairs = zip(*(results(model, calls, xnnpack=xnnpack) for model in (before, after)), strict=True)
        for expected, got in pairs:
            for name in expected:
                np.testing.assert_array_equal(got[name], expected[name])


def two_uses(graph, handle, value, x):
    return {"sum": graph.apply("ADD", value, x), "product": graph.apply("MUL", x, value)}


def test_every_use_has_its_own_read():
    before = file(two_uses)
    after = after_pass(before)
    assert readers_of_reads(before) == [2]
    assert readers_of_reads(after) == [1, 1]
    assert_same(before, after)


def test_all_reads_are_before_the_variable_changes():
    def train_step(graph, handle, value, x):
        graph.add("ASSIGN_VARIABLE", [handle, graph.apply("SUB", value, x)])
        return {"old": graph.apply("NEG", value), "product": graph.apply("MUL", x, value)}

    before = file(train_step)
    after = after_pass(before)
    assert readers_of_reads(after) == [1, 1, 1]
    positions = [i for i, name in enumerate(names(after)) if name == "READ_VARIABLE"]
    assert max(positions) < names(after).index("ASSIGN_VARIABLE")
    assert_same(before, after)


def test_values_of_different_times_stay_apart():
    def train_step(graph, handle, value, x):
        graph.add("ASSIGN_VARIABLE", [handle, graph.apply("MUL", value, x)])
        new = graph.read(handle, LARGE)
        outputs = {"new": graph.apply("NEG", new), "old": graph.apply("NEG", value)}
        return outputs | {"difference": graph.apply("SUB", new, value), "sum": graph.apply("ADD", new, x)}

    before = file(train_step)
    after = after_pass(before)
    assert readers_of_reads(after) == [1, 1, 1, 1, 1, 1]
    assert_same(before, after)


def test_a_value_under_another_form_is_made_once_for_each_use():
    def forward_and_backward(graph, handle, value, x):
        order = graph.constant(np.array([1, 0], np.int32))
        turned = graph.apply("TRANSPOSE", value, order)
        flat = graph.reshape(turned, [1024])
        outputs = {"forward": graph.apply("FULLY_CONNECTED", x, turned, -1), "flat": graph.apply("NEG", flat)}
        return outputs | {
            "backward": graph.apply("FULLY_CONNECTED", x, value, -1),
            "sum": graph.apply("ADD", x, turned),
        }

    before = file(forward_and_backward)
    after = after_pass(before)
    assert readers_of_reads(after) == [1, 1, 1, 1]
    assert names(after).count("TRANSPOSE") == 3
    assert names(after).count("RESHAPE") == 1
    assert_same(before, after)


def test_a_value_that_is_a_result_stays_one():
    def value_as_result(graph, handle, value, x):
        return {"value": value, "sum": graph.apply("ADD", value, x)}

    before = file(value_as_result)
    after = after_pass(before)
    assert after.graphs[0].outputs == before.graphs[0].outputs
    assert sorted(readers_of_reads(after)) == [0, 1]
    assert_same(before, after)


def small_slices(graph, handle, value, x):
    """A vector of many small ones."""
    parts = [
        graph.apply("SLICE", value, *(graph.constant(np.int32(at)) for at in ([row, 0], [1, 32])), shape=[1, 32])
        for row in range(4)
    ]
    return {str(row): graph.apply("NEG", part) for row, part in enumerate(parts)}


def one_use(graph, handle, value, x):
    return {"sum": graph.apply("ADD", value, x)}


@pytest.mark.parametrize(("uses", "shape"), [(one_use, LARGE), (small_slices, LARGE), (two_uses, SMALL)])
def test_what_is_left_alone(uses, shape):
    before = file(uses, shape)
    after = after_pass(before)
    assert names(after) == names(before)
    assert readers_of_reads(after) == readers_of_reads(before)
    assert_same(before, after, shape)
