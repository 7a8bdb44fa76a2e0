"""The memory budget of `tinytl plan`: checks its flags and reports the memory that a plan needs."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = ["Budget"]


class Budget(abc.ABC):
    """The memory budget set by a target's command-line flags.

    It is created from the flags of `tinytl plan` before TensorFlow is imported. The constructor raises `InputError`
    if a flag is missing, out of range, or has no effect for the target.

    Attributes:
        bytes: Limit for each resource, as passed to `Planner.find`: bytes, or thousandths of inferences for `time`.
        account: Description of the memory that the budget limits, for messages.
        numbers: Budget entries in the `--json` result.
        export_flags: Flags to pass to `tinytl export` for the planned model.
        columns: `(key, title)` of each cost column in the table.
    """

    account: ClassVar[str]
    columns: tuple[tuple[str, str], ...]
    bytes: dict[str, int]
    numbers: dict[str, Any]
    export_flags: list[str]

    @abc.abstractmethod
    def make_account(self):
        """Returns the memory account for the planner. Imports TensorFlow."""

    @abc.abstractmethod
    def needs(self, trial) -> dict[str, float]:
        """Returns the memory that a plan needs, for `--json`."""

    @abc.abstractmethod
    def parts(self, trial) -> dict[str, Any]:
        """Returns the breakdown of the chosen plan's memory, for `--json`."""

    @abc.abstractmethod
    def cost(self, needs: Mapping[str, float]) -> dict[str, float]:
        """Returns the cost of training a place, for `--json`."""

    @abc.abstractmethod
    def head(self) -> str:
        """Returns the line to print before the search."""

    @abc.abstractmethod
    def promise(self, result: Mapping[str, Any]) -> str:
        """Returns the plan's description in the config file, which follows "Chosen by `tinytl plan`: "."""

    @abc.abstractmethod
    def verdict(self, result: Mapping[str, Any]) -> str:
        """Returns the line to print after the table."""
