"""The budget of `tinytl plan` for a file trained with LiteRT: the maximum growth of a process, and time of a step."""

from collections.abc import Mapping
from typing import Any

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.cli.budget import Budget
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.runtime import THREADS

__all__ = ["ProcessBudget"]


class ProcessBudget(Budget):
    """The limits set by `--budget_mb` and `--budget_inferences`.

    Args:
        values: The flags of `tinytl plan`.

    Raises:
        InputError: If a flag is missing, out of range, or has no effect for this target.
    """

    account = f"growth of the process, without a delegate, {THREADS} threads"

    def __init__(self, values: flags.FlagValues) -> None:
        runner.refuse_unused(values, ("arena_kb", "flash_kb"), "without --target=micro")
        if values.budget_mb is None:
            raise InputError("expected --budget_mb=MB, the largest growth of the process; 16 is common")
        if not 0 < values.budget_mb < float("inf"):
            raise InputError(f"expected a --budget_mb above 0, got {values.budget_mb:g}; 16 is common")
        self.bytes = {"growth": int(min(1e6 * values.budget_mb, runner.MOST))}
        self.columns = (("cost_mb", "cost MB"),)
        settings = {name: values[name].value for name in ("optimizer", "batch_size", "frozen_weights")}
        self.numbers = {"budget_mb": values.budget_mb, **settings}
        self.export_flags = ["--profile=min-memory", *(f"--{name}={value}" for name, value in settings.items())]
        self._settings = settings
        self._has_time = values.budget_inferences is not None
        if self._has_time:
            if not 1 < values.budget_inferences < float("inf"):
                raise InputError(
                    f"expected --budget_inferences above 1, got {values.budget_inferences:g}: a training step infers "
                    "each image, too; 3 is common"
                )
            self.bytes["time"] = int(min(1e3 * values.budget_inferences, runner.MOST))
            self.numbers["budget_inferences"] = values.budget_inferences
            self.columns += (("cost_inferences", "inferences"),)

    def make_account(self):
        """Returns the memory account for the planner. Imports TensorFlow."""
        from tinytl_tf.planning import GrowthAccount

        return GrowthAccount(**self._settings, time=self._has_time)

    def needs(self, trial) -> dict[str, float]:
        """Returns the memory and time that a plan needs, for `--json`."""
        needs = {}
        for state, own in (("planned", trial.planned), ("measured", trial.measured)):
            needs[f"{state}_mb"] = own["growth"] / 1e6
            if self._has_time:
                needs[f"{state}_inferences"] = own["time"] / 1e3
        return needs

    def parts(self, trial) -> dict[str, Any]:
        """Returns the breakdown of the chosen plan's memory, for `--json`."""
        return {"planned_parts_mb": {name: size / 1e6 for name, size in trial.parts["growth"].items()}}

    def cost(self, needs: Mapping[str, float]) -> dict[str, float]:
        """Returns the cost of training a place, for `--json`."""
        costs = {"cost_mb": needs["growth"] / 1e6}
        return costs | {"cost_inferences": needs["time"] / 1e3} if self._has_time else costs

    def head(self) -> str:
        """Returns the line to print before the search."""
        time = f" and {self.numbers['budget_inferences']:g} inferences" if self._has_time else ""
        return f"budget {self.numbers['budget_mb']:g} MB{time}: {self.account}, {self._conditions(self._settings)}"

    def promise(self, result: Mapping[str, Any]) -> str:
        """Returns the plan's description in the config file, which follows "Chosen by `tinytl plan`: "."""
        return (
            f"planned {result['planned_mb']:.2f} MB, measured {result['measured_mb']:.2f} MB of a budget of "
            f"{result['budget_mb']:g} MB{self._time_text(result)}\n"
            f"({self.account}, {self._conditions(result)}, {result['optimizer']})"
        )

    def verdict(self, result: Mapping[str, Any]) -> str:
        """Returns the line to print after the table."""
        return (
            f"promised (planned from the file): {result['planned_mb']:.2f} MB; measured: {result['measured_mb']:.2f} "
            f"MB; budget {result['budget_mb']:g} MB ({self.account}){self._time_text(result)}"
        )

    def _time_text(self, result: Mapping[str, Any]) -> str:
        if not self._has_time:
            return ""
        return (
            f"; a step takes as long as {result['measured_inferences']:.2f} inferences of each of its images, of a "
            f"budget of {result['budget_inferences']:g}"
        )

    @staticmethod
    def _conditions(settings: Mapping[str, Any]) -> str:
        return f"batch {settings['batch_size']}, {settings['frozen_weights']}"
