import importlib
import pathlib
import re
import shlex

import pytest
from ml_collections import ConfigDict

from tinytl_tf.cli import runner
from tinytl_tf.cli.main import COMMANDS
from tinytl_tf.configs import default
from tinytl_tf.networks.schemes import SCHEMES

FOLDER = pathlib.Path(default.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def module(name):
    return importlib.import_module(f"tinytl_tf.configs.{name}")


def keys(config):
    return {
        f"{section}.{key}" if isinstance(config[section], ConfigDict) else section
        for section in config
        for key in (config[section] if isinstance(config[section], ConfigDict) else [""])
    }


def command(name):
    """The words of the command in the docstring: an indented line, and the lines that a backslash adds."""
    text = re.search(r"^    tinytl (?:.*\\\n)*.*$", module(name).__doc__, re.MULTILINE).group()
    return shlex.split(text.replace("\\\n", " "))


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Where `tinytl train` would leave what it was asked to train."""
    from tinytl_tf import training

    calls = []

    def train(config, workdir, *, resume):
        calls.append((config, workdir, resume))
        return {"test_accuracy": 0.5, "best_accuracy": 0.5}

    def pretrain(config, workdir, *, resume, license, distribution):
        return train(config, workdir, resume=resume) | {"branches": f"{workdir}/branches.npz"}

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "pretrain", pretrain)
    monkeypatch.chdir(tmp_path)
    return calls


@pytest.mark.parametrize("name", NAMES)
def test_a_config_has_the_keys_of_the_default_and_is_locked(name):
    config = module(name).get_config()
    assert keys(config) == keys(default.get_config())
    assert config.scheme in SCHEMES
    with pytest.raises(AttributeError):
        config.learning_rate = 1.0
    with pytest.raises(AttributeError):
        config.training.leraning_rate = 1.0
    with pytest.raises(TypeError):
        config.training.epochs = "many"


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_one_that_can_be_trained(name):
    from tinytl_tf.training import Experiment

    Experiment(module(name).get_config())


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_has_a_command_that_is_understood(name, trained):
    program, what, *argv = command(name)
    assert program == "tinytl"
    assert what in COMMANDS
    if what in ("train", "pretrain"):
        assert f"--config={name}" in argv
        argv = [word.replace("=configs/", f"={FOLDER}/") for word in argv]
        assert runner.run_command(what, argv) == 0
        ((config, _, _),) = trained
        assert keys(config) == keys(default.get_config())


def test_the_command_line_changes_what_it_names(trained):
    argv = [f"--config={FOLDER}/default.py", "--workdir=run", "--resume", "--config.scheme=last"]
    argv += ["--config.training.learning_rate=1e-2", "--config.augmentation.crop_area=(0.5, 1.0)"]
    argv += ["--config.backbone.weights=", "--config.augmentation.flip=false"]
    argv += ["--config.training.rate_factors=(('_lite_residual/', 0.1), ('^head/', 2))"]
    assert runner.run_command("train", argv) == 0
    ((config, workdir, resume),) = trained
    expected = default.get_config()
    expected.scheme = "last"
    expected.training.learning_rate = 0.01
    expected.augmentation.crop_area = (0.5, 1.0)
    expected.backbone.weights = ""
    expected.augmentation.flip = False
    expected.training.rate_factors = (("_lite_residual/", 0.1), ("^head/", 2))
    assert config == expected
    assert (workdir, resume) == ("run", True)


BAD_FLAGS = {
    "unknown key": (
        "--config.training.leraning_rate=1",
        'the config has no such key: \'leraning_rate\' Did you mean "learning_rate" instead of "leraning_rate"?',
    ),
    "unknown section": ("--config.trainig=1", "the config has no such key: 'trainig' Did you mean \"training\""),
    "text for a number": ("--config.training.epochs=many", "flag --config.training.epochs=many: invalid literal for"),
    "fraction for a whole number": ("--config.training.epochs=1.5", "flag --config.training.epochs=1.5: invalid lit"),
    "number for a switch": ("--config.augmentation.flip=2", "flag --config.augmentation.flip=2: ('Non-boolean arg"),
    "value for a section": ("--config.training=3", "flag --config.training=3: Failed to parse '3' as a ConfigDict"),
}


@pytest.mark.parametrize(("flag", "message"), BAD_FLAGS.values(), ids=BAD_FLAGS)
def test_bad_overrides_end_with_one_line(trained, capsys, flag, message):
    assert runner.run_command("train", [f"--config={FOLDER}/default.py", "--workdir=run", flag]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tinytl train: error: {message}")
    assert error.endswith(" (`tinytl train --help` lists the flags)\n")
    assert error.count("\n") == 1
    assert not trained
