import json
import re

import pytest

from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.cli import runner


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the data and `run/`, a run of two epochs, and what the command wrote about it."""
    folder = tmp_path_factory.mktemp("train")
    tiny.write_shapes(folder / "shapes.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
        argv = [*flags(folder), f"--workdir={folder}/run", f"--json={folder}/result.json"]
        assert runner.run_command("train", argv) == 0
        yield folder


def flags(place, **training):
    return tiny.argv(place / "shapes.npz", training={"epochs": 2, **training})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_result_is_the_last_row_of_the_log(place):
    rows = [json.loads(line) for line in (place / "run" / "log.jsonl").read_text().splitlines()]
    result = json.loads((place / "result.json").read_text())
    best = min(rows, key=lambda row: row["loss"])
    assert result == {
        "workdir": f"{place}/run",
        **rows[-1],
        "best_epoch": best["epoch"],
        "best_accuracy": best["test_accuracy"],
        "trained_parameters": 1147,
    }


def test_a_run_that_is_there_is_not_touched_unasked(place, capsys):
    before = contents(place / "run")
    assert runner.run_command("train", [*flags(place), f"--workdir={place}/run"]) == 2
    assert capsys.readouterr().err == (
        f"tinytl train: error: {place}/run holds a run already; give --resume, --overwrite or another --workdir\n"
    )
    assert contents(place / "run") == before


def test_resume_of_a_finished_run_trains_nothing_and_tells_its_result(place, capsys):
    before = contents(place / "run")
    assert runner.run_command("train", [*flags(place), f"--workdir={place}/run", "--resume"]) == 0
    captured = capsys.readouterr()
    assert contents(place / "run") == before
    assert captured.err == ""
    assert captured.out.split("\n", 2)[2].startswith("scheme tinytl-lb: 1,147 trained parameters\n")
    assert "\nall 2 epochs of this run are done\n" in captured.out
    assert captured.out.endswith(
        f"checkpoints and log in {place}/run\nnext:\n  tinytl export --workdir={place}/run --output=model.tflite\n"
    )
    assert captured.out.count("trained parameters") == 1


def test_an_evaluation_says_which_checkpoint_it_took(place, capsys):
    assert runner.run_command("evaluate", [f"--workdir={place}/run", "--checkpoint=last"]) == 0
    assert capsys.readouterr().out.startswith("checkpoint last, saved after epoch 2 of 2\n")


def test_resume_of_another_config_names_the_key(place, capsys):
    argv = [*flags(place, label_smoothing=0.0), f"--workdir={place}/run", "--resume"]
    assert runner.run_command("train", argv) == 2
    assert capsys.readouterr().err == (
        "tinytl train: error: cannot resume: config.training.label_smoothing was 0.1 and is now 0.0; "
        "use the same config and data, or train in another folder\n"
    )


def test_progress_names_epochs_and_time_left(place, capsys):
    argv = [*flags(place, epochs=1), f"--workdir={place}/new", "--config.scheme=last"]
    assert runner.run_command("train", argv) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("epoch 1/1: loss ")
    assert lines[-1].endswith(", ETA 0:00]")
    assert all(line.startswith(("train ", "epoch ")) for line in lines)
    argv = [*flags(place, epochs=1, seed=3), f"--workdir={place}/new", "--config.scheme=last", "--overwrite"]
    assert runner.run_command("train", argv) == 0
    assert json.loads((place / "new" / "run.json").read_text())["config"]["training"]["seed"] == 3


def test_a_loss_that_is_not_finite_ends_with_status_4_and_no_result(place, capsys):
    argv = [*flags(place, learning_rate=1e20), f"--workdir={place}/steep", f"--json={place}/steep.json"]
    assert runner.run_command("train", argv) == 4
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"tinytl train: error: step [123] of training gave .*(nan|inf); lower config.training.learning_rate "
        r"\(now 1e\+20\) or look at the images of that step; checkpoints of earlier epochs are intact",
        lines[-1],
    )
    assert sorted(contents(place / "steep")) == ["log.jsonl", "run.json"]
    assert not (place / "steep.json").exists()


def test_features_of_frozen_places_are_computed_once(place, tmp_path, capsys):
    argv = [*flags(place, epochs=1), "--config.scheme=last", f"--workdir={tmp_path / 'run'}", "--cache_features"]
    assert runner.run_command("train", argv) == 2
    assert "got crop: a random crop makes another image each time" in capsys.readouterr().err
    assert runner.run_command("train", [*argv, "--config.augmentation.crop=False"]) == 0
    assert "features of 32 are computed once for each image" in capsys.readouterr().out
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["config"]["training"]["cache_features"] is True
