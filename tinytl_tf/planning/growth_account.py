"""The account for a LiteRT file: the memory growth of a process that loads the file and trains."""

import keras

from tinytl_tf import data
from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.files import atomic_write_bytes, temporary_folder
from tinytl_tf.memory import measure, planned_growth
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.planning.account import Account, Needs, Parts
from tinytl_tf.profiles import get_profile
from tinytl_tf.tflite.model import Model

__all__ = ["PROFILE", "GrowthAccount"]

PROFILE = "min-memory"
MEASUREMENTS = 3  # measurements per file; they differ by up to 0.3 MB, and the largest is used


class GrowthAccount(Account):
    """Memory growth of a process that loads a file and trains, without a delegate and with `THREADS` threads.

    The growth is planned from the file and measured in several processes; the largest measurement is used. The file has
    the profile `min-memory`.

    Args:
        optimizer: optimizer on the device.
        batch_size: images per training step on the device.
        frozen_weights: data type of frozen weights, `"float32"` or `"int8"`.

    Example:
        >>> GrowthAccount().budget_text({"growth": 16_000_000})
        '16 MB'
    """

    def __init__(self, *, optimizer: str = "sgd", batch_size: int = 8, frozen_weights: str = "int8") -> None:
        self._rule = get_optimizer(optimizer)
        self._batch_size = batch_size
        self._frozen_weights = frozen_weights

    def build(self, model: keras.Model, dataset: data.ImageDataset) -> bytes:
        """Returns the file with the profile `min-memory`."""
        module = TrainableModule(
            model,
            model.trainable_variables,
            optimizer=self._rule,
            batch_size=self._batch_size,
            task=dataset.task,
            profile=get_profile(PROFILE),
        )
        content, _ = build_file(module)
        return with_int8_kernels(content) if self._frozen_weights == "int8" else content

    def plan(self, content: bytes) -> Parts:
        """Returns the parts of the planned growth; see `planned_growth`."""
        return {"growth": planned_growth(Model.from_bytes(content), file_bytes=len(content)).parts}

    def measure(self, content: bytes) -> Needs:
        """Returns the largest growth among several new processes."""
        return {"growth": _measure(content)}

    def budget_text(self, budget: Needs) -> str:
        """Returns a budget in MB."""
        return f"{budget['growth'] / 1e6:g} MB"

    def needs_text(self, needs: Needs) -> str:
        """Returns a growth in MB, rounded to 10 KB."""
        return f"{needs['growth'] / 1e6:.2f} MB"

    def excess_text(self, planned: Needs, measured: Needs, budget: Needs) -> str:
        """Returns the planned and the measured growth, and by how much the larger one exceeds the budget."""
        missing = max(planned["growth"], measured["growth"]) - budget["growth"]
        return (
            f"lets the process grow by {self.needs_text(planned)} (planned) or {self.needs_text(measured)} (measured), "
            f"{missing / 1e6:.2f} MB too much"
        )


def _measure(content: bytes) -> int:
    with temporary_folder() as folder:
        path = folder / "plan.tflite"
        atomic_write_bytes(path, content)
        return max(measure(path, steps=1, xnnpack=False).growth_bytes for _ in range(MEASUREMENTS))
