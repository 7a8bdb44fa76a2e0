import dataclasses
import math

import pytest

from tests import tiny_models
from tinytl_tf.errors import InputError
from tinytl_tf.memory import growth, measure, planned_growth, planned_peak
from tinytl_tf.tflite.model import Model


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (tiny_models.build, "infer"),
        (tiny_models.build, "train"),
        (tiny_models.build, "train_sliced"),
        (tiny_models.build_loop, "train"),
        (tiny_models.build_dynamic_range, "infer"),
        (tiny_models.build_big_variable, "step"),
        (tiny_models.build_big_variable, "reset"),
    ],
)
def test_agrees_with_a_process(tmp_path, content, name):
    path = tmp_path / "model.tflite"
    path.write_bytes(content())

    def errors(*names):
        for each in names:
            plan = planned_growth(Model.read(path), each, file_bytes=path.stat().st_size, num_threads=1)
            yield plan.growth_bytes - measure(path, each, num_threads=1, xnnpack=False, steps=1).growth_bytes

    # What the runtime's own pages take is the machine's affair, and the same for every signature.
    error, common = errors(name, "nothing")
    assert abs(common) < 3e6
    assert error == pytest.approx(common, abs=1e6)


def test_parts():
    content = tiny_models.build()
    model, size = Model.from_bytes(content), len(content)
    plan = planned_peak(model, "train")
    plan_of_growth = planned_growth(model, "train", file_bytes=size)
    assert plan_of_growth.parts["arena"] == plan.arena_bytes
    assert plan_of_growth.parts["heap"] == plan.heap_bytes
    assert plan_of_growth.parts["variables"] == 4 * tiny_models.FILTERS
    assert plan_of_growth.parts["file"] == size  # no constant is bigger than what comes along
    assert plan_of_growth.parts["work"] > 0
    assert plan_of_growth.growth_bytes == sum(plan_of_growth.parts.values())
    nothing = planned_growth(model, "nothing", file_bytes=size)
    assert nothing.parts["work"] == 0
    assert 0 < nothing.parts["structures"] < plan_of_growth.parts["structures"]
    assert planned_growth(model, "train", file_bytes=size, num_threads=1).parts["work"] < plan_of_growth.parts["work"]


def test_big_constants_of_other_signatures_are_not_read():
    model, size = Model.from_bytes(tiny_models.build_dynamic_range()), 10**6
    assert planned_growth(model, "infer", file_bytes=size).parts["file"] == size
    dense = 64 * 16 * 16 * 32
    assert planned_growth(model, "nothing", file_bytes=size).parts["file"] == size - dense + 65536


def test_constants_that_only_reset_reads_are_given_back():
    content = tiny_models.build_big_variable()
    model, size, variable = Model.from_bytes(content), len(content), 4 * tiny_models.BIG
    assert size > variable
    step = planned_growth(model, "step", file_bytes=size)
    assert step.parts["file"] < 0.1 * variable
    assert step.parts["arena"] + step.parts["heap"] > variable
    # Without much of its own, a signature needs most when the file is loaded.
    nothing = planned_growth(model, "nothing", file_bytes=size)
    assert nothing.parts["file"] > variable
    assert nothing == dataclasses.replace(planned_growth(model, "reset", file_bytes=size), signature="nothing")


def test_quantized_channels_cost():
    model = Model.from_bytes(tiny_models.build_dynamic_range())
    with_scales = planned_growth(model, "infer", file_bytes=10**6).parts["structures"]
    for graph in model.schema.subgraphs:
        for tensor in graph.tensors:
            tensor.quantization = None
    assert with_scales - planned_growth(model, "infer", file_bytes=10**6).parts["structures"] >= 8 * (24 + 64)


def test_unknown_signature():
    with pytest.raises(InputError, match="expected one of the signatures of the file"):
        planned_growth(Model.from_bytes(tiny_models.build()), "fit", file_bytes=1)


def test_int8_products_pack_whole_operands():
    content = tiny_models.build_dynamic_range()
    model = Model.from_bytes(content)
    assert planned_growth(model, "infer", file_bytes=len(content)).parts["work"] == (24 + 16 * 16) * (
        9 * tiny_models.CHANNELS + 4
    )
    graph = model.graphs[0]
    ops = {op.name: op for op in graph.operators}
    conv = ops["CONV_2D"]

    def work(op, index=0, **change):
        tensors = list(graph.tensors)
        tensors[index] = dataclasses.replace(tensors[index], **change)
        return growth._work_bytes(dataclasses.replace(graph, tensors=tuple(tensors)), op, 1)

    channels = graph.tensors[conv.outputs[0]].shape[3]
    wide = work(conv, conv.outputs[0], shape=(1, 200, 200, channels))
    kernel = graph.tensors[conv.inputs[1]].shape
    assert wide == (channels + 200 * 200) * (math.prod(kernel[1:]) + 4)

    dense = next(op for op in graph.operators if op.name == "FULLY_CONNECTED" and op_rows(graph, op) > 1)
    assert work(dense) == 0
    rows, depth = graph.tensors[dense.inputs[1]].shape
    assert work(dense, dense.inputs[0], dtype="int8") == (rows + op_rows(graph, dense)) * (depth + 4)
    back = ops["TRANSPOSE_CONV"]
    assert work(back) == 0
    assert work(back, back.inputs[2], dtype="int8") == (9 * 16 + 16 * 16) * (64 + 4)


def op_rows(graph, op):
    return math.prod(graph.tensors[op.outputs[0]].shape[:-1])
