"""The account for a TensorFlow Lite Micro file: the arena that it needs, and the flash that stores it."""

import math

import keras
import numpy as np

from tinytl_tf import data
from tinytl_tf.export.build import build_micro_file
from tinytl_tf.export.exporter import with_labels
from tinytl_tf.export.micro_module import MicroModule
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.planning.account import Account, Needs, Parts
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime.micro_arena import measure_arena

__all__ = ["MicroAccount"]

_WORDS = {"arena": "an arena of {} KB", "flash": "{} KB of flash"}


class MicroAccount(Account):
    """Arena and file size of an export with target `"micro"`.

    The arena is the memory that TensorFlow Lite Micro needs to start the file on x86-64, as in the manifest. Its parts
    are `tensors`, `variables` with their gradient sums and optimizer slots, and `records` of operators and tensors. One
    KB is 1024 bytes.

    Args:
        optimizer: optimizer on the device.

    Example:
        >>> MicroAccount().budget_text({"arena": 320 * 1024, "flash": 2048 * 1024})
        'an arena of 320 KB and 2048 KB of flash'
    """

    def __init__(self, *, optimizer: str = "sgd") -> None:
        self._rule = get_optimizer(optimizer)

    def build(self, model: keras.Model, dataset: data.ImageDataset) -> bytes:
        """Returns the file as it would be after training; sets the model's trained variables to random values."""
        _move(model)
        module = MicroModule(model, model.trainable_variables, optimizer=self._rule, task=dataset.task)
        return with_labels(build_micro_file(module)[0], dataset.task, dataset.class_names)

    def plan(self, content: bytes) -> Parts:
        """Returns the arena that TensorFlow Lite Micro reports, and the size of the file."""
        arena = measure_arena(content)
        variables = sum(Model.from_bytes(content).resource_variables.values())
        records = arena.bytes - arena.head_bytes - variables
        return {
            "arena": {"tensors": arena.head_bytes, "variables": variables, "records": records},
            "flash": {"file": len(content)},
        }

    def budget_text(self, budget: Needs) -> str:
        """Returns the arena and the flash in KB."""
        return " and ".join(words.format(f"{budget[name] / 1024:g}") for name, words in _WORDS.items())

    def needs_text(self, needs: Needs) -> str:
        """Returns the arena and the flash in KB, rounded up."""
        return " and ".join(words.format(_kb(needs[name])) for name, words in _WORDS.items())

    def excess_text(self, planned: Needs, measured: Needs, budget: Needs) -> str:
        """Returns the arena and the flash in KB, and by how much each exceeds the budget."""
        texts = []
        for name, words in _WORDS.items():
            missing = planned[name] - budget[name]
            texts.append(words.format(_kb(planned[name])) + (f", {_kb(missing)} KB too much," if missing > 0 else ""))
        return f"needs {' and '.join(texts)}".rstrip(",")


def _kb(size: int) -> int:
    """Returns a size in KB, rounded up so that the printed size is sufficient."""
    return math.ceil(size / 1024)


def _move(model: keras.Model) -> None:
    """Sets trained variables to random values, since zeros and identical variables would make the file smaller."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(scale=0.1, size=variable.shape))
