"""`tinytl plan --target=micro`: what `train` and `export` make of the plan takes exactly what it promised."""

import json
import re
import shlex

import numpy as np
import pytest

from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.cli import runner
from tinytl_tf.device import MicroModel
from tinytl_tf.tflite.manifest import Manifest

pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
# Keras 3 saves TensorFlow's variables through numpy 1's interface.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
    pytest.mark.thorough,
]

GENEROUS = ["--arena_kb=100000", "--flash_kb=100000"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the data and a plan of a generous budget; its name has a blank, which the commands survive."""
    folder = tmp_path_factory.mktemp("plan micro")
    tiny.write_shapes(folder / "shapes.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
        patch.chdir(folder)
        assert plan(folder, *GENEROUS, f"--output={folder}/all.py", "--json=all.json") == 0
        yield folder


def plan(folder, *argv):
    shapes = tiny.argv(folder / "shapes.npz", training={"epochs": 1})
    return runner.run_command("plan", [*shapes, "--target=micro", *argv])


def train_and_export(folder, name):
    """Runs the commands that a plan tells, and compares what it promised with what came of it."""
    promised = json.loads((folder / f"{name}.json").read_text())
    for command in promised["commands"]:
        tinytl, command_name, *argv = shlex.split(command)
        assert tinytl == "tinytl"
        assert runner.run_command(command_name, argv) == 0
    manifest = Manifest.read(folder / f"{name}.tflite")
    assert manifest.micro["arena"]["bytes"] == promised["arena_bytes"] <= 1024 * promised["arena_kb"]
    assert (folder / f"{name}.tflite").stat().st_size == promised["flash_bytes"] <= 1024 * promised["flash_kb"]
    parts = promised["arena_parts_bytes"]
    assert sum(parts.values()) == promised["arena_bytes"]
    assert parts["tensors"] == manifest.micro["arena"]["head_bytes"]
    assert parts["variables"] == manifest.sizes["variable_bytes"]
    assert (manifest.scheme, manifest.profile) == (promised["scheme"], "micro")
    assert manifest.optimizer == promised["optimizer"]
    return promised


def test_the_export_after_training_takes_exactly_what_was_promised(place, capsys):
    promised = train_and_export(place, "all")
    assert (promised["target"], promised["scheme"], promised["resolution"]) == ("micro", "sparse-update-l", tiny.SIDE)
    assert promised["biases"] == ["stem", "block_0", "block_1", "head"]
    assert f"\nscheme sparse-update-l: {promised['trained_parameters']:,} trained parameters" in capsys.readouterr().out
    assert all(row["trained"] and row["cost_arena_kb"] >= 0 <= row["cost_flash_kb"] for row in promised["rows"])
    images = np.random.default_rng(0).integers(0, 256, (2, tiny.SIDE, tiny.SIDE, 3), np.uint8)
    assert MicroModel("all.tflite", batch_size=2).train(images, np.int32([0, 2]), 0.01).applied
    text = (place / "all.py").read_text()
    assert f"an arena of {promised['arena_bytes']} bytes (" in text
    assert f"a file of {promised['flash_bytes']} bytes (" in text


def test_what_does_not_fit_is_told_and_what_was_told_fits(place, capsys):
    argv = ["--optimizer=momentum", "--output=new.py"]
    assert plan(place, *argv, "--arena_kb=8", "--flash_kb=9.5") == 2
    error = capsys.readouterr().err
    words = re.match(
        r"tinytl plan: error: nothing fits into an arena of 8 KB and 9\.5 KB of flash: the smallest plan, last at 40 "
        r"px, biases at 0, lite residuals at 0 and kernels at 0 places, needs an arena of (\d+) KB, (\d+) KB too "
        r"much, and (\d+) KB of flash, (\d+) KB too much; raise the budget or try smaller resolutions\n$",
        error,
    )
    arena, more_arena, flash, more_flash = map(int, words.groups())
    assert arena - more_arena == 8
    assert flash - more_flash in (9, 10)
    assert not (place / "new.py").exists()
    # Half of the arena above that, and half of the flash.
    most = json.loads((place / "all.json").read_text())
    arena, flash = (arena + most["arena_bytes"] / 1024) / 2, (flash + most["flash_bytes"] / 1024) / 2
    argv = ["--optimizer=momentum", f"--output={place}/half.py", "--json=half.json"]
    assert plan(place, *argv, f"--arena_kb={arena}", f"--flash_kb={flash}") == 0
    promised = train_and_export(place, "half")
    assert promised["trained_parameters"] < most["trained_parameters"]


BUDGET = ["--arena_kb=320", "--flash_kb=2048"]
BAD = {
    "no budget": ([], "expected --arena_kb=KB and --flash_kb=KB together with --target=micro; for 320 KB"),
    "no flash": (["--arena_kb=320"], "expected --arena_kb=KB and --flash_kb=KB together with --target=micro; "),
    "no arena": (["--flash_kb=320"], "expected --arena_kb=KB and --flash_kb=KB together with --target=micro; "),
    "arena": (["--arena_kb=0", "--flash_kb=9"], "expected an --arena_kb above 0, got 0; KB are 1024 bytes\n"),
    "flash": (["--arena_kb=9", "--flash_kb=-1"], "expected a --flash_kb above 0, got -1; KB are 1024 bytes\n"),
    "endless": (["--arena_kb=nan", "--flash_kb=9"], "expected an --arena_kb above 0, got nan; KB are 1024 bytes\n"),
    "process": (
        [*BUDGET, "--budget_mb=16"],
        "--budget_mb does nothing with --target=micro, whose budget is --arena_kb and --flash_kb; leave it out\n",
    ),
    "time": (
        [*BUDGET, "--budget_inferences=3"],
        "--budget_inferences does nothing with --target=micro, whose budget is --arena_kb and --flash_kb; leave it "
        "out\n",
    ),
    "batch": (
        [*BUDGET, "--batch_size=8"],
        "--batch_size does nothing with --target=micro, where the arena is that of any batch; leave it out\n",
    ),
    "int8": (
        [*BUDGET, "--frozen_weights=int8"],
        "--frozen_weights does nothing with --target=micro, whose kernels are float32; leave it out\n",
    ),
    "suffix": ([*BUDGET, "--output=x.json"], "expected --output=FILE.py, got 'x.json'; a config is a Python file\n"),
}


@pytest.mark.parametrize(("argv", "message"), BAD.values(), ids=BAD)
def test_flags_that_do_not_fit_are_refused_before_tensorflow(place, capsys, monkeypatch, argv, message):
    monkeypatch.setattr(runner, "import_tensorflow", lambda: pytest.fail("TensorFlow was imported"))
    assert plan(place, "--output=x.py", *argv) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tinytl plan: error: {message}")
    assert error.count("\n") == 1


def test_without_the_package_it_says_how_to_get_it(place, capsys, monkeypatch):
    monkeypatch.setattr("tinytl_tf.tflite.runtime.micro._PACKAGE", "no_such_package")
    monkeypatch.setattr(runner, "import_tensorflow", lambda: pytest.fail("TensorFlow was imported"))
    assert plan(place, "--output=x.py", *BUDGET) == 2
    assert "expected the package tflite-micro" in capsys.readouterr().err
