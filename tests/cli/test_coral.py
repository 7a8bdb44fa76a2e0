"""The way of a Coral board from the command line: export, adapt, evaluate, rebake, and home."""

import json
import subprocess
import sys

import pytest

from tests import tiny_network
from tinytl_tf import backbones
from tinytl_tf.cli import runner
from tinytl_tf.tflite.manifest import Manifest

# Keras 3 saves TensorFlow's variables through numpy 1's interface.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
    pytest.mark.thorough,  # each test needs an exported run
]


@pytest.fixture(autouse=True)
def here(coral_export, monkeypatch):
    """Runs in the folder of the run, with the tiny network among the backbones."""
    monkeypatch.chdir(coral_export.parents[1])
    monkeypatch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)


@pytest.fixture(scope="module")
def adapted(coral_export, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapted")
    argv = [f"--model={coral_export}", f"--data={coral_export.parents[1] / 'tints.npz'}", "--epochs=3"]
    argv += ["--learning_rate=0.005", f"--features_cache={folder / 'features'}", f"--state_out={folder / 'a.tinytl'}"]
    assert runner.run_command("adapt", [*argv, f"--json={folder / 'adapt.json'}"]) == 0
    return folder


def result(path):
    return json.loads(path.read_text())


def test_adapt_learns_and_keeps_its_features(adapted, capsys):
    first = result(adapted / "adapt.json")
    assert first["loss_after"] < first["loss_before"]
    argv = ["--model=board/coral.json", "--data=tints.npz", "--epochs=3", "--learning_rate=0.005"]
    argv += [f"--features_cache={adapted / 'features'}", f"--state_out={adapted / 'b.tinytl'}"]
    assert runner.run_command("adapt", [*argv, "--overwrite", f"--json={adapted / 'again.json'}"]) == 0
    assert "features: computed for 0 images, found " in capsys.readouterr().out
    assert (adapted / "b.tinytl").read_bytes() == (adapted / "a.tinytl").read_bytes()
    assert result(adapted / "again.json")["losses"] == first["losses"]


def test_evaluate_tells_what_adapt_did(adapted, tmp_path):
    argv = ["--model=board/coral.json", f"--state={adapted / 'a.tinytl'}", "--data=tints.npz"]
    assert runner.run_command("evaluate", [*argv, f"--json={tmp_path / 'e.json'}"]) == 0
    assert result(tmp_path / "e.json")["loss"] == pytest.approx(result(adapted / "adapt.json")["loss_after"], rel=1e-6)


def test_adapt_with_the_prefix_in_another_program(adapted, tmp_path, capsys):
    from tinytl_tf.device import prefix_runner

    command = f"{sys.executable} {prefix_runner.__file__} board/prefix_int8.tflite"
    argv = ["--model=board/coral.json", f"--state={adapted / 'a.tinytl'}", "--data=tints.npz"]
    argv += [f"--prefix_command={command}", f"--json={tmp_path / 'e.json'}"]
    assert runner.run_command("evaluate", argv) == 0
    assert "prefix up to block_3: by another program" in capsys.readouterr().out
    assert result(tmp_path / "e.json")["loss"] == pytest.approx(result(adapted / "adapt.json")["loss_after"], rel=1e-6)


def test_rebake_puts_it_into_one_file(adapted, tmp_path, capsys):
    argv = ["--model=board/coral.json", f"--state={adapted / 'a.tinytl'}", "--data=tints.npz"]
    argv += [f"--output={tmp_path / 'mine_int8.tflite'}", f"--json={tmp_path / 'r.json'}"]
    assert runner.run_command("rebake", argv) == 0
    printed = capsys.readouterr().out
    assert "nothing was compiled here" in printed
    rebaked = result(tmp_path / "r.json")
    assert rebaked["photos"] == 45
    assert rebaked["snr_db"] > rebaked["exported_snr_db"] - 3
    assert (tmp_path / "mine_int8.tflite").exists()
    assert runner.run_command("rebake", argv) == 2
    assert "exists already; choose another path, or give --overwrite" in capsys.readouterr().err


def test_what_was_learnt_comes_home_into_a_whole_file(adapted, tmp_path):
    argv = ["--workdir=run", "--scheme=tinytl-b", f"--state={adapted / 'a.tinytl'}", "--batch_size=4"]
    argv += ["--state_model=board/suffix_train.tflite", f"--output={tmp_path / 'home.tflite'}"]
    assert runner.run_command("export", argv) == 0
    argv = [f"--model={tmp_path / 'home.tflite'}", "--data=tints.npz", f"--json={tmp_path / 'e.json'}"]
    assert runner.run_command("evaluate", argv) == 0
    # The whole file has the prefix in float.
    assert result(tmp_path / "e.json")["loss"] == pytest.approx(result(adapted / "adapt.json")["loss_after"], rel=0.2)
    assert Manifest.read(tmp_path / "home.tflite").labels == tiny_network.LABELS


def test_adapt_on_a_board_imports_no_tensorflow(adapted):
    code = (
        "import sys; from tinytl_tf.cli import runner\n"
        "status = runner.run_command('evaluate', sys.argv[1:])\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
        "raise SystemExit(status)"
    )
    argv = ["--model=board/coral.json", "--data=tints.npz"]
    done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "argv", "message"),
    [
        (
            "export",
            ["--target=coral"],
            "expected --split=PLACE for --target=coral, for example block_13, or --split=auto",
        ),
        ("export", ["--split=head"], "--split does nothing without --target=coral; leave it out"),
        ("export", ["--target=coral", "--split=auto"], "expected --split=auto and --budget_mb=MB together, got one"),
        ("export", ["--target=coral", "--split=head", "--budget_mb=3"], "expected --split=auto and --budget_mb=MB"),
        (
            "export",
            ["--target=coral", "--split=auto", "--budget_mb=nan"],
            "expected a finite --budget_mb above 0, got nan",
        ),
        (
            "export",
            ["--target=coral", "--split=auto", "--budget_mb=1e999"],
            "expected a finite --budget_mb above 0, got",
        ),
        (
            "export",
            ["--target=coral", "--split=auto", "--budget_mb=-1"],
            "expected a finite --budget_mb above 0, got -1",
        ),
        (
            "evaluate",
            ["--model=board/coral.json", "--data=tints.npz", "--prefix_command='a"],
            "expected --prefix_command in words as a shell has them, got",
        ),
        (
            "export",
            ["--target=coral", "--split=auto", "--budget_mb=3"],
            "expected --scheme with --split=auto: it is applied from each split on",
        ),
        (
            "export",
            ["--target=coral", "--split=head", "--frozen_weights=int8"],
            "--frozen_weights does nothing with --target=coral, whose prefix is int8",
        ),
        (
            "export",
            ["--target=coral", "--split=block_9", "--scheme=tinytl-b"],
            "expected --split to be one of block_0, block_1, block_2, block_3, head, classifier, got 'block_9'",
        ),
        (
            "export",
            ["--target=coral", "--split=head", "--scheme=tinytl-lb"],
            "scheme tinytl-lb has no lite residuals from 'head' on; choose an earlier --split, or --scheme=last",
        ),
        (
            "export",
            ["--target=coral", "--split=head", "--scheme=sparse-update"],
            "scheme sparse-update has no kernels from 'head' on; choose an earlier --split, or --scheme=last",
        ),
        (
            "export",
            ["--target=coral", "--split=head", "--scheme=full"],
            "expected --scheme of last, tinytl-b, tinytl-l, tinytl-lb or sparse-update for --target=coral, got full",
        ),
        ("export", ["--target=coral", "--split=head"], "expected nothing to train before 'head', got stem/norm/beta"),
        (
            "adapt",
            ["--model=board/model.tflite", "--data=tints.npz", "--state_out=x.tinytl", "--features_cache=x"],
            "--features_cache does nothing with a .tflite, which has no signature for features; give a coral.json",
        ),
        (
            "adapt",
            ["--model=board/coral.json", "--data=tints.npz", "--state_out=x.tinytl", "--trust"],
            "--trust does nothing with a coral.json, which guards its files; leave it out",
        ),
        (
            "adapt",
            ["--model=board/coral.json", "--data=tints.npz", "--state_out=x.tinytl", "--crop"],
            "expected augmentation by flips at most, got crop: a random crop makes another image each time",
        ),
        (
            "evaluate",
            ["--model=board/suffix_train.tflite", "--data=tints.npz"],
            "expected features of shape [16, 16, 16] for this model, got none; open the coral.json",
        ),
        (
            "rebake",
            ["--model=board/model.tflite", "--data=tints.npz", "--state=x.tinytl", "--output=y.tflite"],
            "expected --model=FOLDER/coral.json of an export for a board, got board/model.tflite",
        ),
    ],
)
def test_what_cannot_be_is_told_in_one_line(command, argv, message, capsys):
    own = ["--workdir=run", "--output=new/model.tflite"] if command == "export" else []
    assert runner.run_command(command, [*own, *argv]) == 2
    error = capsys.readouterr().err
    assert message in error, error
    assert "Traceback" not in error


