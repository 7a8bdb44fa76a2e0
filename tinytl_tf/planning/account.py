"""The limited resources that a plan needs: the interface between the search and the target device."""

import abc
from collections.abc import Mapping

import keras

from tinytl_tf import data

__all__ = ["Account", "Needs", "Parts", "total"]

Needs = Mapping[str, int]  # amount by resource: bytes, or thousandths for a time
Parts = Mapping[str, Mapping[str, int]]  # amount by resource, then by part


class Account(abc.ABC):
    """Creates the file of a plan, and computes how much of each resource it needs.

    Each resource has a name and a separate budget: `"growth"` and possibly `"time"` for a process, `"arena"` and
    `"flash"` for a microcontroller. All are in bytes, but `"time"` is in thousandths.
    """

    @abc.abstractmethod
    def build(self, model: keras.Model, dataset: data.ImageDataset) -> bytes:
        """Returns the file that an export would write, without the export's checks.

        Args:
            model: network of the plan; its trainable variables are trained on the device.
            dataset: training images; provides the task and the classes.
        """

    @abc.abstractmethod
    def plan(self, content: bytes) -> Parts:
        """Returns the planned needs of a file, computed without running it; every file has the same resources."""

    def measure(self, content: bytes) -> Needs:
        """Returns the needs of a file, measured while it runs; empty if `plan` already includes them."""
        return {}

    @abc.abstractmethod
    def budget_text(self, budget: Needs) -> str:
        """Returns a budget as text, such as `16 MB`."""

    @abc.abstractmethod
    def needs_text(self, needs: Needs) -> str:
        """Returns the needs of a file as text, such as `15.72 MB`."""

    @abc.abstractmethod
    def excess_text(self, planned: Needs, measured: Needs, budget: Needs) -> str:
        """Returns a text about a file that exceeds a budget: its needs, and by how much they exceed the budget."""


def total(parts: Parts) -> dict[str, int]:
    """Adds up the parts of each resource.

    Example:
        >>> total({"growth": {"file": 3, "arena": 4}})
        {'growth': 7}
    """
    return {name: sum(own.values()) for name, own in parts.items()}
