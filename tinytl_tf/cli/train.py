"""Trains a network in Keras under an update scheme and leaves checkpoints and a log in a folder.

Examples:
  tinytl train --config=configs/digits.py --workdir=runs/digits --config.training.epochs=2
  tinytl train --config=configs/default.py --config.data.name=photos/ --workdir=runs/late --config.scheme=last \
      --config.augmentation.crop=False --cache_features
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError

__all__ = []


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    define_config(values, argv)
    flags.DEFINE_string("workdir", None, "Folder of the run.", flag_values=values, required=True)
    flags.DEFINE_boolean(
        "cache_features",
        False,
        "Compute what frozen first places make of an image once; the same as --config.training.cache_features.",
        flag_values=values,
    )
    flags.DEFINE_boolean("resume", False, "Go on with the run in --workdir, if there is one.", flag_values=values)


def define_config(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines `--config`; any key of the file is a flag `--config.KEY`."""
    config_flags.DEFINE_config_file(
        "config", None, "Python file with get_config(), see configs/.", flag_values=values, sys_argv=list(argv)
    )


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns what --json holds."""
    if values.config is None:
        raise InputError("expected --config=FILE, a Python file with get_config(); see configs/digits.py")
    if values.resume and values.overwrite:
        raise InputError("expected --resume or --overwrite, got both: one goes on with the run, the other replaces it")
    if values["cache_features"].present:
        values.config.training.cache_features = values.cache_features
    runner.import_tensorflow()
    from tinytl_tf.training import RunFolder, train

    folder = RunFolder(values.workdir)
    if folder.exists and not (values.resume or values.overwrite):
        raise InputError(f"{values.workdir} holds a run already; give --resume, --overwrite or another --workdir")
    result = train(values.config, values.workdir, resume=values.resume)
    best = f"{result['best_accuracy']:.2%} after the best"
    print(f"test accuracy {result['test_accuracy']:.2%} after the last epoch, {best}")
    print(f"checkpoints and log in {values.workdir}")
    return {"workdir": values.workdir, **result}


if __name__ == "__main__":
    sys.exit(runner.run_command("train", sys.argv[1:]))
