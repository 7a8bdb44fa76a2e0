"""Trains lite residuals inside a frozen network on a source set, and keeps them for other sets to start from.

The run is one of `tinytl train`, with its checkpoints and log, under a scheme that trains lite residuals. At its end
WORKDIR/branches.npz has the branches as float16, with a card that says how they were made; `--branch_weights` of
train, export and plan reads it. Each row of log.jsonl has images_per_second, and waiting: the share of the time that
was spent waiting for images. With --config.training.precision=mixed_bfloat16 (or, on a GPU, mixed_float16) the layers
of a step compute in 16 bits; checkpoints and branches stay float32. With --config.training.distillation=0.5 and
teacher_scale=2 half of the loss is the distance from the features of the frozen network at twice the resolution.

With --distribute=workers the same command runs once for each worker that TF_CONFIG lists, with a folder that all of
them see. They wait for each other for up to --worker_timeout seconds. Where one of them is lost, the others end as
well; start all of them again with --resume.

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
        "mirrored: all GPUs of this machine; workers: this process is one of those that TF_CONFIG lists.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "worker_timeout",
        600.0,
        "workers: seconds that each waits for the others to begin.",
        lower_bound=0.001,
        upper_bound=1e6,
        flag_values=values,
    )
    flags.DEFINE_string("license", "not stated", "Terms of the branches, for their card.", flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    require_run(values, "pretrain")
    if values.distribute != "workers":
        runner.refuse_unused(values, ("worker_timeout",), "without --distribute=workers")
    set_config(values)
    runner.import_tensorflow()
    from tinytl_tf.training import Distribution, Experiment, pretrain

    Experiment(values.config)  # a worker that cannot begin does not keep the others waiting
    result = pretrain(
        values.config,
        values.workdir,
        resume=values.resume,
        license=values.license,
        distribution=Distribution(values.distribute, timeout=values.worker_timeout),
    )
    if values.config.training.distillation == 1:  # its classifier knows nothing
        print(f"distance from the teacher's features {result['feature_distance']:.3f} in the last epoch")
    elif "test_accuracy" in result:
        print(f"test accuracy on the source {result['test_accuracy']:.2%} after the last epoch")
    print(f"branches in {result['branches']}, checkpoints and log next to them")
    branches = f"--branch_weights={result['branches']}"
    runner.print_next(shlex.join(["tinytl", "train", "--config=FILE", branches, "--workdir=FOLDER"]))
    return {"workdir": values.workdir, **result}


if __name__ == "__main__":
    sys.exit(supervised(["pretrain", *sys.argv[1:]], lambda: runner.run_command("pretrain", sys.argv[1:])))
