import itertools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema_fb

from tests.export.passes.graphs import results, single_graph
from tinytl_tf.export.passes.sums import split_sums
from tinytl_tf.flatbuffer import Model

SHAPE = [4, 6]
RELU = schema_fb.ActivationFunctionType.RELU
RNG = np.random.default_rng(0)
# Sums of whole numbers do not depend on the order of summation.
INPUTS = {f"x{i}": RNG.integers(-50, 50, SHAPE).astype(np.float32) for i in range(4)}


def graph_of_inputs(number, dtype="float32"):
    builder, graph = single_graph()
    return builder, graph, [graph.tensor(SHAPE, dtype) for _ in range(number)]


def after_pass(builder, graph, tensors, outputs):
    """The file before and after."""
    builder.signature("train", graph, {f"x{i}": t for i, t in enumerate(tensors)}, outputs)
    before, after = builder.model(), builder.model()
    split_sums(after)
    return before, Model.from_bytes(after.to_bytes())


def names(model):
    return [op.name for op in model.graphs[0].operators]


def assert_same(before, after):
    inputs = {name: INPUTS[name] for name in before.signature("train").inputs}
    for xnnpack in (False, True):
        expected, got = (results(model, [("train", inputs)], xnnpack=xnnpack)[0] for model in (before, after))
        for name in expected:
            np.testing.assert_array_equal(got[name], expected[name])


@pytest.mark.parametrize("terms", [(0, 1), (0, 0), (0, 1, 2), (2, 1, 0), (0, 1, 1), (1, 0, 1, 1), (3, 2, 1, 0, 0, 0)])
def test_add_n_becomes_a_chain(terms):
    builder, graph, tensors = graph_of_inputs(4)
    for _ in range(300):
        graph.tensor([1])  # Numbers above 256 that are equal need not be the same object.
    made = [graph.apply("NEG", tensor) for tensor in tensors]
    y = graph.apply("ADD_N", *(made[i] for i in terms))
    before, after = after_pass(builder, graph, tensors, {"y": y})
    assert names(after) == ["NEG"] * 4 + ["ADD"] * (len(terms) - 1)
    made_twice = [i for op in after.graphs[0].operators for i in op.outputs]
    assert len(set(made_twice)) == len(made_twice)
    assert_same(before, after)


def test_terms_are_taken_in_the_order_in_which_they_are_made():
    builder, graph, tensors = graph_of_inputs(3)
    late = [graph.apply(name, tensor) for name, tensor in zip(["NEG", "ABS", "RELU"], tensors, strict=True)]
    inner = graph.apply("ADD", late[2], late[1])
    y = graph.apply("ADD", inner, late[0])
    before, after = after_pass(builder, graph, tensors, {"y": y})
    *_, first, last = after.graphs[0].operators
    assert (first.inputs, last.inputs) == ((late[0], late[1]), (first.outputs[0], late[2]))
    assert last.outputs == (y,)
    assert_same(before, after)


@pytest.mark.parametrize("kinds", list(itertools.product(["ADD", "ADD_N"], repeat=2)))
def test_nested_sums_become_one_chain(kinds):
    builder, graph, tensors = graph_of_inputs(4)
    left, right = graph.apply(kinds[0], *tensors[2:]), graph.apply(kinds[1], *tensors[:2])
    y = graph.apply("ADD", left, right)
    before, after = after_pass(builder, graph, tensors, {"y": y})
    assert names(after) == ["ADD"] * 3
    first, second, third = after.graphs[0].operators
    assert (second.inputs[0], third.inputs[0]) == (first.outputs[0], second.outputs[0])
    assert_same(before, after)


def test_an_activation_stays_where_it_was():
    builder, graph, tensors = graph_of_inputs(4)
    inner = graph.apply("ADD", *tensors[:2], fusedActivationFunction=RELU)
    middle = graph.apply("ADD", inner, tensors[2])
    y = graph.apply("ADD", middle, tensors[3], fusedActivationFunction=RELU)
    before, after = after_pass(builder, graph, tensors, {"y": y})
    activations = [op.options.fusedActivationFunction for op in after.graphs[0].operators]
    assert sorted(activations) == [0, RELU, RELU]
    assert activations[-1] == RELU
    assert_same(before, after)


def sum_of_two(graph, tensors):
    return {"y": graph.apply("ADD", *tensors[:2])}


def partial_sum_is_a_result(graph, tensors):
    partial = graph.apply("ADD", *tensors[:2])
    return {"partial": partial, "y": graph.apply("ADD", tensors[2], partial)}


def partial_sum_is_read_twice(graph, tensors):
    partial = graph.apply("ADD", *tensors[:2])
    return {"other": graph.apply("NEG", partial), "y": graph.apply("ADD", tensors[2], partial)}


def broadcast(graph, tensors):
    row = graph.constant(np.arange(6, dtype=np.float32))
    return {"y": graph.apply("ADD", graph.apply("ADD", tensors[0], row), tensors[1])}


@pytest.mark.parametrize("sums", [sum_of_two, partial_sum_is_a_result, partial_sum_is_read_twice, broadcast])
def test_what_is_left_alone(sums):
    builder, graph, tensors = graph_of_inputs(3)
    before, after = after_pass(builder, graph, tensors, sums(graph, tensors))
    assert after.to_bytes() == before.to_bytes()


def test_integers_are_left_alone():
    builder, graph, tensors = graph_of_inputs(3, "int32")
    _, after = after_pass(builder, graph, tensors, {"y": graph.apply("ADD_N", *tensors, dtype="int32")})
    assert names(after) == ["ADD_N"]
