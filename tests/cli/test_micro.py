"""`tinytl export --target=micro`, and `adapt` and `evaluate` with --runtime=micro."""

import json
import pathlib

import numpy as np
import pytest

from tests import tiny_network
from tinytl_tf import backbones, data
from tinytl_tf.cli import runner
from tinytl_tf.device import MicroModel, TrainableModel
from tinytl_tf.tflite.manifest import Manifest
from tinytl_tf.training import RunFolder
from tinytl_tf.training.run_folder import Run

pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
# Keras 3 saves TensorFlow's variables through numpy 1's interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a set of 40 photos and a finished run of the tiny network, exported for LiteRT and for Micro."""
    folder = tmp_path_factory.mktemp("micro")
    photos = tiny_network.write_photos(folder / "tints.npz", 40)
    config = tiny_network.config(photos)
    with config.unlocked():
        config.scheme = "tinytl-b"
    run = RunFolder(folder / "run")
    run.start(Run.of(config, data.load(photos)))
    run.save("last", tiny_network.build("tinytl-b"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)
        assert runner.run_command("export", ["--workdir=run", "--output=litert.tflite"]) == 0
        argv = ["--workdir=run", "--target=micro", "--output=micro.tflite", "--state_of=litert.tflite", "--json=m.json"]
        assert runner.run_command("export", argv) == 0
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)


def test_the_export_is_checked_and_says_what_it_needs(place):
    manifest = Manifest.read("micro.tflite")
    result = json.loads((place / "m.json").read_text())
    assert result["micro"] == manifest.micro
    assert manifest.profile == "micro"
    assert manifest.parity["micro"]["loss_difference"] < 1e-4
    assert manifest.parity["micro"]["update_difference"] < 1e-2
    assert manifest.micro["state_of"] == Manifest.read("litert.tflite").sha256
    assert manifest.tools["tflite-micro"]
    assert "MICRO_ADD_OPERATORS(resolver)" in (place / "micro_model.h").read_text()
    assert (place / "micro_model.c").stat().st_size > 2 * manifest.sizes["file_bytes"]


@pytest.mark.thorough
def test_adapt_and_evaluate_run_on_it_and_states_move(place, capsys):
    argv = ["--data=tints.npz", "--epochs=2", "--learning_rate=0.01", "--noaugment"]
    results = {}
    for runtime, model in (("micro", "micro.tflite"), ("litert", "litert.tflite")):
        flags = [f"--model={model}", f"--runtime={runtime}", f"--state_out={runtime}.tinytl", f"--json={runtime}.json"]
        assert runner.run_command("adapt", [*argv, *flags, *(["--noxnnpack"] if runtime == "litert" else [])]) == 0
        results[runtime] = json.loads((place / f"{runtime}.json").read_text())
    assert results["micro"]["api"] == "micro"
    assert results["micro"]["applied"] == results["litert"]["applied"] > 0
    np.testing.assert_allclose(results["micro"]["losses"], results["litert"]["losses"], rtol=1e-3)
    assert results["micro"]["accuracy_after"] == results["litert"]["accuracy_after"]
    capsys.readouterr()
    answers = []
    # Each state in both files.
    for state in ("micro.tinytl", "litert.tinytl"):
        for flags in (["--model=micro.tflite", "--runtime=micro"], ["--model=litert.tflite"]):
            assert runner.run_command("evaluate", [*flags, f"--state={state}", "--data=tints.npz"]) == 0
            answers.append(capsys.readouterr().out.splitlines()[-1])
    assert len({answer.partition(", loss")[0] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("command", "argv", "words"),
    [
        ("adapt", ["--model=micro.tflite", "--data=tints.npz", "--state_out=x.tinytl"], "give --runtime=micro"),
        (
            "evaluate",
            ["--model=litert.tflite", "--runtime=micro", "--data=tints.npz"],
            "expected a file for TensorFlow Lite Micro, got litert.tflite",
        ),
        (
            "evaluate",
            ["--model=micro.tflite", "--runtime=micro", "--data=tints.npz", "--threads=2"],
            "--threads does nothing with --runtime=micro",
        ),
        (
            "evaluate",
            ["--model=micro.tflite", "--runtime=micro", "--data=tints.npz", "--trust"],
            "--trust does nothing with --runtime=micro",
        ),
        ("evaluate", ["--workdir=run", "--runtime=micro"], "--runtime does nothing with --workdir"),
        (
            "export",
            ["--workdir=run", "--target=micro", "--output=x.tflite", "--profile=fast"],
            "--profile does nothing",
        ),
        (
            "export",
            ["--workdir=run", "--target=micro", "--output=x.tflite", "--frozen_weights=int8"],
            "--frozen_weights does nothing",
        ),
        ("export", ["--workdir=run", "--output=x.tflite", "--state_of=litert.tflite"], "--state_of does nothing"),
        ("export", ["--workdir=run", "--target=micro", "--output=micro.tflite"], "micro.tflite"),
        (
            "export",
            ["--workdir=run", "--target=micro", "--output=x.tflite", "--optimizer=adam", "--state_of=litert.tflite"],
            "expected a file with the same optimizer to share state files with",
        ),
    ],
)
def test_what_does_not_fit_is_refused(command, argv, words, capsys):
    assert runner.run_command(command, argv) == 2
    assert words in capsys.readouterr().err
    assert not pathlib.Path("x.tflite").exists()


def test_a_header_in_the_way_is_not_replaced(place, capsys):
    (place / "y_model.h").write_text("mine")
    argv = ["--workdir=run", "--target=micro", "--output=y.tflite"]
    assert runner.run_command("export", argv) == 2
    assert "y_model.h" in capsys.readouterr().err
    assert (place / "y_model.h").read_text() == "mine"


def test_without_the_package_each_command_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr("tinytl_tf.tflite.runtime.micro._PACKAGE", "no_such_package")
    for command, argv in (
        ("export", ["--workdir=run", "--target=micro", "--output=z.tflite"]),
        ("evaluate", ["--model=micro.tflite", "--runtime=micro", "--data=tints.npz"]),
    ):
        assert runner.run_command(command, argv) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert "expected the package tflite-micro" in line
        assert "pip install tflite-micro" in line


def test_a_model_in_python_is_the_one_of_the_commands(place):
    model, litert = MicroModel("micro.tflite", batch_size=3), TrainableModel("litert.tflite", xnnpack=False)
    assert model.fingerprint == litert.fingerprint
    litert.save("of_litert.tinytl")
    model.restore("of_litert.tinytl")
    images, labels = tiny_network.photos(1, 3)
    assert model.train(images[0], labels[0], 0.01).applied
    assert model.batch_size == 3
