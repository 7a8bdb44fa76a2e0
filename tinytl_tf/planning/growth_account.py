"""The account for a LiteRT file: the memory growth of a process that loads the file and trains, and its time."""

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
from tinytl_tf.tflite.products import multiply_adds

__all__ = ["PROFILE", "GrowthAccount"]

PROFILE = "min-memory"
MEASUREMENTS = 3  # measurements per file; they differ by up to 0.3 MB, and the largest is used
TIMED_STEPS, TIMED_INFERENCES = 5, 20  # runs of each of these measurements; the shortest time ratio is used


class GrowthAccount(Account):
    """Memory growth of a process that loads a file and trains, without a delegate and with `THREADS` threads.

    The growth is planned from the file and measured in several processes; the largest measurement is used. The file has
    the profile `min-memory`.

    The time of a training step is a second resource if `with_time` is set. It is relative to the time in which the same
    file answers for the images of the step, so that it hardly depends on the machine: in thousandths, 3000 is the time
    of three inferences of each image. It is planned from the multiply-adds in the file, and measured.

    Args:
        optimizer: optimizer on the device.
        batch_size: images per training step on the device.
        frozen_weights: data type of frozen weights, `"float32"` or `"int8"`.
        with_time: whether the time of a step is a resource, `"time"`.

    Example:
        >>> GrowthAccount().budget_text({"growth": 16_000_000})
        '16 MB'
    """

    def __init__(
        self,
        *,
        optimizer: str = "sgd",
        batch_size: int = 8,
        frozen_weights: str = "int8",
        with_time: bool = False,
    ) -> None:
        self._with_time = with_time
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
        """Returns the parts of the planned growth, see `planned_growth`, and of the time."""
        model = Model.from_bytes(content)
        growth = {"growth": planned_growth(model, file_bytes=len(content)).parts}
        if not self._with_time:
            return growth
        batch = self._batch_size
        own = multiply_adds(model, "train", repeats=batch) / (batch * multiply_adds(model, "infer"))
        return growth | {"time": {"products": round(1000 * own)}}

    def measure(self, content: bytes) -> Needs:
        """Returns the largest growth, and the shortest time, among several new processes."""
        growth = {"growth": _measure(content)}
        return growth | {"time": _measure_time(content, self._batch_size)} if self._with_time else growth

    def budget_text(self, budget: Needs) -> str:
        """Returns a budget in MB, and in inferences of each image of a step."""
        return f"{budget['growth'] / 1e6:g} MB" + self._time_text(budget, "g")

    def needs_text(self, needs: Needs) -> str:
        """Returns a growth in MB, rounded to 10 KB, and the time of a step in inferences."""
        return f"{needs['growth'] / 1e6:.2f} MB" + self._time_text(needs, ".2f")

    def excess_text(self, planned: Needs, measured: Needs, budget: Needs) -> str:
        """Returns the planned and measured needs, and by how much the larger of them exceed the budget."""
        missing = {name: max(planned[name], measured[name]) - budget[name] for name in planned}
        excess = [f"{missing['growth'] / 1e6:.2f} MB"] * (missing["growth"] > 0)
        excess += [f"the time of {missing['time'] / 1000:.2f} inferences"] * (missing.get("time", 0) > 0)
        return (
            f"lets the process grow by {self.needs_text(planned)} (planned) or {self.needs_text(measured)} (measured), "
            f"{' and '.join(excess)} too much"
        )

    def _time_text(self, needs: Needs, form: str) -> str:
        return f" and a step of {needs['time'] / 1000:{form}} inferences" if "time" in needs else ""


def _measure(content: bytes) -> int:
    with temporary_folder() as folder:
        path = folder / "plan.tflite"
        atomic_write_bytes(path, content)
        return max(measure(path, steps=1, xnnpack=False).growth_bytes for _ in range(MEASUREMENTS))


def _measure_time(content: bytes, batch_size: int) -> int:
    """Returns the time of a step in thousandths of the time in which its images are answered one by one."""
    with temporary_folder() as folder:
        path = folder / "plan.tflite"
        atomic_write_bytes(path, content)
        ratios = []
        for _ in range(MEASUREMENTS):
            step = measure(path, "train", steps=TIMED_STEPS, xnnpack=False).step_ms_median
            inference = measure(path, "infer", steps=TIMED_INFERENCES, xnnpack=False).step_ms_median
            ratios.append(step / (batch_size * inference))
        return round(1000 * min(ratios))
