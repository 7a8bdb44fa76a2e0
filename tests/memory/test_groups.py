import math

import pytest

from tests import tiny_models, tiny_tflite
from tinytl_tf.memory.groups import GROUPS, signature_groups
from tinytl_tf.tflite.model import Model


def grouped(content, name="train", graph=None):
    """Groups of the results of each operator of a graph: [(operator, group), ...], handles left out."""
    model = Model.from_bytes(content)
    index = model.signature(name).graph if graph is None else next(g.index for g in model.graphs if g.name == graph)
    groups = signature_groups(model, name)[index]
    assert set(groups.values()) <= set(GROUPS)
    operators = [op for op in model.graphs[index].operators if op.name != "VAR_HANDLE"]
    return [(op.name, groups[i]) for op in operators for i in op.outputs]


def test_a_step_without_a_loop():
    found = grouped(tiny_tflite.build())
    assert {group for name, group in found if name == "READ_VARIABLE"} == {"state"}
    assert ("CAST", "saved") in found  # pixels as float: the gradient of the kernel reads them
    assert ("LOG_SOFTMAX", "saved") in found  # the gradient starts with its exponential
    assert ("EXP", "gradient") in found
    assert found.count(("BATCH_MATMUL", "temporary")) == 1  # forward
    assert found.count(("BATCH_MATMUL", "gradient")) == 1
    assert ("ONE_HOT", "temporary") in found
    assert [group for name, group in found if name == "SUB"][-2:] == ["state", "state"]  # the new values


def test_a_loop_is_looked_into():
    content = tiny_models.build_loop()
    body = grouped(content, graph="while_body")
    assert ("GATHER", "input") in body
    assert ("CONV_2D", "temporary") in body
    assert ("TANH", "saved") in body
    assert ("SOFTMAX", "gradient") in body
    model = Model.from_bytes(content)
    graph = model.graphs[model.signature("train").graph]
    groups = signature_groups(model, "train")[graph.index]
    loop = next(op for op in graph.operators if op.name == "WHILE")
    shapes = {
        group: [math.prod(graph.tensors[i].shape) for i in loop.outputs if groups[i] == group] for group in GROUPS
    }
    assert sorted(shapes["gradient"]) == [tiny_models.FILTERS, tiny_models.FILTERS * 3]
    assert tiny_models.BATCH in shapes["input"]


@pytest.mark.parametrize(("name", "content"), [("infer", tiny_tflite.build), ("train", tiny_models.build)])
def test_without_a_loss_nothing_is_saved(name, content):
    model = Model.from_bytes(content())
    assert not {"saved", "gradient"} & {g for groups in signature_groups(model, name).values() for g in groups.values()}


def test_initializers_and_conditions_are_grouped_too():
    model = Model.from_bytes(tiny_models.build_loop())
    assert set(signature_groups(model, "train")) == {graph.index for graph in model.graphs_of("train")}
