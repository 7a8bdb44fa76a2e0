import itertools

import numpy as np
import pytest

from tests.export.passes.graphs import results
from tinytl_tf.export.passes.name_variables import name_variables
from tinytl_tf.export.passes.reorder import reorder
from tinytl_tf.tflite.model import Model

CASE = ("tinytl-b", "momentum", 8)


@pytest.fixture(scope="module")
def models(converted):
    before = Model.from_bytes(converted(*CASE))
    after = Model.from_bytes(before.to_bytes())
    name_variables(after)
    return before, Model.from_bytes(after.to_bytes())


def handed_over(model):
    """Handles that loops and branches take as inputs."""
    return [
        i for graph, op in model.operators() if op.nested for i in op.inputs if graph.tensors[i].dtype == "resource"
    ]


def test_no_handle_goes_through_a_loop_or_a_branch(models):
    before, after = models
    assert len(handed_over(before)) >= 8
    assert not handed_over(after)
    for graph in after.graphs:
        assert all(graph.tensors[i].dtype != "resource" for i in (*graph.inputs, *graph.outputs))
        for op in graph.operators:
            inputs = len(op.inputs) - (op.name == "IF")
            assert all(len(after.graphs[i].inputs) == inputs for i in op.nested if op.name != "CALL_ONCE")
    assert after.resource_variables == before.resource_variables
    assert {name: (s.inputs, s.outputs) for name, s in after.signatures.items()} == {
        name: (s.inputs, s.outputs) for name, s in before.signatures.items()
    }


def test_the_same_variables_change_by_the_same(models):
    rng = np.random.default_rng(0)
    inputs = models[0].signature("train").inputs
    batch = {
        "image": rng.integers(0, 256, inputs["image"].shape, np.uint8),
        "label": rng.integers(0, 4, inputs["label"].shape).astype(np.int32),
        "learning_rate": np.float32([0.01]),
    }
    calls = [("save", {}), *[("train", batch), ("save", {})] * 2]
    before, after = models
    # No operator of a graph shows any more which variables its loops and branches change: their order must stay.
    reordered = Model.from_bytes(after.to_bytes())
    reorder(reordered)
    for xnnpack, model in itertools.product((False, True), (after, reordered)):
        expected, got = (results(each, calls, xnnpack=xnnpack) for each in (before, model))
        assert not np.array_equal(expected[0]["state"], expected[2]["state"])
        for left, right in zip(expected, got, strict=True):
            for name in left:
                np.testing.assert_array_equal(right[name], left[name])
