import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests import tiny_tflite
from tinytl_tf import data, locks
from tinytl_tf.cli import runner
from tinytl_tf.device import TrainableModel, write_state
from tinytl_tf.device import adaptation as adapting
from tinytl_tf.errors import InputError
from tinytl_tf.progress import Progress
from tinytl_tf.tflite.manifest import LABELS_ENTRY, DataSettings, InputSettings, embedded_labels
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import APIS

COLORS = {"blue": (40, 60, 200), "green": (40, 200, 60), "red": (200, 60, 40)}
STEPS = 3 * 8 // tiny_tflite.BATCH  # an epoch


def write_images(folder, classes, count):
    rng = np.random.default_rng(count)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = np.clip(np.array(COLORS[name]) + rng.integers(-40, 40, [6, 6, 3]), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with `model.tflite`, its manifest and `photos/`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tflite").write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(tmp_path / "model.tflite", sorted(COLORS))
    write_images(tmp_path / "photos" / "train", COLORS, 8)
    write_images(tmp_path / "photos" / "test", COLORS, 3)
    return tmp_path


ARGV = ["--model=model.tflite", "--data=photos", "--state_out=out.tinytl", "--learning_rate=0.01"]


def test_learns_saves_and_reports(place, capsys):
    assert runner.run_command("adapt", [*ARGV, "--json=result.json", "--seed=3"]) == 0
    result = json.loads((place / "result.json").read_text())
    assert result["accuracy_before"] == pytest.approx(1 / 3)
    assert result["accuracy_after"] == 1.0
    assert result["loss_before"] == pytest.approx(np.log(3))
    assert result["loss_after"] < 0.5
    assert result["losses"] == sorted(result["losses"], reverse=True)
    assert (len(result["losses"]), len(result["train_accuracies"])) == (5, 5)
    assert (result["steps"], result["applied"]) == (5 * STEPS, 5 * STEPS)
    assert result["step_ms"] > 0.0
    assert result["state_file"] == "out.tinytl"
    output = capsys.readouterr()
    assert "accuracy on 9 test images: 33.33% before, 100.00% after\n" in output.out
    epochs = re.findall(
        r"epoch (\d)/5: loss \d\.\d{4}, accuracy \d+\.\d\d% \[(\d+)/60, \d:\d\d passed, ETA", output.err
    )
    assert epochs == [(str(epoch), str(epoch * STEPS)) for epoch in range(1, 6)]
    model = TrainableModel("model.tflite")
    model.restore("out.tinytl")
    assert np.abs(model.state()).max() > 0.0


def test_what_the_manifest_says_of_the_data_is_followed(place):
    """A model of letters was flipped."""
    losses = {}
    for name, settings in {
        "plain": DataSettings(crop=False, flip=False),
        "flip": DataSettings(crop=False, flip=True),
        "crop": DataSettings(crop=True, flip=False),
        "color": DataSettings(crop=False, flip=False, color="torch"),
    }.items():
        tiny_tflite.write_manifest(place / "model.tflite", sorted(COLORS), data=settings)
        assert runner.run_command("adapt", [*ARGV, "--epochs=1", "--json=out.json", "--overwrite"]) == 0
        losses[name] = json.loads((place / "out.json").read_text())["losses"][0]
    assert len(set(losses.values())) == 4
    assert runner.run_command("adapt", [*ARGV, "--epochs=1", "--json=out.json", "--overwrite", "--noaugment"]) == 0
    assert json.loads((place / "out.json").read_text())["losses"][0] == losses["plain"]


def test_the_central_fraction_of_the_manifest_is_followed(place):
    after = {}
    for fraction in (0.875, 0.3):
        settings = InputSettings("uint8", (4, 4), (0, 255), "RGB", fraction)
        tiny_tflite.write_manifest(place / "model.tflite", sorted(COLORS), input=settings)
        for flag in ([], [f"--central_fraction={fraction}"]):
            assert runner.run_command("adapt", [*ARGV, *flag, "--json=out.json", "--overwrite"]) == 0
            after.setdefault(fraction, set()).add(json.loads((place / "out.json").read_text())["loss_after"])
    assert [len(values) for values in after.values()] == [1, 1]
    assert after[0.875] != after[0.3]


@pytest.mark.parametrize("command", ["adapt", "evaluate"])
def test_a_split_seed_that_does_nothing_is_refused(place, capsys, command):
    argv = {"adapt": ARGV, "evaluate": ["--model=model.tflite", "--data=photos"]}[command]
    assert runner.run_command(command, [*argv, "--split_seed=1"]) == 2
    assert "error: the split seed 1 does nothing for image folder photos/train, whose " in capsys.readouterr().err
    settings = DataSettings(split_seed=1, crop=False, flip=False)
    tiny_tflite.write_manifest(place / "model.tflite", sorted(COLORS), data=settings)
    assert runner.run_command(command, argv) == 0  # nobody gave it for these data


def test_the_library_follows_the_central_fraction_of_the_manifest(place):
    settings = InputSettings("uint8", (4, 4), (0, 255), "RGB", 0.3)
    tiny_tflite.write_manifest(place / "model.tflite", sorted(COLORS), input=settings)
    model, dataset = TrainableModel("model.tflite"), data.load("photos").test
    adapting.adapt(model, data.load("photos"), epochs=1)
    losses = [adapting.evaluate_dataset(model, dataset, central_fraction=part).loss for part in (None, 0.3, 0.875)]
    assert losses[0] == losses[1] != losses[2]


def test_the_schedule_sets_the_rate_of_each_step(place):
    losses = {}
    for schedule in ("cosine", "constant"):
        assert runner.run_command("adapt", [*ARGV, f"--schedule={schedule}", "--json=out.json", "--overwrite"]) == 0
        losses[schedule] = json.loads((place / "out.json").read_text())["losses"]
    assert losses["cosine"][0] != losses["constant"][0]
    assert losses["cosine"][-1] > losses["constant"][-1]


def test_the_accuracy_is_that_of_the_test_split(place):
    """The test images of red are blue: what is learnt from the training images is wrong for a third of them."""
    shutil.rmtree(place / "photos/test/red")
    shutil.copytree(place / "photos/test/blue", place / "photos/test/red")
    assert runner.run_command("adapt", [*ARGV, "--json=out.json"]) == 0
    result = json.loads((place / "out.json").read_text())
    assert result["train_accuracies"][-1] == 1.0
    assert result["accuracy_after"] == pytest.approx(2 / 3)


def test_classes_are_matched_by_name_whatever_their_order_and_number(place):
    """By position, three of five classes would train and be judged as the first three outputs."""
    tiny_tflite.write_manifest(place / "model.tflite", ["red", "blue", "green"])
    assert runner.run_command("adapt", [*ARGV, "--json=out.json"]) == 0
    assert json.loads((place / "out.json").read_text())["accuracy_after"] == 1.0
    model = TrainableModel("model.tflite")
    model.restore("out.tinytl")
    for index, name in enumerate(model.class_names):
        assert model.infer(np.full((4, 4, 3), COLORS[name], np.uint8)).logits.argmax() == index
    shutil.rmtree(place / "photos/train/blue")
    shutil.rmtree(place / "photos/test/blue")
    argv = ["--model=model.tflite", "--data=photos", "--state=out.tinytl", "--json=eval.json"]
    assert runner.run_command("evaluate", argv) == 0
    assert json.loads((place / "eval.json").read_text())["accuracy"] == 1.0


def test_names_inside_the_file_do_for_the_manifest(place):
    model = Model.read("model.tflite")
    model.set_metadata(LABELS_ENTRY, embedded_labels("classification", ["red", "blue", "green"]))
    (place / "model.tflite").write_bytes(model.to_bytes())
    (place / "model.manifest.json").unlink()
    assert runner.run_command("adapt", [*ARGV, "--json=out.json", "--trust"]) == 0
    assert json.loads((place / "out.json").read_text())["accuracy_after"] == 1.0
    assert TrainableModel("model.tflite", trust=True).class_names == ("red", "blue", "green")


def test_without_a_rate_that_of_the_manifest_is_taken_and_told(place, capsys):
    manifest = place / "model.manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"learning_rate": 0.25}))
    argv = [flag for flag in ARGV if not flag.startswith("--learning_rate")]
    assert runner.run_command("adapt", [*argv, "--epochs=1", "--json=out.json"]) == 0
    assert "\nlearning rate 0.25, cosine\n" in capsys.readouterr().out
    result = json.loads((place / "out.json").read_text())
    given = [*argv, "--learning_rate=0.25", "--epochs=1", "--overwrite", "--json=out.json"]
    assert runner.run_command("adapt", given) == 0
    again = json.loads((place / "out.json").read_text())
    assert (result["learning_rate"], result["losses"]) == (0.25, again["losses"])


class Stop(Exception):
    pass


@pytest.mark.parametrize("stopped_at", [1, 7, STEPS, STEPS + 5])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(place, monkeypatch, stopped_at):
    argv = [*ARGV, "--epochs=3", "--save_every=3", "--overwrite"]
    assert runner.run_command("adapt", [*argv, "--json=whole.json"]) == 0
    whole = (place / "out.tinytl").read_bytes()
    (place / "out.tinytl").unlink()
    train, calls = TrainableModel.train, []

    def stopping(self, *arguments):
        calls.append(None)
        result = train(self, *arguments)
        if len(calls) == stopped_at:
            os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(TrainableModel, "train", stopping)
    assert runner.run_command("adapt", argv) == 130
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert not (place / "out.tinytl").exists()
    assert len(json.loads((place / "out.tinytl.progress.json").read_text())["steps"]) == stopped_at
    assert runner.run_command("adapt", [*argv, "--resume", "--seed=1"]) == 2
    assert runner.run_command("adapt", [*argv, "--resume", "--json=resumed.json"]) == 0
    assert (place / "out.tinytl").read_bytes() == whole
    results = [json.loads((place / f"{name}.json").read_text()) for name in ("whole", "resumed")]
    for result in results:
        del result["step_ms"]
    assert results[0] == results[1]
    assert list(place.glob("out.tinytl.*")) == []


def test_a_killed_run_goes_on_from_its_last_save(place, monkeypatch):
    argv = [*ARGV, "--epochs=2", "--save_every=4", "--overwrite"]
    assert runner.run_command("adapt", argv) == 0
    whole = (place / "out.tinytl").read_bytes()
    train, calls = TrainableModel.train, []

    def dying(self, *arguments):
        calls.append(None)
        if len(calls) == 11:
            raise Stop
        return train(self, *arguments)

    monkeypatch.setattr(TrainableModel, "train", dying)
    with pytest.raises(Stop):
        runner.run_command("adapt", argv)
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert len(json.loads((place / "out.tinytl.progress.json").read_text())["steps"]) == 8
    assert runner.run_command("adapt", [*argv, "--resume"]) == 0
    assert (place / "out.tinytl").read_bytes() == whole


def stop_in(monkeypatch, owner, name, number, calls=1):
    """Sends the signal to this process after so many calls of a function."""
    original, done = getattr(owner, name), []

    def stopping(*arguments, **options):
        result = original(*arguments, **options)
        done.append(None)
        if len(done) == calls:
            os.kill(os.getpid(), number)
        return result

    monkeypatch.setattr(owner, name, stopping)


EVALUATIONS = {"validation": 2, "test after": 3}  # the first one is `test before`


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("calls", EVALUATIONS.values(), ids=EVALUATIONS)
def test_an_interrupt_while_the_model_is_judged_loses_no_step(place, monkeypatch, number, calls):
    """One in the last validation was forgotten: the run ended with 0."""
    write_images(place / "photos" / "val", COLORS, 2)
    argv = [*ARGV, "--epochs=1", "--overwrite"]
    assert runner.run_command("adapt", argv) == 0
    whole = {name: (place / name).read_bytes() for name in ("out.tinytl", "out.best.tinytl")}
    for name in whole:
        (place / name).unlink()
    stop_in(monkeypatch, adapting, "evaluate_dataset", number, calls)
    assert runner.run_command("adapt", argv) == 128 + number
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert not (place / "out.tinytl").exists()
    assert len(json.loads((place / "out.tinytl.progress.json").read_text())["steps"]) == STEPS
    assert runner.run_command("adapt", [*argv, "--resume"]) == 0
    assert {name: (place / name).read_bytes() for name in whole} == whole


def test_an_interrupt_between_two_steps_loses_no_step(place, monkeypatch):
    """There most of the time is spent where photos are large."""
    # All images are read, the test images evaluated, then come five steps.
    stop_in(monkeypatch, Progress, "advance", signal.SIGINT, 24 + 9 + 9 + 5)
    assert runner.run_command("adapt", ARGV) == 130
    assert len(json.loads((place / "out.tinytl.progress.json").read_text())["steps"]) == 5


def test_the_best_epoch_of_a_run_that_was_stopped_at_its_end(place, monkeypatch):
    """It was not judged when the run went on."""
    write_images(place / "photos" / "val", COLORS, 2)
    argv = [*ARGV, "--epochs=2", "--overwrite", "--json=out.json"]
    assert runner.run_command("adapt", argv) == 0
    whole = (place / "out.best.tinytl").read_bytes()
    assert whole != (place / "out.tinytl").read_bytes()  # the first epoch was the best
    (place / "out.best.tinytl").unlink()
    stop_in(monkeypatch, TrainableModel, "train", signal.SIGINT, STEPS)
    assert runner.run_command("adapt", argv) == 130
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert runner.run_command("adapt", [*argv, "--resume"]) == 0
    assert (place / "out.best.tinytl").read_bytes() == whole
    assert json.loads((place / "out.json").read_text())["best_accuracy"] == 1.0


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--noxnnpack", "cannot resume: xnnpack was True and is now False; use the same, or start the run again"),
        ("--threads=1", "cannot resume: num_threads was 2 and is now 1; use the same, or start the run again"),
        ("--api=compiled_model", "cannot resume: api was 'interpreter' and is now 'compiled_model'; use the same"),
    ],
)
def test_a_run_goes_on_in_the_same_runtime_only(place, monkeypatch, capsys, flag, message):
    """Others round otherwise, so that the end would differ."""
    stop_in(monkeypatch, TrainableModel, "train", signal.SIGINT, 5)
    assert runner.run_command("adapt", ARGV) == 130
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert runner.run_command("adapt", [*ARGV, "--resume", flag]) == 2
    assert message in capsys.readouterr().err


