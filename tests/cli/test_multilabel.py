"""Images of several attributes each, by every command from training to a state that comes home."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_network
from tinytl_tf import backbones, configs, data
from tinytl_tf.cli import runner
from tinytl_tf.device import TrainableModel
from tinytl_tf.export.passes import quantize_kernels
from tinytl_tf.planning import Probe
from tinytl_tf.tflite.manifest import Manifest
from tinytl_tf.training import RunFolder

# Keras 3 saves TensorFlow's variables through numpy 1's interface.
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
]

CONFIG = pathlib.Path(configs.__path__[0]) / "default.py"
NAMES = ("tinted", "red or green", "blue")
EPOCHS = 3


def attributes(tints):
    """What an image of each tint has; of `tiny_network.LABELS`, none is gray."""
    return np.stack([tints != 0, (tints == 1) | (tints == 2), tints == 3], axis=-1).astype(np.float32)


def run(*argv):
    """Runs a command; returns what it writes for --json."""
    assert runner.run_command(argv[0], [*argv[1:], "--json=out.json", "--overwrite"]) == 0
    return json.loads(pathlib.Path("out.json").read_text())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a packed set, a finished run and its exported file."""
    folder = tmp_path_factory.mktemp("place")
    path = tiny_network.write_photos(folder / "tints.npz", 48)
    content = dict(np.load(path))
    np.savez(path, **{**content, "label": attributes(content["label"]), "classes": np.array(NAMES)})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)
        settings = tiny_network.overrides(path) | {"training.epochs": EPOCHS, "backbone.dropout": 0.0}
        flags = [f"--config.{key}={value}" for key, value in settings.items()]
        run("train", f"--config={CONFIG}", "--workdir=run", *flags)
        run("export", "--workdir=run", "--output=model.tflite", "--batch_size=4")
        yield folder


def test_a_run_knows_its_task_and_learns(place):
    before = RunFolder("run").read_run()
    assert (before.task, before.class_names) == ("multilabel", NAMES)
    rows = RunFolder("run").read_log()
    assert [row["loss"] for row in rows] == sorted((row["loss"] for row in rows), reverse=True)
    assert rows[0]["loss"] == pytest.approx(np.log(2), rel=0.3)


def test_evaluation_in_keras_is_that_of_tensorflow(place):
    result = run("evaluate", "--workdir=run")
    dataset = data.load("tints.npz").test
    ((images, labels),) = data.eval_batches(dataset, batch_size=len(dataset), image_size=tiny_network.RESOLUTION)
    logits = RunFolder("run").load("last")(images.astype(np.float32), training=False)
    loss = float(tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)))
    accuracy = float(np.mean((logits.numpy() > 0) == (labels > 0.5)))
    assert result["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert result["loss"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("frozen_weights", ["float32", pytest.param("int8", marks=pytest.mark.slow)])
def test_export_adapt_and_back_home(place, frozen_weights, monkeypatch):
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)  # those of the tiny network are
    name = f"{frozen_weights}.tflite"
    run("export", "--workdir=run", f"--output={name}", f"--frozen_weights={frozen_weights}", "--batch_size=4")
    manifest = Manifest.read(name)
    assert (manifest.task, manifest.labels) == ("multilabel", NAMES)
    assert manifest.signatures["train"]["inputs"]["label"] == {"shape": [4, 3], "dtype": "float32"}
    adapt = ["--data=tints.npz", "--epochs=2", "--learning_rate=0.01", "--state_out=out.tinytl"]
    adapted = run("adapt", f"--model={name}", *adapt)
    assert adapted["loss_after"] < adapted["loss_before"]
    home = ["export", "--workdir=run", "--state=out.tinytl", f"--state_model={name}", "--output=home.tflite"]
    run(*home, f"--frozen_weights={frozen_weights}")
    result = run("evaluate", "--model=home.tflite", "--data=tints.npz")
    assert result["loss"] == pytest.approx(adapted["loss_after"], rel=1e-3)
    assert result["accuracy"] == pytest.approx(adapted["accuracy_after"])


def test_spare_attributes_are_refused_before_the_run_is_loaded(place, capsys, monkeypatch):
    monkeypatch.setattr(RunFolder, "load", lambda *_: pytest.fail("the run was loaded"))
    assert runner.run_command("export", ["--workdir=run", "--output=spare.tflite", "--spare_classes=1"]) == 2
    assert "expected spare_classes for a classification, got multilabel: " in capsys.readouterr().err


def test_without_its_manifest_a_file_still_has_names(place):
    lost = pathlib.Path("lost.tflite")
    lost.write_bytes(pathlib.Path("model.tflite").read_bytes())
    model = TrainableModel(lost, trust=True)
    assert (model.task.name, model.class_names) == ("multilabel", NAMES)


def test_a_run_does_not_go_on_with_labels_of_another_task(place, capsys):
    tiny_network.write_photos(pathlib.Path("classes.npz"), 48)
    flags = [f"--config.{key}={value}" for key, value in tiny_network.overrides("classes.npz").items()]
    argv = [f"--config={CONFIG}", "--workdir=run", "--resume", *flags, "--config.backbone.dropout=0.0"]
    assert runner.run_command("train", [*argv, f"--config.training.epochs={EPOCHS}"]) == 2
    assert "cannot resume: " in capsys.readouterr().err
    assert runner.run_command("evaluate", ["--workdir=run", "--data=classes.npz"]) == 2
    assert (
        "has labels for classification, expected multilabel: each attribute for each image" in capsys.readouterr().err
    )


def test_attributes_that_lie_in_another_order_are_matched_by_name(place):
    content = dict(np.load("tints.npz"))
    order = [2, 0, 1]
    np.savez("turned.npz", **{**content, "label": content["label"][:, order], "classes": np.array(NAMES)[order]})
    results = [run("evaluate", "--workdir=run", f"--data={name}.npz") for name in ("tints", "turned")]
    assert results[0] == results[1]


def test_places_are_judged_by_the_loss_of_the_attributes(place):
    config = tiny_network.config(pathlib.Path("tints.npz"))
    dataset = data.load("tints.npz").train
    probe = Probe(config, dataset, tiny_network.RESOLUTION)
    assert 0 < probe.loss < np.log(2)
    assert probe.loss_after_training(probe.contributions) < 2 * np.log(2)
