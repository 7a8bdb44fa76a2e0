"""The golden files of arrays are what golden/make_array.py makes and what the Python client computes."""

import hashlib
import json
import pathlib

import make_array
import numpy as np
import pytest

from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.export.build import build_file
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.manifest import ARRAY_CONTRACT, InputFacts
from tinytl_tf.tflite.runtime import APIS, load_signatures

FOLDER = pathlib.Path(__file__).parents[1] / "golden"
KINDS = {kind.name: kind for kind in make_array.KINDS}
GOLDEN = {name: json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) for name in KINDS}
VALUES = make_array.read(FOLDER)
REFERENCES = (*make_array.DELEGATES, "tensorflow")
# Relative difference of a loss from eager TensorFlow's over the 10 steps: the order of summation makes 2e-7.
EAGER_LOSS = 1e-5


def close(name, actual, expected, what):
    tolerance = GOLDEN[name]["tolerances"][what]
    actual, expected = np.asarray(actual), np.asarray(expected)
    return bool((np.abs(actual - expected) <= tolerance * (np.abs(expected) if what == "loss" else 1)).all())


def take(model, steps):
    results = []
    for step in steps:
        batch, labels = make_array.batch_of(step, VALUES)
        results.append(model.train(batch, labels, step["learning_rate"]))
    return results


def check_answers(name, model, expected):
    results = [model.infer(array) for array in VALUES]
    for what in ("logits", "probabilities"):
        assert close(name, [getattr(result, what) for result in results], expected[what], what)


@pytest.mark.parametrize(("xnnpack", "api"), [(True, APIS[0]), (False, APIS[0]), (True, APIS[1])])
@pytest.mark.parametrize("name", KINDS)
def test_the_client_computes_the_golden_figures(name, xnnpack, api, tmp_path):
    golden = GOLDEN[name]
    model = TrainableModel(FOLDER / golden["model"], xnnpack=xnnpack, api=api)
    assert (model.input_name, model.input_shape, model.task.name) == ("array", (40, 6), golden["task"])
    exported = model.state()
    model.save(tmp_path / "exported.tinytl")
    digest = hashlib.sha256((tmp_path / "exported.tinytl").read_bytes()).hexdigest()
    assert digest == golden["exported_state_sha256"]
    results = take(model, golden["steps"])
    for reference in REFERENCES:
        for what in ("loss", "accuracy", "applied"):
            expected = [step[reference][what] for step in golden["steps"]]
            assert close(
                name, [getattr(result, what) for result in results], expected, "loss" if what == "loss" else "accuracy"
            )
    eager = [step["tensorflow"]["loss"] for step in golden["steps"]]
    np.testing.assert_allclose([result.loss for result in results], eager, rtol=EAGER_LOSS)
    state = model.state()
    model.restore(FOLDER / golden["state_after"])
    expected = model.state()
    update = np.linalg.norm(state - expected) / np.linalg.norm(expected - exported)
    assert update <= golden["tolerances"]["update"]
    for delegate in make_array.DELEGATES:
        check_answers(name, model, golden["after"][delegate])
    further = take(model, golden["continued"])
    for delegate in make_array.DELEGATES:
        losses = [step[delegate]["loss"] for step in golden["continued"]]
        assert close(name, [result.loss for result in further], losses, "loss")
    model.reset()
    np.testing.assert_array_equal(model.state(), exported)
    for delegate in make_array.DELEGATES:
        check_answers(name, model, golden["before"][delegate])


@pytest.mark.parametrize("name", KINDS)
def test_the_file_itself_refuses_steps(name):
    signatures = load_signatures(FOLDER / GOLDEN[name]["model"])
    before = signatures["save"]()["state"]
    refused = GOLDEN[name]["refused"]
    assert {step["not_finite"]["value"] for step in refused if "not_finite" in step} == {"nan", "inf", "-inf"}
    assert [result["applied"] for result in make_array.train(signatures, VALUES, refused)] == [0] * len(refused)
    np.testing.assert_array_equal(signatures["save"]()["state"], before)
    # The step after it is as if there had been none.
    after = make_array.train(signatures, VALUES, GOLDEN[name]["steps"][:1])
    assert close(name, after[0]["loss"], GOLDEN[name]["steps"][0]["xnnpack"]["loss"], "loss")
    assert after[0]["applied"] == 1


