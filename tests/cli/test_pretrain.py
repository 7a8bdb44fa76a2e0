import json

import pytest

from tests import tiny_network
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.cli import runner
from tinytl_tf.configs import default

pytestmark = pytest.mark.thorough  # each test needs a pre-training


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the data and `run/`, a pre-training of one epoch, and what the command wrote about it."""
    folder = tmp_path_factory.mktemp("pretrain")
    tiny_network.write_photos(folder / "photos.npz", 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, tiny_network.ARCHITECTURE.name, tiny_network.ARCHITECTURE)
        argv = [*flags(folder), "--config.scheme=tinytl-l", f"--workdir={folder}/run", f"--json={folder}/result.json"]
        assert runner.run_command("pretrain", [*argv, "--license=ours"]) == 0
        yield folder


def flags(place, **backbone):
    values = tiny_network.overrides(place / "photos.npz") | {f"backbone.{key}": backbone[key] for key in backbone}
    return [f"--config={default.__file__}", *(f"--config.{key}={value}" for key, value in values.items())]


def test_the_result_has_the_branches_and_their_card(place):
    result = json.loads((place / "result.json").read_text())
    assert result["branches"] == f"{place}/run/branches.npz"
    assert (result["card"]["license"], result["card"]["backbone"]) == ("ours", "tiny_network")
    assert sorted(path.name for path in (place / "run").iterdir()) == [
        "best.keras",
        "branches.npz",
        "last.keras",
        "log.jsonl",
        "run.json",
    ]


def test_a_run_that_is_there_is_not_touched_unasked(place, capsys):
    assert runner.run_command("pretrain", [*flags(place), f"--workdir={place}/run"]) == 2
    assert capsys.readouterr().err == (
        f"tinytl pretrain: error: {place}/run holds a run already; give --resume, --overwrite or another --workdir\n"
    )


def test_a_scheme_without_branches_is_refused(place, capsys):
    argv = [*flags(place), "--config.scheme=last", f"--workdir={place}/new"]
    assert runner.run_command("pretrain", argv) == 2
    assert capsys.readouterr().err.startswith(
        "tinytl pretrain: error: scheme last trains no lite residuals to keep; choose tinytl-l, or "
    )
    assert not (place / "new").exists()


@pytest.fixture(scope="module")
def trained(place):
    """A run that starts from the branches."""
    argv = [*flags(place), f"--branch_weights={place}/run/branches.npz", f"--workdir={place}/trained"]
    assert runner.run_command("train", argv) == 0
    return place / "trained"


def test_train_starts_from_the_branches(place, trained):
    config = json.loads((trained / "run.json").read_text())["config"]
    assert config["backbone"]["branch_weights"] == f"{place}/run/branches.npz"


def test_export_starts_from_them_and_says_so(place, capsys):
    argv = [*flags(place), f"--branch_weights={place}/run/branches.npz", f"--output={place}/start.tflite"]
    assert runner.run_command("export", argv) == 0
    assert "lite residuals pre-trained on 29 images of 4 classes of photos.npz at 64 px: " in capsys.readouterr().out


def test_export_of_a_run_takes_none_and_needs_no_file(place, trained, capsys):
    argv = [f"--workdir={trained}", f"--branch_weights={place}/run/branches.npz", f"--output={place}/run.tflite"]
    assert runner.run_command("export", argv) == 2
    assert capsys.readouterr().err == (
        "tinytl export: error: --branch_weights does nothing with --workdir, whose run has branches of its own; "
        "leave it out\n"
    )
    argv = [f"--workdir={trained}", "--scheme=tinytl-b", f"--output={place}/biases.tflite"]
    assert runner.run_command("export", [*argv, f"--json={place}/biases.json"]) == 0
    last = json.loads((trained / "log.jsonl").read_text().splitlines()[-1])
    epoch = last["epoch"] + 1
    assert capsys.readouterr().out.startswith(f"checkpoint last, saved after epoch {epoch} of {epoch}\n")
    checkpoint = json.loads((place / "biases.json").read_text())["checkpoint"]
    assert checkpoint == {"name": "last", "step": last["step"], "epoch": epoch, "epochs": epoch}


def test_a_finished_run_names_the_command_that_starts_from_its_branches(place, capsys):
    argv = [*flags(place), "--config.scheme=tinytl-l", f"--workdir={place}/run", "--resume", "--license=ours"]
    assert runner.run_command("pretrain", argv) == 0
    command = f"tinytl train --config=FILE --branch_weights={place}/run/branches.npz --workdir=FOLDER"
    assert capsys.readouterr().out.endswith(f"\nnext:\n  {command}\n")


def test_branches_of_another_network_are_refused_before_the_work(place, capsys):
    argv = [*flags(place, width=0.5), f"--branch_weights={place}/run/branches.npz", f"--workdir={place}/narrow"]
    assert runner.run_command("train", argv) == 2
    assert "has branches of tiny_network at width 1.0, expected tiny_network at width 0.5" in capsys.readouterr().err
    assert not (place / "narrow").exists()
