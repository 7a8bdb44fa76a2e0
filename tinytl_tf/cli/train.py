"""Trains a network in Keras with an update scheme, and writes checkpoints and a log to a folder.

Examples:
  tinytl train --config=digits --workdir=runs/digits --config.training.epochs=2
  tinytl train --continue_from=runs/digits --workdir=runs/more --config.training.learning_rate=1e-4
  tinytl train --config=default --config.data.name=photos/ --workdir=runs/late --config.scheme=last \
      --config.augmentation.crop=False --cache_features
"""

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from tinytl_tf import files
from tinytl_tf.cli import run_config, runner
from tinytl_tf.errors import InputError
from tinytl_tf.figures import EvaluateResult

__all__ = []

FIRST = ("config", "workdir", "resume", "continue_from", "cache_features")  # in --help


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    define_run(values, argv)
    flags.DEFINE_boolean(
        "cache_features",
        False,
        "Compute the features from the frozen first places once per image and cache them; sets "
        "config.training.cache_features.",
        flag_values=values,
    )


def define_run(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags for a run: configuration and folder."""
    define_config(values, argv)
    flags.DEFINE_string(
        "continue_from",
        None,
        "Folder of a finished run whose network to train further; its config is the default for --config.",
        flag_values=values,
    )
    flags.DEFINE_string("workdir", None, "Folder of the run.", flag_values=values, required=True)
    flags.DEFINE_boolean("resume", False, "Resume the run in --workdir, if there is one.", flag_values=values)


def with_config(argv: Sequence[str]) -> list[str]:
    """Adds the config of the run in `--continue_from`, unless `--config` is given."""
    given = dict(word.lstrip("-").partition("=")[::2] for word in argv)
    if "config" in given or not given.get("continue_from"):
        return list(argv)
    return [f"--config={run_config.__file__}:{files.expand(given['continue_from'])}", *argv]  # before its overrides


def define_config(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines `--config`, with a flag `--config.KEY` for each key of the file; `--branch_weights`; and `--strict`."""
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Name of a config in this package, for example default, or a Python file with get_config().",
        flag_values=values,
        sys_argv=list(argv),
    )
    flags.DEFINE_string(
        "branch_weights",
        None,
        'Initial weights of lite residuals: a file from `tinytl pretrain`, "pretrained", "auto" or ""; sets '
        "config.backbone.branch_weights.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "strict",
        False,
        "Fail if test images are also training images; sets config.data.strict.",
        flag_values=values,
    )


def set_config(values: flags.FlagValues) -> None:
    """Copies the values of `--branch_weights`, `--strict` and `--continue_from`, if given, to the configuration."""
    if "continue_from" in values and values.continue_from is not None:
        _continue(values)
    if values.branch_weights is not None:
        values.config.backbone.branch_weights = values.branch_weights
    if values["strict"].present:
        values.config.data.strict = values.strict


def _continue(values: flags.FlagValues) -> None:
    """Stores `--continue_from` in the configuration. A different scheme gets its own default learning rate."""
    config, before = values.config, run_config.get_config(values.continue_from)
    config.training.continue_from = values.continue_from
    if config.scheme != before.scheme and config.training.learning_rate == before.training.learning_rate:
        config.training.learning_rate = 0.0


def refuse_continue(values: flags.FlagValues) -> None:
    """Rejects a configuration that continues a run, for commands that start from pre-trained weights."""
    if values.config is not None and values.config.get("training", {}).get("continue_from"):
        raise InputError(
            "expected config.training.continue_from for `tinytl train` alone, got "
            f"{values.config.training.continue_from!r:.200}; leave it empty, or give --workdir of a run"
        )


def require_run(values: flags.FlagValues, example: str) -> None:
    """Checks the flags of a run, before TensorFlow is imported.

    Args:
        values: The flags of the command.
        example: Name of a configuration, for the error message.

    Raises:
        InputError: If `--config` is missing; if both `--resume` and `--overwrite` are given; or if the folder contains
            a run and neither is given.
    """
    if values.config is None:
        raise InputError(f"expected --config=NAME, or a Python file with get_config(); --config={example} is one")
    if values.resume and values.overwrite:
        raise InputError("expected --resume or --overwrite, got both: one resumes the run, the other replaces it")
    if (files.expand(values.workdir) / "run.json").exists() and not (values.resume or values.overwrite):
        raise InputError(f"{values.workdir} holds a run already; give --resume, --overwrite or another --workdir")


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    require_run(values, "digits")
    if values["cache_features"].present:
        values.config.training.cache_features = values.cache_features
    set_config(values)
    runner.import_tensorflow()
    from tinytl_tf.training import train

    result = train(values.config, values.workdir, resume=values.resume)
    if "test_accuracy" in result:
        best = f"{result['best_accuracy']:.2%} after the best"
        print(f"test accuracy {result['test_accuracy']:.2%} after the last epoch, {best}")
    if "test_classes" in result:
        names = [row["name"] for row in result["test_classes"]]
        print(EvaluateResult.from_json(result, "test_").describe(names))
    print(f"checkpoints and log in {values.workdir}")
    runner.print_next(shlex.join(["tinytl", "export", f"--workdir={values.workdir}", "--output=model.tflite"]))
    return {"workdir": values.workdir, **result}


if __name__ == "__main__":
    sys.exit(runner.run_command("train", sys.argv[1:]))
