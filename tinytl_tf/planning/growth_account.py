"""The account for a LiteRT file: the memory growth of a process that loads the file and trains, and its time."""

import contextlib
import pathlib
from collections.abc import Iterator

import keras

from tinytl_tf import data
from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.files import atomic_write_bytes, temporary_folder
from tinytl_tf.memory import measure, measure_time_ratio, planned_growth
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.planning.account import Account, Needs, Parts
from tinytl_tf.profiles import get_profile
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.multiply_adds import multiply_adds

__all__ = ["PROFILE", "GrowthAccount"]

PROFILE = "min-memory"
MEASUREMENTS = 3  # measurements per file; they differ by up to 0.3 MB, and the largest is used


class GrowthAccount(Account):
    """Memory growth of a process that loads a file and trains, without a delegate and with `THREADS` threads.

    The growth is planned from the file and measured in several processes; the largest measurement is used. The file has
    the profile `min-memory`.

    The time of a training step, if it is a resource too, is the time of the step divided by that of the inferences of
    its images, in thousandths: a ratio depends little on the machine. It is planned as the ratio of multiply-adds,
    which is too low, and then measured in one process under the same conditions.

    Args:
        optimizer: optimizer on the device.
        batch_size: images per training step on the device.
        frozen_weights: data type of frozen weights, `"float32"` or `"int8"`.
        time: whether the time of a step is a resource, `"time"`.

    Example:
        >>> GrowthAccount().budget_text({"growth": 16_000_000})
        '16 MB'
    """

    def __init__(
        self, *, optimizer: str = "sgd", batch_size: int = 8, frozen_weights: str = "int8", time: bool = False
    ) -> None:
        self._rule = get_optimizer(optimizer)
        self._batch_size = batch_size
        self._frozen_weights = frozen_weights
        self._time = time

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
        """Returns the parts of the planned growth, see `planned_growth`; and of the time if it is a resource."""
        model = Model.from_bytes(content)
        parts = {"growth": planned_growth(model, file_bytes=len(content)).parts}
        if self._time:
            ratio = multiply_adds(model, "train") / multiply_adds(model, "infer")
            parts["time"] = {"multiply_adds": round(1000 * ratio)}
        return parts

    def measure(self, content: bytes) -> Needs:
        """Returns the largest growth among several new processes; and the time if it is a resource."""
        growth = {"growth": _measure(content)}
        return growth | {"time": _measure_time(content)} if self._time else growth

    def budget_text(self, budget: Needs) -> str:
        """Returns a budget in MB; and in inferences if the time is a resource."""
        megabytes = f"{budget['growth'] / 1e6:g} MB"
        return f"{megabytes} and {budget['time'] / 1e3:g} inferences" if self._time else megabytes

    def needs_text(self, needs: Needs) -> str:
        """Returns a growth in MB, rounded to 10 KB; and a time in inferences if it is a resource."""
        megabytes = f"{needs['growth'] / 1e6:.2f} MB"
        return f"{megabytes} and {needs['time'] / 1e3:.2f} inferences" if self._time else megabytes

    def excess_text(self, planned: Needs, measured: Needs, budget: Needs) -> str:
        """Returns the planned and the measured needs, and by how much the larger ones exceed the budget."""
        missing = {name: max(size, measured[name]) - budget[name] for name, size in planned.items()}
        text = (
            f"lets the process grow by {self.needs_text(planned)} (planned) or {self.needs_text(measured)} (measured)"
        )
        if missing["growth"] > 0:
            text += f", {missing['growth'] / 1e6:.2f} MB too much"
        if missing.get("time", 0) > 0:
            text += f", {missing['time'] / 1e3:.2f} inferences too many"
        return text


def _measure(content: bytes) -> int:
    with _written(content) as path:
        return max(measure(path, steps=1, xnnpack=False).growth_bytes for _ in range(MEASUREMENTS))


def _measure_time(content: bytes) -> int:
    with _written(content) as path:
        return round(1000 * measure_time_ratio(path, xnnpack=False))


@contextlib.contextmanager
def _written(content: bytes) -> Iterator[pathlib.Path]:
    with temporary_folder() as folder:
        path = folder / "plan.tflite"
        atomic_write_bytes(path, content)
        yield path