def test_a_split_that_is_chosen_is_exported(monkeypatch, capsys, tmp_path):
    """With figures in place of measurements: `tests/planning/test_split_search.py` has these."""
    from tinytl_tf.cli import coral
    from tinytl_tf.planning import split_search

    growths, written = {"block_1": 9e6, "block_2": 7e6, "block_3": 5e6, "head": 3e6}, []
    monkeypatch.setattr(split_search, "_growth", lambda model, place, *_: growths[place])
    monkeypatch.setattr(split_search, "_accuracy", lambda model, experiment, place, *_: growths[place] / 1e7)
    monkeypatch.setattr(
        coral.CoralTarget,
        "write",
        lambda self, values, ready: written.append((values.split, ready.model.trainable_variables)) or {},
    )
    argv = ["--workdir=run", "--output=new/model.tflite", "--target=coral", "--split=auto", "--scheme=tinytl-b"]
    assert runner.run_command("export", [*argv, "--budget_mb=6", f"--json={tmp_path / 'a.json'}"]) == 0
    table = [line.split("  ") for line in capsys.readouterr().out.splitlines() if line.startswith(("block", "head"))]
    assert [[cell.strip() for cell in row if cell] for row in table] == [
        ["block_2", "7.0", "does not fit"],
        ["block_3", "5.0", "50.00%", "chosen"],
        ["head", "3.0", "30.00%"],
    ]
    choice = result(tmp_path / "a.json")["choice"]
    assert (choice["chosen"], choice["budget_mb"]) == ("block_3", 6)
    rows = [(row["split"], row["growth_mb"], row["held_out_accuracy"]) for row in choice["splits"]]
    assert rows == [("block_2", 7.0, None), ("block_3", 5.0, 0.5), ("head", 3.0, 0.3)]
    ((split, variables),) = written
    assert split == "block_3"
    expected = {"block_3_expand", "block_3_depthwise", "block_3_project", "head", "classifier"}
    assert {variable.path.partition("/")[0] for variable in variables} == expected
    assert runner.run_command("export", [*argv, "--budget_mb=1"]) == 2
    assert "nothing fits into 1 MB: the last split, at head, needs 2.0 MB more" in capsys.readouterr().err


def test_sparse_update_is_kept_to_its_places_behind_the_split():
    from tinytl_tf.cli.coral import restrict

    config = tiny_network.config("tints.npz")
    config.scheme = "sparse-update"
    restrict(config, "block_1")
    # Of the late places, all of which are behind the split, and not of block_1.
    assert (config.biases, config.kernels) == (("block_2", "block_3", "head"), ("block_2", "block_3"))
    restrict(config, "block_3")
    assert (config.biases, config.kernels) == (("block_3", "head"), ("block_3",))
    config.kernels = ("block_2:1/2", "block_3:1/4:8bit")
    restrict(config, "block_3")
    assert config.kernels == ("block_3:1/4:8bit",)


def test_sparse_lora_is_kept_to_its_places_behind_the_split():
    from tinytl_tf.cli.coral import restrict

    config = tiny_network.config("tints.npz")
    config.scheme = "sparse-lora"
    restrict(config, "block_1")
    assert (config.biases, config.branches) == (("block_2", "block_3", "head"), ("block_2", "block_3"))
