"""The memory budget of `tinytl plan` for a file trained with LiteRT: the maximum growth of a process."""

from collections.abc import Mapping
from typing import Any

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.cli.budget import Budget
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.runtime import THREADS

__all__ = ["ProcessBudget"]


class ProcessBudget(Budget):
    """The limit set by `--budget_mb`.

    Args:
        values: The flags of `tinytl plan`.

    Raises:
        InputError: If a flag is missing, out of range, or has no effect for this target.
    """

    account = f"growth of the process, without a delegate, {THREADS} threads"
    columns = (("cost_mb", "cost MB"),)

    def __init__(self, values: flags.FlagValues) -> None:
        runner.refuse_unused(values, ("arena_kb", "flash_kb"), "without --target=micro")
        if values.budget_mb is None:
            raise InputError("expected --budget_mb=MB, the largest growth of the process; 16 is common")
        if not 0 < values.budget_mb < float("inf"):
            raise InputError(f"expected a --budget_mb above 0, got {values.budget_mb:g}; 16 is common")
        inferences = values.budget_inferences
        if inferences is not None and not 0 < inferences < float("inf"):
            raise InputError(f"expected a --budget_inferences above 0, got {inferences:g}; 4 is common")
        self.bytes = {"growth": int(min(1e6 * values.budget_mb, runner.MOST))}
        if inferences is not None:
            self.bytes["time"] = int(min(1000 * inferences, runner.MOST))
            self.columns = (*self.columns, ("cost_inferences", "inferences"))
        settings = {name: values[name].value for name in ("optimizer", "batch_size", "frozen_weights")}
        self.numbers = {"budget_mb": values.budget_mb, "budget_inferences": inferences, **settings}
        self.export_flags = ["--profile=min-memory", *(f"--{name}={value}" for name, value in settings.items())]
        self._settings = settings

    def make_account(self):
        """Returns the memory account for the planner. Imports TensorFlow."""
        from tinytl_tf.planning import GrowthAccount

        return GrowthAccount(**self._settings, with_time="time" in self.bytes)

    def needs(self, trial) -> dict[str, float]:
        """Returns the memory that a plan needs, for `--json`."""
        needs = {"planned": trial.planned, "measured": trial.measured}
        memory = {f"{name}_mb": own["growth"] / 1e6 for name, own in needs.items()}
        return memory | {f"{name}_inferences": own["time"] / 1000 for name, own in needs.items() if "time" in own}

    def parts(self, trial) -> dict[str, Any]:
        """Returns the breakdown of the chosen plan's memory, for `--json`."""
        return {"planned_parts_mb": {name: size / 1e6 for name, size in trial.parts["growth"].items()}}

    def cost(self, needs: Mapping[str, float]) -> dict[str, float]:
        """Returns the cost of training a place, for `--json`."""
        time = {"cost_inferences": needs["time"] / 1000} if "time" in needs else {}
        return {"cost_mb": needs["growth"] / 1e6} | time

    def head(self) -> str:
        """Returns the line to print before the search."""
        limit = self.numbers["budget_inferences"]
        time = f", and {limit:g} inferences of each image for a step" if limit else ""
        return f"budget {self.numbers['budget_mb']:g} MB: {self.account}, {self._conditions(self._settings)}{time}"

    def promise(self, result: Mapping[str, Any]) -> str:
        """Returns the plan's description in the config file, which follows "Chosen by `tinytl plan`: "."""
        return (
            f"planned {result['planned_mb']:.2f} MB, measured {result['measured_mb']:.2f} MB of a budget of "
            f"{result['budget_mb']:g} MB\n({self.account}, {self._conditions(result)}, {result['optimizer']})"
            f"{self._time(result)}"
        )

    def verdict(self, result: Mapping[str, Any]) -> str:
        """Returns the line to print after the table."""
        return (
            f"promised (planned from the file): {result['planned_mb']:.2f} MB; measured: {result['measured_mb']:.2f} "
            f"MB; budget {result['budget_mb']:g} MB ({self.account}){self._time(result)}"
        )

    @staticmethod
    def _time(result: Mapping[str, Any]) -> str:
        if not result["budget_inferences"]:
            return ""
        return (
            f";\na step takes as long as {result['planned_inferences']:.2f} (planned), "
            f"{result['measured_inferences']:.2f} (measured) of {result['budget_inferences']:g} inferences per image"
        )

    @staticmethod
    def _conditions(settings: Mapping[str, Any]) -> str:
        return f"batch {settings['batch_size']}, {settings['frozen_weights']}"
