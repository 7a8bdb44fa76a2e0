import json
import re

import numpy as np
import pytest

from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.cli import runner
from tinytl_tf.training import RunFolder


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


def test_a_finished_run_is_trained_further(place, tmp_path, capsys):
    before = RunFolder(place / "run").load("last")
    argv = [f"--continue_from={place}/run", f"--workdir={tmp_path}/more", "--config.training.epochs=1"]
    assert runner.run_command("train", [*argv, "--config.training.learning_rate=1e-30"]) == 0
    printed = capsys.readouterr().out
    assert f"continues from {place}/run, checkpoint last, saved after epoch 2 of 2\n" in printed
    assert "scheme tinytl-lb: 1,147 trained parameters\n" in printed
    after = RunFolder(tmp_path / "more").load("last")
    for old, new in zip(before.weights, after.weights, strict=True):
        np.testing.assert_array_equal(old, new, err_msg=old.path)
    rows = [RunFolder(folder).read_log()[-1] for folder in (place / "run", tmp_path / "more")]
    assert rows[0]["test_loss"] == rows[1]["test_loss"]
    again = [f"--continue_from={tmp_path}/more", f"--workdir={tmp_path}/again", "--config.scheme=full"]
    assert runner.run_command("train", again) == 0
    printed = capsys.readouterr().out
    assert "scheme full: " in printed
    assert "learning rate 0.0001, adam" in printed  # that of the scheme, not of the run
    assert "are new" not in printed
    assert runner.run_command("train", [*again, "--resume"]) == 0
    assert "all 1 epochs of this run are done" in capsys.readouterr().out
    assert RunFolder(tmp_path / "again").read_run().config.training.continue_from == f"{tmp_path}/more"


def test_branches_that_a_run_lacks_are_added(place, tmp_path, capsys):
    argv = [f"--continue_from={place}/run", f"--workdir={tmp_path}/lora", "--config.scheme=lora"]
    assert runner.run_command("train", [*argv, "--config.training.epochs=1", "--config.backbone.lora_rank=2"]) == 0
    assert "\nLoRA branches are new: their output starts at zero\n" in capsys.readouterr().out
    assert any(variable.path.endswith("_lora/a") for variable in RunFolder(tmp_path / "lora").load("last").weights)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--workdir={0}/run", "--overwrite"],
            "expected config.training.continue_from as the folder of another run",
        ),
        (
            ["--config.backbone.width=0.5"],
            "expected config.backbone.width=1.0 as in the run that is continued",
        ),
        (["--config.backbone.dropout=0.5"], "expected config.backbone.dropout=0.2 as in the run that is continued"),
        (["--branch_weights=pretrained"], "expected config.backbone.branch_weights='auto' as in the run"),
        (
            ["--config.backbone.branch_final_norm=True"],
            "expected config.backbone.branch_final_norm=False as in the run",
        ),
        (
            ["--config.data.name=digits"],
            "expected data with the labels of the run that is continued",
        ),
        (["--continue_from={0}/none"], "holds no run (no run.json); give the folder that `tinytl train` wrote"),
    ],
)
def test_what_cannot_be_trained_further_is_refused(place, tmp_path, capsys, more, message):
    before = contents(place / "run")
    argv = [f"--continue_from={place}/run", f"--workdir={tmp_path}/more", *(word.format(place) for word in more)]
    assert runner.run_command("train", argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert contents(place / "run") == before
    assert not (tmp_path / "more" / "run.json").exists()


@pytest.mark.parametrize("command", [["export", "--output=m.tflite"], ["plan", "--budget_mb=9", "--output=new.py"]])
def test_other_commands_continue_no_run(place, capsys, command):
    name, *argv = command
    config = [*tiny.argv(place / "shapes.npz"), f"--config.training.continue_from={place}/run"]
    assert runner.run_command(name, [*argv, *config]) == 2
    assert "expected config.training.continue_from for `tinytl train` alone" in capsys.readouterr().err


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
