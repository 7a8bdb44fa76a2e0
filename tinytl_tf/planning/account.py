"""Needs of a plan in limited resources: the interface between the search and the target device."""

import abc
from collections.abc import Mapping

import keras

from tinytl_tf import data

__all__ = ["Account", "Needs", "Parts", "total"]

Needs = Mapping[str, int]  # bytes by resource
Parts = Mapping[str, Mapping[str, int]]  # bytes by resource, and by part


class Account(abc.ABC):
    """Makes the file of a plan, and counts the bytes of each resource that it needs.

    A resource has a name and a budget of its own: `"growth"` of a process, `"arena"` and `"flash"` of a
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
        """Returns the needs of a file that are known without running it; with the same resources for all files."""

    def measure(self, content: bytes) -> Needs:
        """Returns the needs of a file while it runs; empty if `plan` has them already."""
        return {}

    @abc.abstractmethod
    def budget_text(self, budget: Needs) -> str:
        """Returns a budget in words, as `16 MB`."""

    @abc.abstractmethod
    def needs_text(self, needs: Needs) -> str:
        """Returns the needs of a file in words, such as `15.72 MB`."""

    @abc.abstractmethod
    def excess_text(self, planned: Needs, measured: Needs, budget: Needs) -> str:
        """Returns the needs of a file above a budget in words, and by how much."""


def total(parts: Parts) -> dict[str, int]:
    """Adds the parts of each resource up.

    Example:
        >>> total({"growth": {"file": 3, "arena": 4}})
        {'growth': 7}
    """
    return {name: sum(own.values()) for name, own in parts.items()}
