"""An export of the tiny network for a Coral board, created once for all tests with the command."""

import json
import pathlib

import pytest

from tests import tiny_network
from tinytl_tf import backbones, data
from tinytl_tf.cli import runner
from tinytl_tf.networks.schemes import apply_scheme, get_scheme, restrict
from tinytl_tf.training import RunFolder
from tinytl_tf.training.run_folder import Run

SPLIT, LATE = "block_3", ("block_3", "head")


def build(scheme="tinytl-b"):
    """The tiny network, which trains what lies behind the split alone."""
    model = tiny_network.build(scheme)
    table = get_scheme(scheme)
    apply_scheme(model.weights, restrict(table, biases=LATE if table.biases else ()))
    return model


def photos(count):
    """Images, uint8 `[count, H, W, 3]`."""
    return tiny_network.photos(1, count)[0][0]


def write_run(folder: pathlib.Path, scheme="tinytl-b") -> pathlib.Path:
    """Writes a finished run of the tiny network on 60 images; returns its folder."""
    path = tiny_network.write_photos(folder / "tints.npz", 60)
    config = tiny_network.config(path)
    config.scheme = scheme
    run = RunFolder(folder / "run")
    run.start(Run.of(config, data.load(path)))
    run.save("last", tiny_network.build(scheme))
    return run.path


def export(folder: pathlib.Path) -> pathlib.Path:
    """Exports a run for a board; returns the path of `coral.json`, with the data `tints.npz` and the run above it."""
    run, output = write_run(folder), folder / "board" / "model.tflite"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)
        argv = [f"--workdir={run}", "--target=coral", f"--split={SPLIT}", "--scheme=tinytl-b", "--batch_size=4"]
        argv += ["--optimizer=momentum", "--save_optimizer", f"--output={output}", f"--json={folder / 'export.json'}"]
        assert runner.run_command("export", argv) == 0
    assert json.loads((folder / "export.json").read_text())["coral"]["split"] == SPLIT
    return coral_json(folder)


def coral_json(folder: pathlib.Path) -> pathlib.Path:
    """Where `export` writes it."""
    return folder / "board" / "coral.json"
