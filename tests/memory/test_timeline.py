import pytest

from tests import tiny_models
from tinytl_tf.errors import InputError
from tinytl_tf.memory import plan_timeline, planned_peak
from tinytl_tf.tflite.model import Model

IMAGE = tiny_models.SIZE**2 * tiny_models.CHANNELS * 4
FEATURES = tiny_models.SIZE**2 * tiny_models.FILTERS * 4


@pytest.fixture(scope="module")
def model():
    return Model.from_bytes(tiny_models.build_loop())


def test_each_operator_stands_where_it_runs(model):
    moments = plan_timeline(model)
    steps = [(moment.graph, moment.position) for moment in moments]
    assert len(set(steps)) == len(steps) == sum(len(graph.operators) for graph in model.graphs_of("train"))
    loop = next(i for i, moment in enumerate(moments) if moment.operator == "WHILE")
    body = [i for i, moment in enumerate(moments) if moment.graph == "while_body"]
    assert [moments[i].position for i in body] == list(range(len(body)))
    after = next(i for i, step in enumerate(steps) if step == (moments[loop].graph, moments[loop].position + 1))
    assert loop < body[0] <= body[-1] < after


def test_what_is_alive(model):
    moments = plan_timeline(model)
    batch = tiny_models.BATCH * (IMAGE + 4)
    assert all(moment.bytes["input"] >= batch for moment in moments if moment.graph != "NoOp")
    convolution = next(moment for moment in moments if moment.operator == "CONV_2D")
    assert convolution.bytes["input"] == batch + IMAGE
    assert FEATURES <= convolution.bytes["temporary"] < FEATURES + 1000
    assert convolution.bytes["saved"] < 1000
    softmax = next(moment for moment in moments if moment.operator == "SOFTMAX")
    assert FEATURES <= softmax.bytes["saved"] < FEATURES + 1000
    assert softmax.bytes["gradient"] > 0
    assert softmax.bytes["input"] < batch + 1000
    assert moments[-1].bytes["saved"] == 0


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (tiny_models.build, "infer"),
        (tiny_models.build, "train"),
        (tiny_models.build, "train_sliced"),
        (tiny_models.build_loop, "train"),
        (tiny_models.build_dynamic_range, "infer"),
    ],
)
@pytest.mark.parametrize("num_threads", [1, 2])
def test_never_above_the_planned_peak(content, name, num_threads):
    model = Model.from_bytes(content())
    plan = planned_peak(model, name, num_threads=num_threads)
    top = max(moment.total_bytes for moment in plan_timeline(model, name, num_threads=num_threads))
    assert plan.peak_bytes / 2 < top <= plan.peak_bytes


def test_what_kernels_keep_stays_to_the_end():
    model = Model.from_bytes(tiny_models.build())
    moments = plan_timeline(model, "infer")
    kept = planned_peak(model, "infer").heap_bytes
    before = next(i for i, moment in enumerate(moments) if moment.operator == "TRANSPOSE_CONV")
    assert moments[0].bytes["temporary"] < kept <= moments[-1].bytes["temporary"]
    assert all(moment.bytes["temporary"] >= kept for moment in moments[before:])


def test_unknown_signature(model):
    with pytest.raises(InputError, match="expected one of the signatures of the file"):
        plan_timeline(model, "fit")
