"""Files of arrays and of regression are adapted and evaluated like those of photos."""

import json
import pathlib
import shutil

import make_array
import numpy as np
import pytest

from tinytl_tf import data
from tinytl_tf.cli import runner
from tinytl_tf.data import ArrayDataset, Augmentation, ImageDataset, Splits
from tinytl_tf.device import TrainableModel, adapt, evaluate
from tinytl_tf.device.evaluation import evaluate_dataset
from tinytl_tf.errors import InputError

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
VALUES = make_array.read(GOLDEN)
KINDS = {kind.name: kind for kind in make_array.KINDS}
SPLIT = ["train"] * 8 + ["test"] * 4


def pack(path, name):
    """The arrays of the golden model `name`; the names of its outputs are in another order."""
    kind = KINDS[name]
    labels = make_array.labels(kind)
    last = len(kind.labels) - 1
    content = {"task": "regression", "y": labels[:, ::-1]} if name == "regression" else {"y": last - labels}
    np.savez(path, x=VALUES, classes=kind.labels[::-1], split=SPLIT, **content)
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with the golden models and sets for them."""
    monkeypatch.chdir(tmp_path)
    for name in KINDS:
        for suffix in (".tflite", ".manifest.json"):
            shutil.copy(GOLDEN / f"model_{name}{suffix}", tmp_path / f"{name}{suffix}")
        pack(tmp_path / f"{name}.npz", name)
    return tmp_path


def refused(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_adapted_and_measured(place, name):
    splits = data.load(f"{name}.npz")
    model = TrainableModel(f"{name}.tflite")
    losses = []

    def train(arrays, labels, rate):
        result = TrainableModel.train(model, arrays, labels, rate)
        losses.append(result.loss)
        return result

    model.train = train
    result = adapt(model, splits, epochs=4, learning_rate=0.05, state_path="out.tinytl")
    assert (result.steps, result.applied) == (8, 8)
    assert result.after.loss < result.before.loss
    np.testing.assert_allclose(result.losses, np.reshape(losses, (4, 2)).mean(1))
    # The same by hand: arrays in the order of all clients, labels in that of the model's outputs.
    kind, again = KINDS[name], TrainableModel(f"{name}.tflite")
    order = [data.batches.training_order(8, 4, 0, epoch) for epoch in range(4)]
    labels = make_array.labels(kind)
    for step, batch in enumerate(np.concatenate(order).reshape(-1, 4)):
        rate = 0.05 / 2 * (1 + np.cos(np.pi * step / 8))
        assert again.train(VALUES[batch], labels[batch], rate).loss == losses[step]
    np.testing.assert_array_equal(again.state(), model.state())
    again = TrainableModel(f"{name}.tflite")
    again.restore("out.tinytl")
    measured = evaluate(again, [(VALUES[8:], labels[8:])])
    assert (measured.loss, measured.accuracy) == (result.after.loss, result.after.accuracy)
    assert evaluate_dataset(again, splits.test).loss == measured.loss


def test_the_best_epoch_of_a_regression_has_the_least_loss(place, monkeypatch):
    """Its share of right numbers may fall while the loss does."""
    splits = data.load("regression.npz")
    model = TrainableModel("regression.tflite")
    measured = []
    real = evaluate_dataset

    def note(model, dataset, label, **options):
        result = real(model, dataset, label, **options)
        if label == "validation":
            measured.append((result.loss, model.state()))
        return result

    monkeypatch.setattr("tinytl_tf.device.adaptation.evaluate_dataset", note)
    splits = Splits(splits.train, None, splits.test)
    result = adapt(model, splits, epochs=3, learning_rate=0.3, schedule="constant", state_path="out.tinytl")
    best = min(range(3), key=lambda epoch: measured[epoch][0])
    assert result.best_accuracy == -measured[best][0]
    model.restore("out.best.tinytl")
    np.testing.assert_array_equal(model.state(), measured[best][1])


def images():
    return ImageDataset("photos", KINDS["array"].labels, [0, 1, 2, 0], lambda *_: np.zeros([4, 4, 3], np.uint8))


def windows(shape, rate=0):
    return ArrayDataset(
        "w", KINDS["array"].labels, [0, 1, 2, 0], lambda _: np.zeros(shape, "<f4"), shape, sample_rate=rate
    )


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (images(), "expected data of arrays [40, 6] for this model, got images in photos"),
        (windows((40, 5)), "expected arrays [40, 6] for this model, got [40, 5] in w"),
    ],
)
def test_other_data_are_refused(place, dataset, message):
    model = TrainableModel("array.tflite")
    assert refused(lambda: adapt(model, Splits(dataset, None))) == message
    assert refused(lambda: evaluate_dataset(model, dataset)) == message


def test_data_without_a_number_of_the_model_are_refused(place):
    np.savez("half.npz", x=VALUES, y=make_array.labels(KINDS["regression"])[:, :1], task="regression", classes=["rate"])
    model = TrainableModel("regression.tflite")
    assert "lacks attributes of the model: strength" in refused(lambda: adapt(model, data.load("half.npz")))


def test_a_model_of_images_refuses_arrays(model_path):
    model = TrainableModel(model_path, trust=True)
    text = refused(lambda: evaluate_dataset(model, windows((4, 4, 3))))
    assert text == "expected data of images for this model, got arrays in w"


@pytest.mark.parametrize("settings", [{"augmentation": Augmentation()}, {"central_fraction": 0.5}])
def test_settings_of_images_are_refused(place, settings):
    model = TrainableModel("array.tflite")
    text = refused(lambda: adapt(model, data.load("array.npz"), **settings))
    assert text.startswith("expected a model of images for ")
    if "central_fraction" in settings:
        assert refused(lambda: evaluate_dataset(model, data.load("array.npz").test, **settings)) == text


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (VALUES[0].astype(np.float64), "expected array: float32 [40, 6], got float64 [40, 6]"),
        (VALUES[0].T, "expected array: float32 [40, 6], got float32 [6, 40]"),
        ("a.wav", "expected array: float32 [40, 6], got str"),
        (
            np.where(VALUES[0] == VALUES[0][7, 2], np.inf, VALUES[0]),
            "expected finite numbers in array, got inf at [7, 2]",
        ),
    ],
)
def test_other_arrays_are_refused(array, message):
    model = TrainableModel(GOLDEN / "model_array.tflite")
    assert refused(lambda: model.infer(array)).startswith(message)


@pytest.mark.parametrize("name", KINDS)
def test_the_commands_take_arrays(place, capsys, name):
    argv = [f"--model={name}.tflite", f"--data={name}.npz"]
    assert runner.run_command("adapt", [*argv, "--state_out=out.tinytl", "--json=adapt.json", "--epochs=2"]) == 0
    output = capsys.readouterr().out
    assert runner.run_command("evaluate", [*argv, "--state=out.tinytl", "--json=evaluate.json"]) == 0
    adapted, evaluated = (json.loads((place / f"{command}.json").read_text()) for command in ("adapt", "evaluate"))
    assert adapted["augmentation"] is None
    assert adapted["after"]["loss"] == evaluated["loss"]
    assert "accuracy on 4 test arrays: " in output
    assert "accuracy on 4 test arrays: " in capsys.readouterr().out
    if name == "regression":
        assert [row["name"] for row in evaluated["classes"]] == ["rate", "strength"]
        assert "  rate: mean absolute error " in output


@pytest.mark.parametrize("flag", ["--noaugment", "--crop", "--flip", "--color=torch", "--central_fraction=0.5"])
def test_flags_of_images_are_refused(place, capsys, flag):
    argv = ["--model=array.tflite", "--data=array.npz"]
    assert runner.run_command("adapt", [*argv, "--state_out=out.tinytl", flag]) == 2
    assert "does nothing with a model of arrays" in capsys.readouterr().err
    if flag.startswith("--central"):
        assert runner.run_command("evaluate", [*argv, flag]) == 2
        assert "does nothing with a model of arrays" in capsys.readouterr().err


def test_a_folder_is_refused_without_a_sample_rate(place, capsys):
    assert runner.run_command("evaluate", ["--model=array.tflite", "--data=words"]) == 2
    assert "expected a packed .npz for a model of arrays [40, 6] without a sample rate" in capsys.readouterr().err


def of_images(manifest):
    """Makes the manifest of arrays one of images."""
    plain = json.loads((GOLDEN / "model_float32.manifest.json").read_text())
    del manifest["inputs"]
    manifest.update(input=plain["input"], data=plain["data"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_images, "expected array as the kind of input in "),
        (lambda m: m["inputs"]["array"].update(shape=[6, 40]), "expected [40, 6] as the shape of inputs.array in "),
        (lambda m: m.update(inputs={"features": {**m["inputs"]["array"], "dtype": "int8"}}), "has no field 'input'"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(place, change, message):
    path = place / "array.manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    assert message in refused(lambda: TrainableModel("array.tflite"))
