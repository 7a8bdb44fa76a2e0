"""The account of a file for TensorFlow Lite Micro: the arena that it needs, and the flash for the file."""

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
    """Arena and file of an export with target `"micro"`.

    The arena is the memory that TensorFlow Lite Micro needs to start the file, on x86-64, as in the manifest:
    `tensors`, `variables` with their sums and slots, and `records` of operators and tensors. KB are 1024 bytes.

    Args:
        optimizer: The device's.

    Example:
        >>> MicroAccount().budget_text({"arena": 320 * 1024, "flash": 2048 * 1024})
        'an arena of 320 KB and 2048 KB of flash'
    """

    def __init__(self, *, optimizer: str = "sgd") -> None:
        self._rule = get_optimizer(optimizer)

    def build(self, model: keras.Model, dataset: data.ImageDataset) -> bytes:
        """Returns the file as it is after training; the model's trained variables get other values for it."""
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
        """Returns arena and flash in KB."""
        return " and ".join(words.format(f"{budget[name] / 1024:g}") for name, words in _WORDS.items())

    def needs_text(self, needs: Needs) -> str:
        """Returns arena and flash in KB, rounded up."""
        return " and ".join(words.format(_kb(needs[name])) for name, words in _WORDS.items())

    def excess_text(self, planned: Needs, measured: Needs, budget: Needs) -> str:
        """Returns arena and flash in KB, and by how much each is above the budget."""
        texts = []
        for name, words in _WORDS.items():
            missing = planned[name] - budget[name]
            texts.append(words.format(_kb(planned[name])) + (f", {_kb(missing)} KB too much," if missing > 0 else ""))
        return f"needs {' and '.join(texts)}".rstrip(",")


def _kb(size: int) -> int:
    """Rounds up, so that the printed size is enough."""
    return math.ceil(size / 1024)


def _move(model: keras.Model) -> None:
    """Gives trained variables values as after training: zeros take less of a file, and so do two that are alike."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(scale=0.1, size=variable.shape))