@pytest.mark.parametrize("name", KINDS)
def test_the_client_refuses_what_the_file_refuses(name):
    model = TrainableModel(FOLDER / GOLDEN[name]["model"])
    before = model.state()
    for step in GOLDEN[name]["refused"]:
        with pytest.raises(
            InputError,
            match=r"finite numbers in arrays, got (nan|-?inf) at \[0, " if "not_finite" in step else "labels",
        ):
            take(model, [step])
    np.testing.assert_array_equal(model.state(), before)


@pytest.mark.parametrize("name", KINDS)
def test_the_manifest_says_what_the_file_takes(name):
    model = TrainableModel(FOLDER / GOLDEN[name]["model"])
    manifest = model.manifest
    assert manifest.contract == ARRAY_CONTRACT
    assert manifest.inputs == {"array": InputFacts("float32", make_array.SHAPE, make_array.MEANING)}
    assert (manifest.labels, manifest.task) == (KINDS[name].labels, KINDS[name].task)
    for setting in ("image_size", "central_fraction", "augmentation"):
        with pytest.raises(InputError, match=f"expected a model of images for {setting}, got .* of arrays"):
            getattr(model, setting)


@pytest.mark.parametrize("name", KINDS)
def test_the_lists_of_steps_are_current(name):
    golden, kind = GOLDEN[name], KINDS[name]
    inputs = ("arrays", "labels", "learning_rate")
    assert [{key: step[key] for key in inputs} for step in golden["steps"]] == make_array.plan(kind)
    assert [{key: value for key, value in step.items() if key != "applied"} for step in golden["refused"]] == (
        make_array.refused(kind)
    )
    assert golden["continued"][0]["arrays"] == golden["steps"][0]["arrays"]
    np.testing.assert_array_equal(make_array.arrays(), VALUES)


@pytest.mark.parametrize("name", KINDS)
def test_a_new_model_trains_like_the_golden_one(name, tmp_path):
    kind, path = KINDS[name], tmp_path / "model.tflite"
    model = make_array.build(kind)
    module = TrainableModule(
        model,
        model.trainable_variables,
        optimizer=get_optimizer(make_array.OPTIMIZER),
        batch_size=make_array.BATCH_SIZE,
        task=kind.task,
        save_optimizer=True,
        inputs="array",
    )
    path.write_bytes(build_file(module)[0])
    golden = GOLDEN[name]["steps"]
    losses = [step["loss"] for step in make_array.train(load_signatures(path), VALUES, golden)]
    assert close(name, losses, [step["xnnpack"]["loss"] for step in golden], "loss")
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    refused = make_array.train(load_signatures(path, xnnpack=False), VALUES, GOLDEN[name]["refused"])
    assert not any(step["applied"] for step in refused)
    assert path.stat().st_size == pytest.approx((FOLDER / GOLDEN[name]["model"]).stat().st_size, abs=1000)


@pytest.mark.parametrize(
    "mistake", [lambda array: array * 127, lambda array: array[::-1], lambda array: array.T.reshape(40, 6)]
)
def test_mistakes_are_farther_than_the_tolerance(mistake):
    for name in KINDS:
        model = TrainableModel(FOLDER / GOLDEN[name]["model"])
        losses = []
        for step in GOLDEN[name]["steps"]:
            batch, labels = make_array.batch_of(step, VALUES)
            batch = np.ascontiguousarray(np.stack([mistake(array) for array in batch]))
            losses.append(model.train(batch, labels, step["learning_rate"]).loss)
        assert not close(name, losses, [step["xnnpack"]["loss"] for step in GOLDEN[name]["steps"]], "loss")
