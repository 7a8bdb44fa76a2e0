"""Trains a network in Keras under an update scheme and leaves checkpoints and a log in a folder.

Examples:
  tinytl train --config=digits --workdir=runs/digits --config.training.epochs=2
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
from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError
from tinytl_tf.figures import EvaluateResult

__all__ = []


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    define_run(values, argv)
    flags.DEFINE_boolean(
        "cache_features",
        False,
        "Compute what frozen first places make of an image once; the same as --config.training.cache_features.",
        flag_values=values,
    )


def define_run(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of a run: its configuration and its folder."""
    define_config(values, argv)
    flags.DEFINE_string("workdir", None, "Folder of the run.", flag_values=values, required=True)
    flags.DEFINE_boolean("resume", False, "Resume the run in --workdir, if there is one.", flag_values=values)


def define_config(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines `--config`; any key of the file is a flag `--config.KEY`."""
    config_flags.DEFINE_config_file(
        "config", None, "Python file with get_config(), see configs/.", flag_values=values, sys_argv=list(argv)
    )
    flags.DEFINE_string(
        "branch_weights",
        None,
        'What lite residuals start from: a file of `tinytl pretrain`, "pretrained", "auto" or ""; sets the key of the '
        "config.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "strict",
        False,
        "Refuse test images that are training images too; sets config.data.strict.",
        flag_values=values,
    )


def set_config(values: flags.FlagValues) -> None:
    """Puts the values of `--branch_weights` and `--strict`, if they are given, into the configuration."""
    if values.branch_weights is not None:
        values.config.backbone.branch_weights = values.branch_weights
    if values["strict"].present:
        values.config.data.strict = values.strict


def require_run(values: flags.FlagValues, example: str) -> None:
    """Checks the flags of a run, before TensorFlow is imported.

    Args:
        values: The flags of the command.
        example: Name of a configuration, for the error.

    Raises:
        InputError: If there is no configuration, or the folder holds a run that is neither resumed nor replaced.
    """
    if values.config is None:
        raise InputError(f"expected --config=NAME, or a Python file with get_config(); --config={example} is one")
    if values.resume and values.overwrite:
        raise InputError("expected --resume or --overwrite, got both: one goes on with the run, the other replaces it")
    if (files.expand(values.workdir) / "run.json").exists() and not (values.resume or values.overwrite):
        raise InputError(f"{values.workdir} holds a run already; give --resume, --overwrite or another --workdir")


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns what --json holds."""
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
