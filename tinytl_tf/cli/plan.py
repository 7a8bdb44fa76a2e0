"""Finds what to train within a budget of memory, on your own images, and writes it as a config.

Scheme, resolution and the places whose biases and lite residuals train are chosen by contribution, measured on the
training images, per memory. The budget is the growth of a process that loads the exported file and takes a training
step without a delegate, with two threads: the runtime, the file, variables and arena. The choice is planned from the
converted file and then measured in a fresh process; both must fit. Linux only; some minutes.

MB are 10^6 bytes.

Example:
  tinytl plan --config=configs/default.py --budget_mb=16 --resolutions=96,128,160 --output=plan.py
  tinytl train --config=plan.py --workdir=runs/plan
"""

import pprint
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf import files
from tinytl_tf.cli import runner
from tinytl_tf.cli.train import define_config, set_branch_weights
from tinytl_tf.errors import InputError
from tinytl_tf.optimizers import OPTIMIZERS
from tinytl_tf.profiles import FROZEN_WEIGHTS
from tinytl_tf.tflite.runtime import THREADS

__all__ = []

_ACCOUNT = f"growth of the process, without a delegate, {THREADS} threads"


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    define_config(values, argv)
    flags.DEFINE_float("budget_mb", None, "What the process may grow by, in MB.", flag_values=values, required=True)
    flags.DEFINE_string("output", None, "The config to write, a .py file.", flag_values=values, required=True)
    flags.DEFINE_list("resolutions", None, "Pixels to choose from; default: the config's.", flag_values=values)
    flags.DEFINE_enum("optimizer", "sgd", list(OPTIMIZERS), "The device's optimizer.", flag_values=values)
    flags.DEFINE_integer("batch_size", 8, "Images of a step on the device.", lower_bound=1, flag_values=values)
    flags.DEFINE_enum("frozen_weights", "int8", list(FROZEN_WEIGHTS), "Type of the frozen kernels.", flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns what --json holds."""
    if values.config is None:
        raise InputError("expected --config=FILE, a Python file with get_config(); see configs/default.py")
    if not 0 < values.budget_mb < float("inf"):
        raise InputError(f"expected a --budget_mb above 0, got {values.budget_mb:g}; 16 is a usual one")
    if not values.output.endswith(".py"):
        raise InputError(f"expected --output=FILE.py, got {values.output!r}; a config is a Python file")
    files.refuse_existing(values.output, values.overwrite)
    resolutions = _resolutions(values)
    set_branch_weights(values.config, values.branch_weights)

    runner.import_tensorflow()
    from tinytl_tf.planning import Planner

    print(f"budget {values.budget_mb:g} MB: {_ACCOUNT}, batch {values.batch_size}, {values.frozen_weights}", flush=True)
    planner = Planner(
        values.config,
        resolutions=resolutions,
        optimizer=values.optimizer,
        batch_size=values.batch_size,
        frozen_weights=values.frozen_weights,
        say=lambda text: print(text, flush=True),
    )
    outcome = planner.find(int(1e6 * values.budget_mb))
    result = _result(values, outcome)
    files.atomic_write_bytes(values.output, _config_file(result, outcome.config).encode())
    _print(result, outcome)
    return result


def _resolutions(values: flags.FlagValues) -> list[int]:
    if values.resolutions is None:
        return [values.config.backbone.resolution]
    if not values.resolutions or not all(text.strip().isdecimal() for text in values.resolutions):
        raise InputError(f"expected --resolutions=96,128,... in pixels, got {','.join(values.resolutions)!r}")
    return [int(text) for text in values.resolutions]


def _result(values: flags.FlagValues, outcome) -> dict[str, Any]:
    trial, config = outcome.trial, outcome.config
    flags_of_export = {name: values[name].value for name in ("optimizer", "batch_size", "frozen_weights")}
    stem = values.output.removesuffix(".py")
    export = [f"--workdir={stem}_run", "--profile=min-memory", *(f"--{k}={v}" for k, v in flags_of_export.items())]
    return {
        "account": _ACCOUNT,
        "budget_mb": values.budget_mb,
        **flags_of_export,
        "backbone": config.backbone.name,
        "scheme": config.scheme,
        "resolution": config.backbone.resolution,
        "biases": list(trial.plan.places("biases")),
        "lite_residuals": list(trial.plan.places("lite_residuals")),
        "trained_parameters": trial.resolved.parameters,
        "planned_mb": trial.planned.growth_bytes / 1e6,
        "planned_parts_mb": {name: size / 1e6 for name, size in trial.planned.parts.items()},
        "measured_mb": trial.measured_bytes / 1e6,
        "rows": [
            {
                "place": target.place,
                "kind": target.kind,
                "trained": target in trial.plan.targets,
                "contribution": value,
                "cost_mb": outcome.costs[target] / 1e6,
            }
            for target, value in outcome.contributions.items()
        ],
        "held_out": [
            {"resolution": resolution, "loss": before, "loss_after_training": after}
            for resolution, (before, after) in outcome.losses.items()
        ],
        "trials": [
            {
                "resolution": other.plan.resolution,
                "scheme": other.plan.scheme,
                "biases": len(other.plan.places("biases")),
                "lite_residuals": len(other.plan.places("lite_residuals")),
                "planned_mb": other.planned.growth_bytes / 1e6,
                "measured_mb": other.measured_bytes / 1e6,
            }
            for other in outcome.trials
        ],
        "commands": [
            f"tinytl train --config={values.output} --workdir={stem}_run",
            f"tinytl export {' '.join(export)} --output={stem}.tflite",
        ],
    }


def _config_file(result: dict[str, Any], config) -> str:
    """The config, with what it promises."""
    promise = (
        f"planned {result['planned_mb']:.2f} MB, measured {result['measured_mb']:.2f} MB of a budget of "
        f"{result['budget_mb']:g} MB\n({result['account']}, batch {result['batch_size']}, {result['frozen_weights']}, "
        f"{result['optimizer']})"
    )
    commands = "\n".join(f"    {command}" for command in result["commands"])
    values = pprint.pformat(config.to_dict(), width=100, sort_dicts=False)
    return (
        f'"""Chosen by `tinytl plan`: {promise}.\n\nCommands:\n{commands}\n"""\n\n'
        f"from ml_collections import ConfigDict\n\nVALUES = {values}\n\n\n"
        f'def get_config() -> ConfigDict:\n    """Returns the configuration."""\n'
        f"    return ConfigDict(VALUES).lock()\n"
    )


def _print(result: dict[str, Any], outcome) -> None:
    total = sum(max(row["contribution"], 0) for row in result["rows"]) or 1
    print("\nplace     what            contribution   cost MB")
    for row in sorted(result["rows"], key=lambda row: -row["contribution"]):
        state = "train" if row["trained"] else "freeze"
        share = f"{row['contribution'] / total:12.2%}"
        print(f"{row['place']:9s} {row['kind'].replace('_', ' '):14s} {share} {row['cost_mb']:10.3f}  {state}")
    print(f"\n{outcome.trial.resolved}")
    print(
        f"promised (planned from the file): {result['planned_mb']:.2f} MB; measured: {result['measured_mb']:.2f} MB; "
        f"budget {result['budget_mb']:g} MB ({_ACCOUNT})\nnext:"
    )
    for command in result["commands"]:
        print(f"  {command}")


if __name__ == "__main__":
    sys.exit(runner.run_command("plan", sys.argv[1:]))
