"""Every command, given what it cannot use: one line, exit status 2, nothing written.

What a single command or reader makes of its own input is tested beside it: data sets in `tests/data/test_loading.py`,
images in `tests/data/test_decode.py`, state files in `tests/device/test_state_file.py`, weights in
`tests/backbones/test_weights.py`, overrides of a config in `tests/test_configs.py`, `adapt` and `memory` in
`tests/cli`.
"""

import json
import os
import sys

import h5py
import numpy as np
import pytest

from tests.training import tiny
from tinytl_tf.cli.main import main
from tinytl_tf.configs import default
from tinytl_tf.networks.schemes import SCHEMES

DEFAULT = f"--config={default.__file__}"
HELP = "(`tinytl {command} --help` lists the flags)"
LAYOUT = "expected FOLDER/train/CLASS/, with FOLDER/test/CLASS/ or FOLDER/val/CLASS/ to test, or FOLDER/CLASS/"

CONFIG = "from tinytl_tf.configs import default\n\n\ndef get_config():\n    config = default.get_config().unlock()\n"
FILES = {
    "empty.py": "x = 1\n",
    "raises.py": "def get_config():\n    raise KeyError('photos')\n",
    "syntax.py": "def get_config(:\n",
    "dictionary.py": "def get_config():\n    return {'scheme': 'last'}\n",
    "lacks.py": f"{CONFIG}    del config['training']\n    return config\n",
    "adds.py": f"{CONFIG}    config.photos = 'cat'\n    return config\n",
    "mistyped.py": f"{CONFIG}    with config.ignore_type():\n        config.training.epochs = '3'\n    return config\n",
    "text.tflite": "not a model",
    "result.json": "{}",
    "damaged/run.json": "{",
    "empty/run.json": "{}",
    "begun/run.json": json.dumps({"config": json.loads(default.get_config().to_json()), "class_names": ["a", "b"]}),
    "cut/run.json": json.dumps({"config": json.loads(default.get_config().to_json()), "class_names": ["a", "b"]}),
    "cut/last.keras": "PK",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    tiny.write_shapes(folder / "shapes.npz")
    with h5py.File(folder / "other.h5", "w") as file:  # one convolution and its norm, in Keras' older layout
        file.attrs["layer_names"] = ["convolution", "norm"]
        for name, arrays in (("convolution", [np.zeros((3, 3, 3, 16))]), ("norm", [np.ones(16)] * 4)):
            group = file.create_group(name)
            group.attrs["weight_names"] = [str(index) for index in range(len(arrays))]
            for index, array in enumerate(arrays):
                group[str(index)] = array
    return folder


def train(*argv):
    small = ["--config.data.name=shapes.npz", "--config.backbone.width=0.35", "--config.backbone.resolution=40"]
    return ["train", "--workdir=run", DEFAULT, *small, "--config.backbone.weights=", *argv]


ROWS = {
    # Commands and flags.
    "unknown command": (
        ["tarin"],
        "expected a command of pretrain, train, evaluate, plan, export, adapt, infer, move-state, "
        "rebake, serve, memory, networks, quickstart, completion; got 'tarin'",
    ),
    "unknown flag": (
        ["train", "--workdri=run"],
        f"Unknown command line flag 'workdri'. Did you mean: workdir ? {HELP}",
    ),
    "positional": (["export", "--output=m.tflite", "m"], "expected flags of the form --name=value, got 'm'"),
    "train without workdir": (
        ["train", DEFAULT],
        f"flag --workdir=None: Flag --workdir must have a value other than None. {HELP}",
    ),
    "train without config": (
        ["train", "--workdir=run"],
        "expected --config=NAME, or a Python file with get_config(); --config=digits is one",
    ),
    "export without output": (
        ["export", DEFAULT],
        f"flag --output=None: Flag --output must have a value other than None. {HELP}",
    ),
    "export of nothing": (
        ["export", "--output=m.tflite"],
        "expected either --workdir=FOLDER of a run or --config=FILE for pre-trained weights",
    ),
    "export of two things": (
        ["export", "--output=m.tflite", DEFAULT, "--workdir=begun"],
        "expected either --workdir=FOLDER of a run or --config=FILE for pre-trained weights",
    ),
    "adapt without model": (
        ["adapt", "--data=digits", "--state_out=s.tinytl"],
        f"flag --model=None: Flag --model must have a value other than None. {HELP}",
    ),
    "evaluate of nothing": (["evaluate"], "expected either --workdir=FOLDER of a run or --model=FILE.tflite"),
    "evaluate without data": (
        ["evaluate", "--model=text.tflite"],
        "expected --data=NAME with --model: a file does not know its data set",
    ),
    "number of threads": (
        ["evaluate", "--model=text.tflite", "--threads=0"],
        f"flag --threads=0: 0 is not a positive integer {HELP}",
    ),
    "choice": (
        ["export", "--output=m.tflite", DEFAULT, "--optimizer=lion"],
        f"flag --optimizer=lion: value should be one of <sgd|momentum|adam> {HELP}",
    ),
    "scheme of export": (
        ["export", "--output=m.tflite", DEFAULT, "--scheme=bias"],
        f"flag --scheme=bias: value should be one of <{'|'.join(SCHEMES)}> {HELP}",
    ),
    "checkpoint": (
        ["evaluate", "--workdir=begun", "--checkpoint=first"],
        f"flag --checkpoint=first: value should be one of <best|last> {HELP}",
    ),
    "epochs of quickstart": (
        ["quickstart", "--epochs=none"],
        f"flag --epochs=none: invalid literal for int() with base 10: 'none' {HELP}",
    ),
    # Files that a command would write.
    "json exists": (
        [*train(), "--json=result.json"],
        "result.json exists already; choose another path, or give --overwrite to replace it",
    ),
    "workdir is a file": (
        [*train(), "--workdir=text.tflite"],
        "cannot write text.tflite/run.json: {place}/text.tflite is not a writable folder; choose another path",
    ),
    "workdir below a file": (
        [*train(), "--workdir=text.tflite/run"],
        "cannot write text.tflite/run/run.json: {place}/text.tflite is not a writable folder; choose another path",
    ),
    "workdir holds a run": (
        [*train(), "--workdir=begun"],
        "begun holds a run already; give --resume, --overwrite or another --workdir",
    ),
    "quickstart's folder exists": (
        ["quickstart", "--workdir=begun"],
        "begun exists already; choose another path, or give --overwrite to replace it",
    ),
    "output exists": (
        ["export", DEFAULT, "--output=text.tflite"],
        "text.tflite exists already; choose another path, or give --overwrite to replace it",
    ),
    "output below a file": (
        ["export", DEFAULT, "--output=result.json/m.tflite"],
        "cannot write result.json/m.tflite: {place}/result.json is not a writable folder; choose another path",
    ),
    # Config files.
    "no config file": (
        [*train(), "--config=none.py"],
        "the config file cannot be used: OSError: Failed loading config file config_config Attempted "
        f"[Relative path]: none.py [Errno 2] No such file or directory: 'none.py' {HELP}",
    ),
    "config without get_config": (
        ["train", "--workdir=run", "--config=empty.py"],
        "the config file cannot be used: AttributeError: module 'config_config' has no attribute 'get_config' " + HELP,
    ),
    "config that raises": (
        ["train", "--workdir=run", "--config=raises.py"],
        f"the config file cannot be used: KeyError: 'photos' {HELP}",
    ),
    "config that is no Python": (
        ["export", "--output=m.tflite", "--config=syntax.py"],
        f"the config file cannot be used: SyntaxError: invalid syntax (syntax.py, line 1) {HELP}",
    ),
    "config of another type": (
        ["train", "--workdir=run", "--config=dictionary.py"],
        "expected get_config() to return an ml_collections.ConfigDict, got dict",
    ),
    "config with missing keys": (
        ["train", "--workdir=run", "--config=lacks.py"],
        "the config lacks training.batch_size; start from tinytl_tf.configs.default.get_config()",
    ),
    "config with missing keys for export": (
        ["export", "--output=m.tflite", "--config=lacks.py", "--scheme=last"],
        "the config lacks training.batch_size; start from tinytl_tf.configs.default.get_config()",
    ),
    "config with keys of its own": (
        ["train", "--workdir=run", "--config=adds.py"],
        "the config has the unknown key photos; start from tinytl_tf.configs.default.get_config()",
    ),
    "config with a value of another type": (
        ["train", "--workdir=run", "--config=mistyped.py"],
        "config.training.epochs must be of the kind of its default 10, got '3'",
    ),
    # Values of a config.
    "scheme": (
        train("--config.scheme=bias"),
        "unknown scheme 'bias'; choose one of last, norm+last, full, tinytl-b, tinytl-l, tinytl-lb, "
        "sparse-update, sparse-update-l, sparse-lora, lora, lora-b",
    ),
    "backbone": (
        train("--config.backbone.name=resnet"),
        "unknown backbone 'resnet'; choose one of mobilenet_v2, efficientnet_lite0, efficientnet_lite1, "
        "efficientnet_lite2, efficientnet_lite3, efficientnet_lite4, proxyless_mobile, mcunet_5fps, "
        "proxyless_w0.3, mbv2_w0.35",
    ),
    "resolution": (
        train("--config.backbone.resolution=20", "--config.scheme=last"),
        "mobilenet_v2 needs images of 32 pixels or more to run at all, got resolution 20",
    ),
    "resolution of lite residuals": (
        train("--config.backbone.resolution=32", "--config.scheme=tinytl-lb"),
        "mobilenet_v2 needs images of 33 pixels or more to run with lite residual branches, got resolution 32",
    ),
    "width": (train("--config.backbone.width=0"), "width must be above 0 and at most 4, got 0.0"),
    "dropout": (train("--config.backbone.dropout=1"), "dropout must be at least 0 and below 1, got 1.0"),
    "epochs": (train("--config.training.epochs=0"), "config.training.epochs must be from 1 to 1000000, got 0"),
    "seed": (train("--config.training.seed=-1"), "config.training.seed must be from 0 to 4294967295, got -1"),
    "split seed": (train("--config.data.split_seed=-1"), "config.data.split_seed must be from 0 to 4294967295, got -1"),
    "optimizer": (
        train("--config.training.optimizer=lion"),
        "unknown optimizer 'lion'; choose one of sgd, momentum, adam",
    ),
    "schedule": (
        train("--config.training.schedule=linear"),
        "unknown schedule 'linear'; choose one of cosine, constant",
    ),
    "learning rate": (
        train("--config.training.learning_rate=nan"),
        "config.training.learning_rate must be 0 or from 1.2e-38 to 3.4e+38, as the float32 of a step, got nan",
    ),
    "label smoothing": (
        train("--config.training.label_smoothing=1"),
        "config.training.label_smoothing must be in [0, 1), got 1.0",
    ),
    "crop area": (
        train("--config.augmentation.crop_area=(0.5, 2.0)"),
        "expected crop_area to be two rising numbers in (0, 1], got (0.5, 2.0)",
    ),
    "central fraction": (
        train("--config.data.central_fraction=0.0"),
        "expected central_fraction above 0 and at most 1, got 0.0",
    ),
    "half a crop area": (
        train("--config.augmentation.crop_area=(0.5,)"),
        "config.augmentation.crop_area must be of the kind of its default (0.22, 1.0), got (0.5,)",
    ),
    "color": (
        train("--config.augmentation.color=red"),
        "expected color to be one of none, tf, torch, got 'red'",
    ),
    # Data.
    "data folder": (train("--config.data.name=photos"), f"image folder photos does not exist; {LAYOUT}"),
    "data of export": (
        ["export", "--output=m.tflite", DEFAULT, "--config.data.name=photos"],
        f"image folder photos does not exist; {LAYOUT}",
    ),
    "packed data": (
        train("--config.data.name=none.npz"),
        "packed set none.npz does not exist; give the path of an .npz file",
    ),
    "number of images": (
        train("--config.data.train_images=2"),
        "train_images is 2; expected at least one image for each of the 3 classes",
    ),
    # Weights.
    "no weight file": (
        train("--config.backbone.weights=none.h5"),
        'there is no weight file none.h5; give its path, or "imagenet" for the published weights',
    ),
    "weights of another kind": (
        train("--config.backbone.weights=result.json"),
        'weights must be "imagenet" or a file that ends in .keras, .h5 or .pth, got result.json',
    ),
    "weights of another backbone": (
        train("--config.backbone.weights=other.h5"),
        "other.h5 ends before layer block_0_depthwise of mobilenet_v2; it is of another network",
    ),
    "no published weights": (
        train("--config.backbone.name=efficientnet_lite0", "--config.backbone.weights=imagenet"),
        "the ImageNet weights of efficientnet_lite0 are of width 1.0, got width 0.35",
    ),
    # Runs and models.
    "no run": (
        ["export", "--workdir=none", "--output=m.tflite"],
        "none holds no run (no run.json); give the folder that `tinytl train` wrote",
    ),
    "resume and overwrite": (
        train("--resume", "--overwrite"),
        "expected --resume or --overwrite, got both: one resumes the run, the other replaces it",
    ),
    "damaged run": (
        ["evaluate", "--workdir=damaged"],
        "damaged/run.json is damaged; train again without resuming",
    ),
    "run without a configuration": (
        ["export", "--workdir=empty", "--output=m.tflite"],
        "empty/run.json is damaged; train again without resuming",
    ),
    "run without a checkpoint": (
        ["evaluate", "--workdir=begun", "--checkpoint=best"],
        "begun/best.keras does not exist; the run has not finished an epoch yet",
    ),
    "damaged checkpoint": (
        ["evaluate", "--workdir=cut"],
        "cut/last.keras cannot be read (ValueError); train again without resuming",
    ),
    "no model": (
        ["evaluate", "--model=none.tflite", "--data=shapes.npz"],
        "expected a .tflite file at none.tflite, got: No such file or directory; check the path",
    ),
}


def listing(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def refused(files, monkeypatch, capsys):
    """`refused(argv, message)`; `{command}` and `{place}` in the message are filled in."""

    def check(argv, message):
        monkeypatch.chdir(files)
        # ml_collections runs every config file in one module: the get_config of another row would still be there.
        monkeypatch.delitem(sys.modules, "config_config", raising=False)
        monkeypatch.setattr(sys, "dont_write_bytecode", False)  # as it is for most, whatever the tests run under
        before = listing(files)
        assert main(argv) == 2
        command = argv[0] if "expected a command" not in message else ""
        message = message.replace("{command}", command).replace("{place}", str(files))
        assert capsys.readouterr().err == f"tinytl{' ' * bool(command)}{command}: error: {message}\n"
        assert listing(files) == before

    return check


@pytest.mark.parametrize("row", ROWS)
def test_bad_input(refused, row):
    refused(*ROWS[row])


def test_a_folder_that_cannot_be_written(refused, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # chmod does not stop root, which tests may run as
    refused(train(), "cannot write run/run.json: {place} is not a writable folder; choose another path")
