"""Chooses what to train within a memory budget, using your own images, and writes the choice as a config.

The command chooses the scheme, the resolution, and the places whose biases, lite residuals and wide kernels are
trained; of a kernel, all channels or the first half, quarter or eighth of them. It selects those with the highest
contribution, measured on the training images, per byte of memory.

--budget_mb limits the growth of a process that loads the exported file and runs a training step without a delegate,
with two threads: the runtime, the file, variables and arena. The memory is planned from the converted file, and then
measured in a fresh process; both figures must fit. Linux only. Takes a few minutes. MB are 10^6 bytes.

--budget_inferences limits the time of a training step in addition: with 3, a step may take at most 3 times as long as
the inferences of its images, measured under the same conditions. The ratio depends little on the machine.

--networks lists networks to choose from: each gets its best plan, and the one with the lowest loss on held-out training
images, after a short training, is chosen. NAME@WIDTH=WEIGHTS sets a width and a file of weights.

With --target=micro, --arena_kb limits the arena that TensorFlow Lite Micro reports, and --flash_kb the file size, both
for the file exported after training; both must fit. KB are 1024 bytes.

Examples:
  tinytl plan --config=default --budget_mb=16 --resolutions=96,128,160 --output=plan.py
  tinytl plan --config=default --budget_mb=16 --networks=mobilenet_v2,efficientnet_lite0 --output=plan.py
  tinytl plan --config=default --target=micro --arena_kb=1024 --flash_kb=8192 --output=plan.py
  tinytl train --config=plan.py --workdir=runs/plan
"""

import pprint
import shlex
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from absl import flags

from tinytl_tf import files
from tinytl_tf.cli import runner
from tinytl_tf.cli.budget import Budget
from tinytl_tf.cli.micro_budget import MicroBudget
from tinytl_tf.cli.process_budget import ProcessBudget
from tinytl_tf.cli.train import define_config, refuse_continue, set_config
from tinytl_tf.errors import InputError
from tinytl_tf.networks.architectures import MAX_RESOLUTION
from tinytl_tf.optimizers import OPTIMIZERS
from tinytl_tf.profiles import FROZEN_WEIGHTS

__all__ = []

FIRST = ("config", "budget_mb", "resolutions", "networks", "output", "target")  # in --help

_BUDGETS = {"file": ProcessBudget, "micro": MicroBudget}  # by --target


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    define_config(values, argv)
    flags.DEFINE_enum(
        "target", "file", list(_BUDGETS), "file: for LiteRT; micro: for TensorFlow Lite Micro.", flag_values=values
    )
    flags.DEFINE_float("budget_mb", None, "file: maximum growth of the process in MB.", flag_values=values)
    flags.DEFINE_float(
        "budget_inferences", None, "file: maximum time of a step, in inferences per image.", flag_values=values
    )
    flags.DEFINE_float("arena_kb", None, "micro: maximum arena size in KB (1024 bytes).", flag_values=values)
    flags.DEFINE_float("flash_kb", None, "micro: maximum file size in KB (1024 bytes).", flag_values=values)
    flags.DEFINE_string("output", None, "The config to write, a .py file.", flag_values=values, required=True)
    flags.DEFINE_list("networks", None, "Networks to choose from; default: the config's.", flag_values=values)
    flags.DEFINE_list("resolutions", None, "Resolutions to try, in pixels; default: the config's.", flag_values=values)
    flags.DEFINE_enum("optimizer", "sgd", list(OPTIMIZERS), "The device's optimizer.", flag_values=values)
    flags.DEFINE_integer("batch_size", 8, "file: images per step on the device.", lower_bound=1, flag_values=values)
    flags.DEFINE_enum(
        "frozen_weights", "int8", list(FROZEN_WEIGHTS), "file: type of the frozen kernels.", flag_values=values
    )


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    if values.config is None:
        raise InputError(
            "expected --config=NAME, or a Python file with get_config(); --config=default is for photos of your own"
        )
    budget = _BUDGETS[values.target](values)
    if not values.output.endswith(".py"):
        raise InputError(f"expected --output=FILE.py, got {values.output!r}; a config is a Python file")
    files.refuse_existing(values.output, values.overwrite)
    resolutions = _resolutions(values)
    set_config(values)
    refuse_continue(values)

    runner.import_tensorflow()
    outcome, networks = _find(values, budget, resolutions)
    result = _result(values, budget, outcome) | networks
    text = _config_file(result, budget.promise(result), outcome.config)
    files.atomic_write_bytes(values.output, text.encode())
    _print(result, budget, outcome)
    return result


