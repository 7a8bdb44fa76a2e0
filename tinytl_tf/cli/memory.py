"""Tells how much memory a signature of a .tflite needs.

--account=planned lays the memory out as LiteRT does without a delegate, from the file alone.
--account=measured runs the signature, and `infer` where the file has it, each in a fresh process, and tells the
growth of the process and the time of a step. Linux only.

MB are 10^6 bytes.

Example:
  tinytl memory --model=model.tflite --account=measured --threads=2
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.flatbuffer import Model
from tinytl_tf.memory import measure, planned_peak

_INFER_STEPS = 10


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("model", None, "The .tflite file.", flag_values=values, required=True)
    flags.DEFINE_enum("account", "planned", ["planned", "measured"], "Which account.", flag_values=values)
    flags.DEFINE_string("signature", "train", "The signature to account for.", flag_values=values)
    flags.DEFINE_integer("threads", 1, "Threads of the interpreter.", lower_bound=1, flag_values=values)
    flags.DEFINE_boolean(
        "xnnpack", True, "Use the XNNPACK delegate (measured; planned is without a delegate).", flag_values=values
    )


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command.

    Returns:
        The rows of the printed table.
    """
    account = _planned if values.account == "planned" else _measured
    result = {"account": values.account, "model": values.model, "signature": values.signature, **account(values)}
    width = max(len(key) for key in result)
    for key, value in result.items():
        print(f"{key:<{width}}  {_text(value)}")
    return result


def _planned(values: flags.FlagValues) -> dict[str, Any]:
    model = Model.read(values.model)
    plan = planned_peak(model, values.signature, num_threads=values.threads)
    return {
        "threads": values.threads,
        "peak_mb": plan.peak_bytes / 1e6,
        "arena_mb": plan.arena_bytes / 1e6,
        "heap_mb": plan.heap_bytes / 1e6,
        "arenas_mb": {name: size / 1e6 for name, size in plan.arenas.items()},
        "variables_mb": sum(model.resource_variables.values()) / 1e6,
        "constants_mb": model.constant_bytes / 1e6,
        "dynamic_tensors": list(plan.dynamic),
    }


def _measured(values: flags.FlagValues) -> dict[str, Any]:
    options = {"num_threads": values.threads, "xnnpack": values.xnnpack}
    step = measure(values.model, values.signature, **options)
    has_infer = "infer" in Model.read(values.model).signatures
    infer = measure(values.model, "infer", steps=_INFER_STEPS, **options).step_ms_median if has_infer else None
    return {
        **{"threads": values.threads, "xnnpack": values.xnnpack},
        "growth_mb": step.growth_bytes / 1e6,
        "first_step_ms": step.first_step_ms,
        "step_ms_median": step.step_ms_median,
        "infer_ms_median": infer,
    }


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value)


if __name__ == "__main__":
    sys.exit(runner.run_command("memory", sys.argv[1:]))
