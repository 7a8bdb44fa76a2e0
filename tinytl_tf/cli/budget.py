"""The budget of `tinytl plan`: checks of its flags, and reports of the needs of a plan."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = ["Budget"]


class Budget(abc.ABC):
    """The budget that the flags of a target give.

    It is made from the flags of `tinytl plan`, before TensorFlow is imported, and raises `InputError` for flags
    that are missing, out of range, or do nothing with the target.

    Attributes:
        bytes: The budget, as `Planner.find` takes it.
        account: The counted quantity, in words.
        numbers: The budget in the result of --json.
        export_flags: What `tinytl export` is to be told for the planned file.
        columns: Keys of a row's costs in the table, and their titles.
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
        """Returns the needs of a plan for --json."""

    @abc.abstractmethod
    def parts(self, trial) -> dict[str, Any]:
        """Returns the parts of the chosen plan's needs for --json."""

    @abc.abstractmethod
    def cost(self, needs: Mapping[str, float]) -> dict[str, float]:
        """What --json says of the cost of a place."""

    @abc.abstractmethod
    def head(self) -> str:
        """A line before the search."""

    @abc.abstractmethod
    def promise(self, result: Mapping[str, Any]) -> str:
        """Returns the description of the plan in the config's file, after "Chosen by `tinytl plan`: "."""

    @abc.abstractmethod
    def verdict(self, result: Mapping[str, Any]) -> str:
        """The line after the table."""
