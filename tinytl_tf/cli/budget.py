"""The budget of `tinytl plan`: how its flags are checked, and how what a plan needs is told."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = ["Budget"]


class Budget(abc.ABC):
    """What the flags of a target mean.

    It is made from the flags of `tinytl plan`, before TensorFlow is imported, and refuses with an `InputError` what is
    missing, out of range, or does nothing with the target.

    Attributes:
        bytes: The budget, as `Planner.find` takes it.
        account: What is counted, in words.
        numbers: What --json says of the budget.
        export_flags: What `tinytl export` is to be told for the planned file.
        columns: Keys of a row's costs in the table, and what stands above them.
    """

    account: ClassVar[str]
    columns: ClassVar[tuple[tuple[str, str], ...]]
    bytes: dict[str, int]
    numbers: dict[str, Any]
    export_flags: list[str]

    @abc.abstractmethod
    def make_account(self):
        """Returns the account of the planner; imports TensorFlow."""

    @abc.abstractmethod
    def needs(self, trial) -> dict[str, float]:
        """What --json says of what a plan needs."""

    @abc.abstractmethod
    def parts(self, trial) -> dict[str, Any]:
        """What --json says of what makes up the needs of the chosen plan."""

    @abc.abstractmethod
    def cost(self, needs: Mapping[str, float]) -> dict[str, float]:
        """What --json says of the cost of a place."""

    @abc.abstractmethod
    def head(self) -> str:
        """A line before the search."""

    @abc.abstractmethod
    def promise(self, result: Mapping[str, Any]) -> str:
        """What the config's file says of the plan, after "Chosen by `tinytl plan`: "."""

    @abc.abstractmethod
    def verdict(self, result: Mapping[str, Any]) -> str:
        """The line after the table."""