def _find(values: flags.FlagValues, budget: Budget, resolutions: list[int]):
    """Returns the best plan; and, with --networks, how each network did, for --json."""
    from tinytl_tf.planning import Planner, choose_network, read_candidates

    options = {"resolutions": resolutions, "say": lambda text: print(text, flush=True)}
    if values.networks is None:
        print(budget.head(), flush=True)
        return Planner(values.config, budget.make_account(), **options).find(budget.bytes), {}
    candidates = read_candidates(values.networks, values.config)
    print(budget.head(), flush=True)
    choice = choose_network(candidates, values.config, budget.make_account(), budget=budget.bytes, **options)
    rows = [
        {
            "network": str(candidate),
            "chosen": candidate == choice.candidate,
            "resolution": outcome.config.backbone.resolution,
            "scheme": outcome.config.scheme,
            "loss": outcome.loss,
            **budget.needs(outcome.trial),
        }
        for candidate, outcome in choice.outcomes.items()
    ]
    misfits = [{"network": str(candidate), "reason": text} for candidate, text in choice.misfits.items()]
    return choice.outcome, {"networks": rows, "misfits": misfits}


def _resolutions(values: flags.FlagValues) -> list[int]:
    if values.resolutions is None:
        return [values.config.backbone.resolution]
    if not values.resolutions or not all(text.strip().isdecimal() for text in values.resolutions):
        raise InputError(f"expected --resolutions=96,128,... in pixels, got {','.join(values.resolutions)!r}")
    if any(len(text.strip()) > 9 or int(text) > MAX_RESOLUTION for text in values.resolutions):
        raise InputError(f"expected --resolutions of at most {MAX_RESOLUTION} pixels, got one of more")
    return [int(text) for text in values.resolutions]


def _result(values: flags.FlagValues, budget: Budget, outcome) -> dict[str, Any]:
    trial, config = outcome.trial, outcome.config
    stem = values.output.removesuffix(".py")
    run = f"--workdir={stem}_run"
    return {
        "target": values.target,
        "account": budget.account,
        **budget.numbers,
        "backbone": config.backbone.name,
        "scheme": config.scheme,
        "resolution": config.backbone.resolution,
        "biases": list(trial.plan.places("biases")),
        "lite_residuals": list(trial.plan.places("lite_residuals")),
        "kernels": list(config.kernels),
        "trained_parameters": trial.resolved.parameters,
        **budget.needs(trial),
        **budget.parts(trial),
        "rows": [
            {
                "place": target.place,
                "kind": target.kind,
                "share": target.share,
                "trained": target in trial.plan.targets,
                "contribution": value,
                **budget.cost(outcome.costs[target]),
            }
            for target, value in outcome.contributions.items()
            if _is_shown(target, trial.plan)
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
                "kernels": len(other.plan.places("kernels")),
                **budget.needs(other),
            }
            for other in outcome.trials
        ],
        "commands": [
            shlex.join(["tinytl", "train", f"--config={values.output}", run]),
            shlex.join(["tinytl", "export", run, *budget.export_flags, f"--output={stem}.tflite"]),
        ],
    }


def _is_shown(target, plan) -> bool:
    """Returns whether a target has a row: of the shares of a kernel, the trained one or else the whole kernel."""
    trained = {other.share for other in plan.targets if other._replace(share=target.share) == target}
    return target.share in (trained or {1})


def _config_file(result: dict[str, Any], promise: str, config) -> str:
    """Returns the text of the config file, with the plan's description and commands."""
    commands = "\n".join(f"    {command}" for command in result["commands"])
    values = pprint.pformat(config.to_dict(), width=100, sort_dicts=False)
    return (
        f'"""Chosen by `tinytl plan`: {promise}.\n\nCommands:\n{commands}\n"""\n\n'
        f"from ml_collections import ConfigDict\n\nVALUES = {values}\n\n\n"
        f'def get_config() -> ConfigDict:\n    """Returns the configuration."""\n'
        f"    return ConfigDict(VALUES).lock()\n"
    )


def _print(result: dict[str, Any], budget: Budget, outcome) -> None:
    for row in sorted(result.get("networks", ()), key=lambda row: row["loss"]):
        state = "chosen" if row["chosen"] else ""
        print(f"{row['network']:24s} {row['resolution']:4d} px  {row['scheme']:16s} loss {row['loss']:.4f}  {state}")
    total = sum(value for target, value in outcome.contributions.items() if target.share == 1) or 1
    print("\nplace     what            contribution" + "".join(f"{title:>10s}" for _, title in budget.columns))
    for row in sorted(result["rows"], key=lambda row: -row["contribution"]):
        state = "train" if row["trained"] else "freeze"
        share = f"{row['contribution'] / total:12.2%}"
        costs = "".join(f"{row[key]:11.3f}" for key, _ in budget.columns)
        what = row["kind"].replace("_", " ") + (f" {Fraction(row['share'])}" if row["share"] != 1 else "")
        print(f"{row['place']:9s} {what:14s} {share}{costs}  {state}")
    print(f"\n{outcome.trial.resolved}\n{budget.verdict(result)}")
    runner.print_next(*result["commands"])


if __name__ == "__main__":
    sys.exit(runner.run_command("plan", sys.argv[1:]))
