"""What a plan takes of what is limited: the seam between the search and the place where the file is to train."""

import abc
from collections.abc import Mapping

import keras

from tinytl_tf import data

__all__ = ["Account", "Needs", "Parts", "total"]

Needs = Mapping[str, int]  # bytes by resource
Parts = Mapping[str, Mapping[str, int]]  # bytes by resource, and by what takes them


class Account(abc.ABC):
    """Makes the file of a plan, and says how many bytes of each resource it needs.

    A resource is something that has a budget of its own, by name: `"growth"` of a process, `"arena"` and `"flash"` of a
    microcontroller.
    """

    @abc.abstractmethod
    def build(self, model: keras.Model, dataset: data.ImageDataset) -> bytes:
        """Returns the file that an export writes, before its checks.

        Args:
            model: The network of a plan; its trainable variables are trained on the device.
            dataset: The training images, for their task and classes.
        """

    @abc.abstractmethod
    def plan(self, content: bytes) -> Parts:
        """Returns what a file needs as far as one can say without running it; by the same resources for all files."""

    def measure(self, content: bytes) -> Needs:
        """Returns what a file needs when it runs; nothing where `plan` says that already."""
        return {}

    @abc.abstractmethod
    def budget_text(self, budget: Needs) -> str:
        """Returns a budget in words, as `16 MB`."""

    @abc.abstractmethod
    def needs_text(self, needs: Needs) -> str:
        """Returns in words what a file needs, as `15.72 MB`."""

    @abc.abstractmethod
    def excess_text(self, planned: Needs, measured: Needs, budget: Needs) -> str:
        """Returns in words what a file needs that is above a budget, and by how much."""


def total(parts: Parts) -> dict[str, int]:
    """Adds the parts of each resource up.

    Example:
        >>> total({"growth": {"file": 3, "arena": 4}})
        {'growth': 7}
    """
    return {name: sum(own.values()) for name, own in parts.items()}
