import numpy as np
import pytest

from tests import tiny_network
from tinytl_tf.export.build import build_file
from tinytl_tf.export.convert import convert
from tinytl_tf.export.passes import run_passes
from tinytl_tf.export.passes.inputs_first import inputs_first
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.memory import planned_peak
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import load_signatures


@pytest.fixture(scope="module")
def module():
    model = tiny_network.build("tinytl-lb")
    options = {"optimizer": get_optimizer("momentum"), "batch_size": 2, "save_optimizer": True}
    return TrainableModule(model, model.trainable_variables, **options)


@pytest.fixture(scope="module")
def named(module):
    """A file whose branches find their variables by name, and have inputs less."""
    return run_passes(convert(module), ["name_variables"])[0]


def late_inputs(model):
    """Graphs that an operator runs and whose inputs are not their first tensors."""
    nested = {index for _, op in model.operators() for index in op.nested}
    return [
        index for index in nested if list(model.graphs[index].inputs) != list(range(len(model.graphs[index].inputs)))
    ]


def run(path, content):
    """Losses of three steps, and the state after them, once it was restored."""
    path.write_bytes(content)
    signatures = load_signatures(path, xnnpack=False)
    images, labels = tiny_network.photos(3, 2)
    outputs = [
        signatures["train"](image=image, label=label, learning_rate=np.float32([0.01]))["loss"]
        for image, label in zip(images, labels, strict=True)
    ]
    other = load_signatures(path, xnnpack=False)
    assert other["restore"](state=signatures["save"]()["state"])["restored"].tolist() == [1]
    return [*outputs, other["save"]()["state"]]


@pytest.mark.thorough
def test_renumbers_and_changes_nothing_else(named, tmp_path):
    model = Model.from_bytes(named)
    late = late_inputs(model)
    assert late  # else there would be nothing to do
    assert inputs_first(model) == len(late)
    content = model.to_bytes()
    again = Model.from_bytes(content)
    assert late_inputs(again) == []
    assert inputs_first(again) == 0
    before = Model.from_bytes(named)
    for old, new in zip(before.graphs, again.graphs, strict=True):
        assert [op.name for op in old.operators] == [op.name for op in new.operators]
        assert [old.tensors[i].name for i in (*old.inputs, *old.outputs)] == [
            new.tensors[i].name for i in (*new.inputs, *new.outputs)
        ]
    assert planned_peak(again).peak_bytes == pytest.approx(planned_peak(before).peak_bytes, rel=0.02)
    for one, other in zip(run(tmp_path / "a.tflite", named), run(tmp_path / "b.tflite", content), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.thorough
def test_every_exported_file_has_them_first(module):
    assert late_inputs(Model.from_bytes(build_file(module)[0])) == []
