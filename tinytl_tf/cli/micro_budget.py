"""The memory budget of `tinytl plan --target=micro`: the arena and flash sizes of a microcontroller."""

import math
from collections.abc import Mapping
from typing import Any

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.cli.budget import Budget
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.runtime.micro import import_runtime

__all__ = ["MicroBudget"]

_RESOURCES = ("arena", "flash")


class MicroBudget(Budget):
    """The limits set by `--arena_kb` and `--flash_kb`.

    Args:
        values: The flags of `tinytl plan`.

    Raises:
        InputError: If a flag is missing, out of range, or has no effect for this target; or if the package
            `tflite-micro` is not installed.
    """

    account = "arena as TensorFlow Lite Micro reports it, and size of the file; 1 KB is 1024 bytes"
    columns = (("cost_arena_kb", "arena KB"), ("cost_flash_kb", "flash KB"))

    def __init__(self, values: flags.FlagValues) -> None:
        why = "with --target=micro, whose budget is --arena_kb and --flash_kb"
        runner.refuse_unused(values, ("budget_mb", "budget_inferences"), why)
        runner.refuse_unused(values, ("batch_size",), "with --target=micro, where the arena is that of any batch")
        runner.refuse_unused(values, ("frozen_weights",), "with --target=micro, whose kernels are float32")
        if values.arena_kb is None or values.flash_kb is None:
            raise InputError(
                "expected --arena_kb=KB and --flash_kb=KB together with --target=micro; for 320 KB of memory and 2 MB "
                "of flash they are 320 and 2048"
            )
        self.numbers: dict[str, Any] = {}
        for article, name in (("an", "arena_kb"), ("a", "flash_kb")):
            if not 0 < values[name].value < float("inf"):
                raise InputError(f"expected {article} --{name} above 0, got {values[name].value:g}; KB are 1024 bytes")
            self.numbers[name] = values[name].value
        import_runtime()
        self.bytes = {name: int(min(1024 * self.numbers[f"{name}_kb"], runner.MOST)) for name in _RESOURCES}
        self.numbers["optimizer"] = values.optimizer
        self.export_flags = ["--target=micro", f"--optimizer={values.optimizer}"]

    def make_account(self):
        """Returns the memory account for the planner. Imports TensorFlow."""
        from tinytl_tf.planning import MicroAccount

        return MicroAccount(optimizer=self.numbers["optimizer"])

    def needs(self, trial) -> dict[str, int]:
        """Returns the memory that a plan needs, for `--json`."""
        return {f"{name}_bytes": trial.planned[name] for name in _RESOURCES}

    def parts(self, trial) -> dict[str, Any]:
        """Returns the breakdown of the chosen plan's arena, for `--json`."""
        return {"arena_parts_bytes": dict(trial.parts["arena"])}

    def cost(self, needs: Mapping[str, float]) -> dict[str, float]:
        """Returns the cost of training a place, for `--json`."""
        return {f"cost_{name}_kb": needs[name] / 1024 for name in _RESOURCES}

    def head(self) -> str:
        """Returns the line to print before the search."""
        numbers = self.numbers
        return f"budget {numbers['arena_kb']:g} KB of arena, {numbers['flash_kb']:g} KB of flash: {self.account}"

    def promise(self, result: Mapping[str, Any]) -> str:
        """Returns the plan's description in the config file, which follows "Chosen by `tinytl plan`: "."""
        return (
            f"an arena of {_both(result['arena_bytes'])} of {result['arena_kb']:g} KB,\n"
            f"a file of {_both(result['flash_bytes'])} of {result['flash_kb']:g} KB (--target=micro, "
            f"{result['optimizer']})"
        )

    def verdict(self, result: Mapping[str, Any]) -> str:
        """Returns the line to print after the table."""
        return (
            f"promised (of the file as it will be after training): an arena of {_both(result['arena_bytes'])}, a file "
            f"of {_both(result['flash_bytes'])}; budget {result['arena_kb']:g} and {result['flash_kb']:g} KB"
        )


def _both(size: int) -> str:
    return f"{size} bytes ({math.ceil(size / 1024)} KB)"
