"""Pre-trains lite residuals inside a frozen network on a source data set, as a starting point for other data sets.

The run works like `tinytl train`, with the same checkpoints and log, and needs a scheme that trains lite residuals. At
the end, it writes the branches as float16 to WORKDIR/branches.npz, with a card that describes how they were trained;
pass that file as `--branch_weights` to train, export and plan. Each row of log.jsonl has images_per_second and
waiting, the fraction of time spent waiting for images. With --config.training.precision=mixed_bfloat16 (or, on a GPU,
mixed_float16) the layers compute in 16 bits during training; checkpoints and branches stay float32. With
--config.training.distillation=0.5 and teacher_scale=2, half of the loss is the distance from the features of the
frozen network at twice the resolution.

With --distribute=workers, run the same command once for each worker listed in TF_CONFIG, with a --workdir that all
workers share. Workers wait for each other for up to --worker_timeout seconds. If one worker is lost, the others stop
too; restart all of them with --resume.

Example:
  tinytl pretrain --config=pretrain --config.data.name=photos/ --workdir=runs/source --resume
  tinytl train --config=default --branch_weights=runs/source/branches.npz --workdir=runs/mine
"""

import shlex
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.cli.supervisor import supervised
from tinytl_tf.cli.train import define_run, require_run, set_config, with_config

__all__ = ["with_config"]

FIRST = ("config", "workdir", "resume", "distribute", "license")  # in --help


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    define_run(values, argv)
    flags.DEFINE_enum(
        "distribute",
        "none",
        ["none", "mirrored", "workers"],
        "mirrored: all GPUs of this machine; workers: this process is one of the workers listed in TF_CONFIG.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "worker_timeout",
        600.0,
        "workers: seconds that each worker waits for the others to start.",
        lower_bound=0.001,
        upper_bound=1e6,
        flag_values=values,
    )
    flags.DEFINE_string("license", "not stated", "License of the branches, for their card.", flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    require_run(values, "pretrain")
    if values.distribute != "workers":
        runner.refuse_unused(values, ("worker_timeout",), "without --distribute=workers")
    set_config(values)
    runner.import_tensorflow()
    from tinytl_tf.training import Distribution, Experiment, pretrain

    Experiment(values.config)  # an invalid configuration fails before the other workers have to wait
    result = pretrain(
        values.config,
        values.workdir,
        resume=values.resume,
        license=values.license,
        distribution=Distribution(values.distribute, timeout=values.worker_timeout),
    )
    if values.config.training.distillation == 1:  # its classifier is not trained
        print(f"distance from the teacher's features {result['feature_distance']:.3f} in the last epoch")
    elif "test_accuracy" in result:
        print(f"test accuracy on the source {result['test_accuracy']:.2%} after the last epoch")
    print(f"branches in {result['branches']}, checkpoints and log next to them")
    branches = f"--branch_weights={result['branches']}"
    runner.print_next(shlex.join(["tinytl", "train", "--config=FILE", branches, "--workdir=FOLDER"]))
    return {"workdir": values.workdir, **result}


if __name__ == "__main__":
    sys.exit(supervised(["pretrain", *sys.argv[1:]], lambda: runner.run_command("pretrain", sys.argv[1:])))