def test_a_run_that_was_stopped_is_not_lost_by_starting_it_again(place, monkeypatch, capsys):
    stop_in(monkeypatch, TrainableModel, "train", signal.SIGINT, 5)
    assert runner.run_command("adapt", ARGV) == 130
    monkeypatch.undo()
    monkeypatch.chdir(place)
    progress = (place / "out.tinytl.progress.json").read_bytes()
    assert runner.run_command("adapt", ARGV) == 2
    assert "was stopped on its way; continue with --resume, or give --overwrite" in capsys.readouterr().err
    assert (place / "out.tinytl.progress.json").read_bytes() == progress
    assert runner.run_command("adapt", [*ARGV, "--overwrite"]) == 0


def test_damaged_progress_is_refused_before_any_work(place, monkeypatch, capsys):
    stop_in(monkeypatch, TrainableModel, "train", signal.SIGINT, 5)
    assert runner.run_command("adapt", ARGV) == 130
    monkeypatch.undo()
    monkeypatch.chdir(place)
    monkeypatch.setattr(TrainableModel, "infer", None)
    monkeypatch.setattr(TrainableModel, "train", None)
    progress, state = place / "out.tinytl.progress.json", place / "out.tinytl.step-5"
    TrainableModel("model.tflite").save("other.tinytl")
    for path, content in (
        (progress, progress.read_bytes().replace(b"true", b"null", 1)),
        (progress, progress.read_bytes().replace(b"step-5", b"step-6", 1)),
        (progress, progress.read_bytes()[:-1]),
        (state, (place / "other.tinytl").read_bytes()),
    ):
        before = path.read_bytes()
        path.write_bytes(content)
        capsys.readouterr()
        assert runner.run_command("adapt", [*ARGV, "--resume"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith("; start the run again")
        path.write_bytes(before)


def test_a_name_that_leaves_no_room_for_the_files_of_the_run_is_refused(place, capsys):
    before = sorted(place.iterdir())
    assert runner.run_command("adapt", [*ARGV, f"--state_out={'x' * 246}"]) == 2
    assert "File name too long" in capsys.readouterr().err
    assert sorted(place.iterdir()) == before


def test_the_best_state_of_another_run_is_not_replaced(place, capsys):
    write_images(place / "photos" / "val", COLORS, 2)
    (place / "out.best.tinytl").write_bytes(b"another")
    assert runner.run_command("adapt", ARGV) == 2
    assert "out.best.tinytl exists already; choose another path" in capsys.readouterr().err
    assert (place / "out.best.tinytl").read_bytes() == b"another"


def test_files_of_another_run_are_left_alone_whatever_the_name(place):
    (place / "out1.tinytl.step-3").write_bytes(b"another")
    argv = [*ARGV, "--state_out=out[1].tinytl", "--epochs=1", "--save_every=2"]
    assert runner.run_command("adapt", argv) == 0
    assert sorted(path.name for path in place.glob("out*")) == ["out1.tinytl.step-3", "out[1].tinytl"]


def test_an_interrupted_process_ends_with_130_and_its_state_saved(place):
    """A real process and a real signal."""
    argv = [sys.executable, "-m", "tinytl_tf.cli.main", "adapt", *ARGV, "--epochs=100000"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
    for line in process.stderr:
        if line.startswith("epoch 3/"):
            break
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130, error
    assert "saved the run's progress; continue with --resume" in error
    assert "Traceback" not in error
    progress = json.loads((place / "out.tinytl.progress.json").read_text())
    assert len(progress["steps"]) >= 3 * STEPS
    TrainableModel("model.tflite").restore(place / progress["state"])


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": "fast"},
        {"learning_rate": True},
        {"learning_rate": 1e39},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": "one"},
        {"schedule": ["cosine"]},
        {"epochs": 0},
        {"epochs": 1.5},
        {"save_every": 0},
    ],
    ids=str,
)
def test_arguments_of_the_function_are_refused_in_words(place, options):
    model = TrainableModel("model.tflite")
    before = model.state()
    with pytest.raises(InputError, match="got|unknown schedule"):
        adapting.adapt(model, data.load("photos"), **options)
    np.testing.assert_array_equal(model.state(), before)


def test_without_a_manifest_no_run_goes_on(place, capsys):
    (place / "model.manifest.json").unlink()
    assert runner.run_command("adapt", [*ARGV, "--resume", "--classes_by_position", "--trust"]) == 2
    assert "without a manifest it is unknown whether the file's state holds all" in capsys.readouterr().err


def attributes(place, names):
    """A file for several attributes, and photos of which each has some of them."""
    (place / "model.tflite").write_bytes(tiny_tflite.build(tiny_tflite.ATTRIBUTES, tiny_tflite.SIGNATURES))
    tiny_tflite.write_manifest(
        place / "model.tflite", ["warm", "green", "blue"], task="multilabel", data=DataSettings(crop=False, flip=False)
    )
    has = {"warm": ("red", "green"), "green": ("green",), "blue": ("blue",)}
    for split in ("train", "test"):
        folder = place / "photos" / split
        paths = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
        rows = [",".join([str(path), *(str(int(path.parts[0] in has[name])) for name in names)]) for path in paths]
        (folder / "labels.csv").write_text("\n".join([",".join(["file", *names]), *rows]) + "\n")


@pytest.mark.parametrize("names", [("warm", "green", "blue"), ("blue", "warm", "green")])
def test_several_attributes_are_learnt_by_name(place, names):
    attributes(place, names)
    assert runner.run_command("adapt", [*ARGV, "--epochs=40", "--learning_rate=0.1", "--json=out.json"]) == 0
    result = json.loads((place / "out.json").read_text())
    assert result["loss_before"] == pytest.approx(np.log(2))
    assert result["accuracy_after"] == 1.0
    model = TrainableModel("model.tflite")
    model.restore("out.tinytl")
    assert (model.infer(np.full((4, 4, 3), COLORS["green"], np.uint8)).probabilities > 0.5).tolist() == [1, 1, 0]
    argv = ["--model=model.tflite", "--data=photos", "--state=out.tinytl", "--json=eval.json"]
    assert runner.run_command("evaluate", argv) == 0
    assert json.loads((place / "eval.json").read_text())["accuracy"] == 1.0


def test_an_attribute_without_labels_is_not_taken_for_absent(place, capsys):
    attributes(place, ("warm", "green"))
    assert runner.run_command("adapt", ARGV) == 2
    assert "photos/train lacks attributes of the model: blue; " in capsys.readouterr().err


def test_classes_for_a_model_of_attributes_are_refused(place, capsys):
    attributes(place, ("warm", "green", "blue"))
    for split in ("train", "test"):
        (place / "photos" / split / "labels.csv").unlink()
    assert runner.run_command("adapt", ARGV) == 2
    assert "has labels for classification, expected multilabel: each attribute for each" in capsys.readouterr().err


def test_slots_that_are_not_saved_cannot_be_gone_on_with(place, capsys):
    tiny_tflite.write_manifest(place / "model.tflite", sorted(COLORS), optimizer="adam")
    assert runner.run_command("adapt", [*ARGV, "--resume"]) == 2
    assert "does not hold its optimizer's slots" in capsys.readouterr().err


def test_the_best_epoch_is_chosen_by_validation_images(place):
    write_images(place / "photos" / "val", COLORS, 2)
    assert runner.run_command("adapt", [*ARGV, "--json=out.json"]) == 0
    assert json.loads((place / "out.json").read_text())["best_accuracy"] == 1.0
    assert (place / "out.best.tinytl").exists()


def test_the_best_epoch_is_not_chosen_by_test_images(place):
    """The test images of red are blue, so that another epoch is best on them, if any."""
    write_images(place / "photos" / "val", COLORS, 2)
    shutil.rmtree(place / "photos/test/red")
    shutil.copytree(place / "photos/test/blue", place / "photos/test/red")
    assert runner.run_command("adapt", [*ARGV, "--json=out.json"]) == 0
    result = json.loads((place / "out.json").read_text())
    assert (result["best_accuracy"], result["accuracy_after"]) == (1.0, pytest.approx(2 / 3))


def test_the_test_images_of_a_flat_folder_are_those_of_the_manifest(place):
    """With the default seed a model was tested on images that it was trained on."""
    write_images(place / "flat", COLORS, 12)
    argv = [*ARGV[:1], "--data=flat", *ARGV[2:], "--epochs=1", "--json=out.json", "--overwrite"]
    judge = ["--model=model.tflite", "--data=flat", "--state=mine.tinytl", "--json=out.json", "--overwrite"]
    adapted, judged = {}, {}
    for seed in (0, 1):
        tiny_tflite.write_manifest(
            place / "model.tflite", sorted(COLORS), data=DataSettings(split_seed=seed, crop=False, flip=False)
        )
        for flag in ([], [f"--split_seed={seed}"]):
            assert runner.run_command("adapt", [*argv, *flag]) == 0
            adapted.setdefault(seed, set()).add(json.loads((place / "out.json").read_text())["loss_after"])
            if not (place / "mine.tinytl").exists():
                shutil.copy(place / "out.tinytl", place / "mine.tinytl")
            assert runner.run_command("evaluate", [*judge, *flag]) == 0
            judged.setdefault(seed, set()).add(json.loads((place / "out.json").read_text())["loss"])
    for losses in (adapted, judged):
        assert [len(values) for values in losses.values()] == [1, 1]
        assert losses[0] != losses[1]


def test_evaluate_follows_the_central_fraction_of_the_manifest(place):
    assert runner.run_command("adapt", ARGV) == 0
    argv = ["--model=model.tflite", "--data=photos", "--state=out.tinytl", "--json=out.json", "--overwrite"]
    losses = {}
    for fraction in (0.875, 0.3):
        settings = InputSettings("uint8", (4, 4), (0, 255), "RGB", fraction)
        tiny_tflite.write_manifest(place / "model.tflite", sorted(COLORS), input=settings)
        for flag in ([], [f"--central_fraction={fraction}"]):
            assert runner.run_command("evaluate", [*argv, *flag]) == 0
            losses.setdefault(fraction, set()).add(json.loads((place / "out.json").read_text())["loss"])
    assert [len(values) for values in losses.values()] == [1, 1]
    assert losses[0.875] != losses[0.3]


@pytest.mark.parametrize(
    "flag",
    ["--state=out.tinytl", "--threads=1", "--xnnpack", "--noxnnpack", "--api=interpreter", "--classes_by_position"],
)
def test_flags_of_a_file_do_nothing_for_a_run(place, capsys, flag):
    name = flag.removeprefix("--").removeprefix("no").partition("=")[0]
    assert runner.run_command("evaluate", ["--workdir=run", flag]) == 2
    assert f"--{name} does nothing with --workdir, whose checkpoints run in Keras" in capsys.readouterr().err


def test_flags_of_a_run_do_nothing_for_a_file(place, capsys):
    assert runner.run_command("evaluate", ["--model=model.tflite", "--data=photos", "--checkpoint=last"]) == 2
    assert "--checkpoint does nothing with --model, which has no checkpoints" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_state(place):
    states = []
    for seed in (0, 0, 1):
        assert runner.run_command("adapt", [*ARGV, f"--seed={seed}", "--epochs=1", "--overwrite"]) == 0
        states.append((place / "out.tinytl").read_bytes())
    assert states[0] == states[1] != states[2]


def test_both_interfaces_learn_the_same(place):
    states = []
    for api in APIS:
        argv = [*ARGV, f"--api={api}", "--epochs=1", "--json=result.json", "--overwrite"]
        assert runner.run_command("adapt", argv) == 0
        assert json.loads((place / "result.json").read_text())["api"] == api
        states.append((place / "out.tinytl").read_bytes())
        argv = ["--model=model.tflite", "--data=photos", "--state=out.tinytl", f"--api={api}", f"--json={api}.json"]
        assert runner.run_command("evaluate", argv) == 0
    assert states[0] == states[1]
    assert (place / "interpreter.json").read_text() == (place / "compiled_model.json").read_text()


def test_goes_on_from_a_state(place):
    assert runner.run_command("adapt", ARGV) == 0
    argv = [*ARGV[:2], "--state_in=out.tinytl", "--state_out=more.tinytl", "--json=result.json", "--schedule=constant"]
    assert runner.run_command("adapt", [*argv, "--noaugment", "--noxnnpack", "--threads=1", "--learning_rate=0"]) == 2
    assert runner.run_command("adapt", [*argv, "--noaugment", "--noxnnpack", "--threads=1"]) == 0
    assert json.loads((place / "result.json").read_text())["accuracy_before"] == 1.0


def test_augmentation_is_switched_off_in_parts(place):
    switches = ["--noaugment", "--nocrop --noflip", "--nocrop", "--noflip", "--augment", "--nocrop --color=torch"]
    losses = {}
    for switch in switches:
        argv = [*ARGV, *switch.split(), "--epochs=1", "--json=part.json", "--overwrite"]
        assert runner.run_command("adapt", argv) == 0
        losses[switch] = json.loads((place / "part.json").read_text())["losses"][0]
    assert losses["--noaugment"] == losses["--nocrop --noflip"]
    assert len(set(losses.values())) == len(switches) - 1


def test_the_part_of_an_image_that_is_evaluated(place):
    results = []
    for fraction in ([], ["--central_fraction=0.875"], ["--central_fraction=1"]):
        assert runner.run_command("adapt", [*ARGV, *fraction, "--json=part.json", "--overwrite"]) == 0
        results.append(json.loads((place / "part.json").read_text()))
    assert results[0]["losses"] == results[1]["losses"] == results[2]["losses"]
    assert results[0]["loss_after"] == results[1]["loss_after"] != results[2]["loss_after"]


def test_runs_without_tensorflow_as_a_module(place):
    check = (
        "import sys; from tinytl_tf.cli.main import main; status = main(sys.argv[1:]);"
        "sys.exit(status or 10 * ('tensorflow' in sys.modules or 'keras' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check, "adapt", *ARGV, "--epochs=1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([sys.executable, "-m", "tinytl_tf.cli.adapt", *ARGV], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("tinytl adapt: error: out.tinytl exists already;")


def set_labels(labels):
    def change(place):
        tiny_tflite.write_manifest(place / "model.tflite", labels)

    return change


def remove_manifest_and_add_class(place):
    (place / "model.manifest.json").unlink()
    for split in ("train", "test"):
        (place / "photos" / split / "yellow").mkdir()
        Image.new("RGB", (4, 4)).save(place / "photos" / split / "yellow" / "0.png")


def several_attributes(place):
    for split in ("train", "test"):
        names = sorted(path.relative_to(place / "photos" / split) for path in (place / "photos" / split).rglob("*.png"))
        rows = [f"{name},{int('red' in str(name))},1,0" for name in names]
        (place / "photos" / split / "labels.csv").write_text("\n".join(["file,red,green,blue", *rows]) + "\n")


def ruin_state(place):
    (place / "in.tinytl").write_bytes(b"TINYTL\r\n")


def blow_up(place):
    model = TrainableModel("model.tflite")
    write_state("in.tinytl", np.full(model.state_size, 3e38, np.float32), model.fingerprint)


def nothing(place):
    pass


BAD_INPUT = {
    "model": (
        nothing,
        ["--model=none.tflite"],
        "expected a .tflite file at none.tflite, got: No such file or directory; check the path",
    ),
    "learning rate": (nothing, ["--learning_rate=nan"], "expected a finite --learning_rate above 0, got nan"),
    "central fraction": (
        nothing,
        ["--central_fraction=1.5"],
        "expected central_fraction above 0 and at most 1, got 1.5",
    ),
    "schedule": (
        nothing,
        ["--schedule=linear"],
        "flag --schedule=linear: value should be one of <cosine|constant> (`tinytl adapt --help` lists the flags)",
    ),
    "state_out exists": (
        lambda place: (place / "out.tinytl").touch(),
        [],
        "out.tinytl exists already; choose another path, or give --overwrite to replace it",
    ),
    "state_out below a file": (
        nothing,
        ["--state_out=model.tflite/out.tinytl"],
        "cannot write model.tflite/out.tinytl: {place}/model.tflite is not a writable folder; choose another path",
    ),
    "state_in": (
        ruin_state,
        ["--state_in=in.tinytl"],
        "in.tinytl is cut short: expected 48 bytes or more, got 8; use another copy",
    ),
    "other class names": (
        set_labels(["cat", "dog", "red"]),
        [],
        "image folder photos/train has classes that the model does not have: blue, green; it has cat, dog, red: "
        "rename or leave out these, or export a model for them",
    ),
    "several attributes": (
        several_attributes,
        [],
        "image folder photos/train has labels for multilabel, expected classification: one class for each image; give "
        "data with a folder for each class, or labels [n]",
    ),
    "no names": (
        remove_manifest_and_add_class,
        ["--trust"],
        "the model has no names for its 3 outputs, image folder photos/train has the classes blue, green, red, yellow; "
        "put the manifest next to the file, or match the classes by position",
    ),
    "more classes by position": (
        remove_manifest_and_add_class,
        ["--classes_by_position", "--trust"],
        "expected 3 classes to match by position, got 4 in image folder photos/train (blue, green, red, yellow); "
        "give data of as many classes as the model has",
    ),
    "nothing to go on with": (
        nothing,
        ["--resume"],
        "there is no run to resume: out.tinytl.progress.json does not exist; start it without resuming",
    ),
    "a run that has finished": (
        lambda place: (place / "out.tinytl").touch(),
        ["--resume"],
        "nothing to resume: the run that writes out.tinytl has finished; to train further, give "
        "--state_in=out.tinytl and another --state_out",
    ),
    "two starts": (
        nothing,
        ["--resume", "--state_in=in.tinytl"],
        "expected --resume or --state_in, got both: a run resumes from its own state",
    ),
    "a switch of what is off": (
        nothing,
        ["--noaugment", "--flip"],
        "expected --flip without --noaugment, which switches everything off",
    ),
    "state too large": (
        blow_up,
        ["--state_in=in.tinytl"],
        "cannot set the state: expected magnitudes that add up to less than 1e+15, got 4.41e+40; use another copy, or "
        "reset the model and train with a lower learning rate",
    ),
    "learning rate too large": (
        nothing,
        ["--learning_rate=3e38"],
        "the training has diverged: 0 of 12 steps of epoch 1 were applied, all others had a loss or gradients that "
        "are not finite; nothing is saved; lower the learning rate, and reset the model or restore another state",
    ),
}


DIVERGED = "the training has diverged: "


@pytest.mark.parametrize(("change", "argv", "message"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_ends_with_one_line_and_no_file(place, capsys, change, argv, message):
    change(place)
    before = sorted(place.rglob("*"))
    assert runner.run_command("adapt", [*ARGV, "--json=result.json", *argv]) == (4 if DIVERGED in message else 2)
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tinytl adapt: error: ")]
    assert error == [f"tinytl adapt: error: {message}".format(place=place)]
    assert sorted(place.rglob("*")) == before


def test_a_full_disk_is_noticed_before_the_work(place, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    before = set(place.iterdir())
    assert runner.run_command("adapt", [*ARGV, "--state_out=new.tinytl", "--epochs=1"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"tinytl adapt: error: expected room for [\d,]+ bytes in .*, got: No space left on device; .*", error
    )
    assert set(place.iterdir()) == before


@pytest.mark.parametrize("rate", ["30", "300", "3e5"])
@pytest.mark.parametrize("has_test", [True, False])
def test_a_diverged_training_saves_nothing_and_ends_with_4(place, capsys, rate, has_test):
    """It printed the mean of the one step that was applied, saved a state of loss 5443, and ended with 0."""
    rng = np.random.default_rng(0)
    for path in (place / "photos").rglob("*.png"):  # with nothing to learn
        Image.fromarray(rng.integers(0, 256, [6, 6, 3], np.uint8)).save(path)
    if not has_test:
        shutil.rmtree(place / "photos/test")
    assert runner.run_command("adapt", [*ARGV, "--epochs=1"]) == 0
    good = (place / "out.tinytl").read_bytes()
    capsys.readouterr()
    argv = [*ARGV, f"--learning_rate={rate}", "--schedule=constant", "--epochs=2", "--save_every=1", "--overwrite"]
    assert runner.run_command("adapt", argv) == 4
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("tinytl adapt: error: the training has diverged: ")
    assert error.endswith("; lower the learning rate, and reset the model or restore another state")
    assert (place / "out.tinytl").read_bytes() == good
    assert list(place.glob("out.tinytl.*")) == []


def refuse_some(monkeypatch, every):
    """One step in `every` is refused, its loss not finite; the others learn."""
    train, calls = TrainableModel.train, []

    def refusing(self, *arguments):
        calls.append(None)
        result = train(self, *arguments)
        return dataclasses.replace(result, applied=False, loss=math.inf) if len(calls) % every == 0 else result

    monkeypatch.setattr(TrainableModel, "train", refusing)


def test_steps_that_were_refused_are_counted_in_each_epoch(place, capsys, monkeypatch):
    refuse_some(monkeypatch, 4)
    assert runner.run_command("adapt", [*ARGV, "--epochs=2", "--json=out.json"]) == 0
    output = capsys.readouterr()
    lines = re.findall(r"epoch \d/2: loss \d\.\d{4}, accuracy \d+\.\d\d%(.*) \[", output.err)
    assert lines == [f", {STEPS - STEPS // 4} of {STEPS} steps applied"] * 2
    assert "24 steps (18 applied)" in output.out
    losses = json.loads((place / "out.json").read_text())["losses"]
    assert all(math.isfinite(loss) for loss in losses)


def test_half_of_the_steps_may_be_refused_and_no_more(place, monkeypatch):
    refuse_some(monkeypatch, 2)
    assert runner.run_command("adapt", [*ARGV, "--epochs=1"]) == 0
    monkeypatch.undo()
    monkeypatch.chdir(place)
    train, calls = TrainableModel.train, []

    def refusing(self, *arguments):
        calls.append(None)
        result = train(self, *arguments)
        return dataclasses.replace(result, applied=False) if len(calls) <= STEPS // 2 + 1 else result

    monkeypatch.setattr(TrainableModel, "train", refusing)
    assert runner.run_command("adapt", [*ARGV, "--epochs=1", "--overwrite"]) == 4


def test_means_are_over_all_steps_with_a_finite_loss(place, monkeypatch):
    """The mean over the applied steps alone was "accuracy 100.00%" of one step in thirty."""
    train, losses = TrainableModel.train, []

    def some(self, *arguments):
        result = train(self, *arguments)
        losses.append(result.loss)
        return dataclasses.replace(result, applied=len(losses) % 2 == 0)

    monkeypatch.setattr(TrainableModel, "train", some)
    assert runner.run_command("adapt", [*ARGV, "--epochs=1", "--json=out.json"]) == 0
    assert json.loads((place / "out.json").read_text())["losses"] == [pytest.approx(np.mean(losses))]


def test_figures_of_each_class_are_printed_and_in_the_json(place, capsys):
    """Of 60, 3 and 3 photos 90.91 % were right, and none of two classes."""
    write_images(place / "more", ["blue"], 40)
    for path in (place / "more/blue").iterdir():
        shutil.copy(path, place / "photos/test/blue" / f"more {path.name}")
    for name in ("green", "red"):  # as blue as they can be
        for index, path in enumerate(sorted((place / f"photos/test/{name}").iterdir())):
            Image.new("RGB", (6, 6), (40 + index, 60, 200)).save(path)
    assert runner.run_command("adapt", [*ARGV, "--json=out.json"]) == 0
    result = json.loads((place / "out.json").read_text())
    assert result["after"]["accuracy"] == pytest.approx(43 / 49)
    assert result["after"]["balanced_accuracy"] == pytest.approx(1 / 3)
    rows = {row.pop("name"): row for row in result["after"]["classes"]}
    assert rows["blue"] == {"images": 43, "right": 43, "recall": 1.0}
    assert rows["green"] == {"images": 3, "right": 0, "recall": 0.0}
    assert sum(row["images"] for row in result["before"]["classes"]) == 49
    output = capsys.readouterr().out
    assert "87.76% (balanced 33.33%) after\n" in output
    assert re.search(r"\n  red: recall \d+\.\d\d% -> 0\.00% of 3\n", output)
    assert runner.run_command("evaluate", ["--model=model.tflite", "--data=photos", "--state=out.tinytl"]) == 0
    assert "accuracy on 49 test images: 87.76% (balanced 33.33%)" in capsys.readouterr().out


def test_without_test_images_it_trains_and_measures_nothing(place, capsys):
    shutil.rmtree(place / "photos/test")
    assert runner.run_command("adapt", [*ARGV, "--json=out.json"]) == 0
    result = json.loads((place / "out.json").read_text())
    assert (result["accuracy_before"], result["accuracy_after"], result["after"]) == (None, None, None)
    assert result["losses"][-1] < 0.5
    output = capsys.readouterr().out
    assert "test: no images, so that no accuracy is measured\n" in output
    assert "accuracy on" not in output
    assert runner.run_command("evaluate", ["--model=model.tflite", "--data=photos"]) == 2
    assert "has no test images to report on; " in capsys.readouterr().err


def test_photos_of_one_class_alone_are_data(place):
    for split in ("train", "test"):
        for name in ("green", "red"):
            shutil.rmtree(place / "photos" / split / name)
    assert runner.run_command("evaluate", ["--model=model.tflite", "--data=photos", "--json=e.json"]) == 0
    assert json.loads((place / "e.json").read_text())["images"] == 3
    assert runner.run_command("adapt", [*ARGV, "--epochs=1"]) == 0


@pytest.mark.parametrize("suffix", [".bmp", ".png"])
def test_photos_that_have_changed_places_are_other_photos(place, capsys, monkeypatch, suffix):
    """All BMP files of one size have equal byte counts: a run went on with the pictures of two classes exchanged."""
    for path in sorted((place / "photos").rglob("*.png")):
        picture = Image.open(path).copy()
        path.unlink()
        picture.save(path.with_suffix(suffix))
        content = path.with_suffix(suffix).read_bytes()
        path.with_suffix(suffix).write_bytes(content + b"\0" * (1000 - len(content)))
    stop_in(monkeypatch, TrainableModel, "train", signal.SIGINT, 5)
    assert runner.run_command("adapt", ARGV) == 130
    monkeypatch.undo()
    monkeypatch.chdir(place)
    photos = place / "photos/train"
    (photos / "blue").rename(place / "aside")
    (photos / "red").rename(photos / "blue")
    (place / "aside").rename(photos / "red")
    assert runner.run_command("adapt", [*ARGV, "--resume"]) == 2
    assert "error: cannot resume: data was " in capsys.readouterr().err
    (photos / "blue").rename(place / "aside")
    (photos / "red").rename(photos / "blue")
    (place / "aside").rename(photos / "red")
    assert runner.run_command("adapt", [*ARGV, "--resume"]) == 0


def test_a_second_run_of_one_output_is_refused(place, capsys):
    """Both ended with 0, and one state was gone."""
    with locks.output_lock("out.tinytl"):
        assert runner.run_command("adapt", ARGV) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("tinytl adapt: error: out.tinytl is in use by another training (process ")
    assert runner.run_command("adapt", [*ARGV, "--epochs=1"]) == 0


def test_the_schedule_of_the_manifest_is_followed(place, capsys):
    losses = {}
    for schedule in ("cosine", "constant"):
        tiny_tflite.write_manifest(place / "model.tflite", sorted(COLORS), schedule=schedule)
        assert runner.run_command("adapt", [*ARGV, "--json=out.json", "--overwrite"]) == 0
        assert f"learning rate 0.01, {schedule}\n" in capsys.readouterr().out
        losses[schedule] = json.loads((place / "out.json").read_text())["losses"]
        assert runner.run_command("adapt", [*ARGV, f"--schedule={schedule}", "--json=out.json", "--overwrite"]) == 0
        assert json.loads((place / "out.json").read_text())["losses"] == losses[schedule]
    assert losses["cosine"] != losses["constant"]


@pytest.mark.parametrize("command", ["adapt", "evaluate"])
def test_a_file_of_a_version_that_held_out_other_photos_warns(place, caplog, command):
    flat = place / "flat"
    for name in COLORS:
        (flat / name).mkdir(parents=True)
        for split in ("train", "test"):
            for path in (place / "photos" / split / name).iterdir():
                shutil.copy(path, flat / name / f"{split} {path.name}")
    argv = {"adapt": [*ARGV, "--epochs=1", "--overwrite"], "evaluate": ["--model=model.tflite"]}[command]
    for split, warns in (("", True), ("content", False)):
        caplog.clear()
        tiny_tflite.write_manifest(place / "model.tflite", sorted(COLORS), data=DataSettings(split=split))
        assert runner.run_command(command, [*argv, "--data=flat", "--split_seed=1"]) == 0
        assert ("some of the test images may have been trained on" in caplog.text) is warns


@pytest.mark.parametrize("command", ["adapt", "evaluate"])
def test_test_images_that_are_training_images_are_refused_strictly(place, caplog, capsys, command):
    shutil.copy(place / "photos/train/red/0.png", place / "photos/test/red/same.png")
    argv = {"adapt": [*ARGV, "--epochs=1"], "evaluate": ["--model=model.tflite", "--data=photos"]}[command]
    assert runner.run_command(command, argv) == 0
    assert "1 of 10 test images are training images too: photos/test/red/same.png is photos/train/red/0.png" in (
        caplog.text
    )
    assert runner.run_command(command, [*argv, "--strict", "--overwrite"]) == 2
    assert "1 of 10 test images are training images too: " in capsys.readouterr().err
