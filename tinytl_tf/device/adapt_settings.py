"""Settings for adapting an exported file."""

import dataclasses
import numbers
from typing import Any

import numpy as np

from tinytl_tf import data
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.schedules import SCHEDULES

__all__ = ["AdaptSettings"]

_MOST = float(np.finfo(np.float32).max)  # the largest learning rate that a file accepts


@dataclasses.dataclass(frozen=True)
class AdaptSettings:
    """Checked settings of `tinytl_tf.device.adapt`.

    Attributes:
        epochs: Passes over the training images.
        learning_rate: Learning rate of step 0. None uses the manifest's.
        schedule: A key of `tinytl_tf.schedules.SCHEDULES`. None uses the manifest's.
        seed: Chooses the order of the images and their augmentation.
        augmentation: Random changes of training images. None uses the manifest's; must be None for arrays.
        central_fraction: Part of an image's side that is evaluated, in (0, 1]. None uses the manifest's; must be None
            for arrays.
        by_position: Whether to match classes by position instead of by name.
        new_classes: Whether to add classes of the data that the model lacks, in the order of the data.
        save_every: Number of steps between two saves of the progress.

    Raises:
        InputError: If a value is out of range or has the wrong type.
    """

    epochs: int = 5
    learning_rate: float | None = None
    schedule: str | None = None
    seed: int = 0
    augmentation: data.Augmentation | None = None
    central_fraction: float | None = None
    by_position: bool = False
    new_classes: bool = False
    save_every: int = 50

    def __post_init__(self) -> None:
        for name in ("epochs", "save_every"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise InputError(f"expected {name} of 1 or more, got {value!r}")
        if type(self.seed) is not int or not 0 <= self.seed < 2**53:
            raise InputError(f"expected a seed that is an integer of 0 to 2^53 - 1, got {self.seed!r}")
        rate = self.learning_rate
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not 0 < rate < _MOST):
            raise InputError(f"expected a finite learning rate above 0, got {rate!r}")
        if self.schedule is not None and (not isinstance(self.schedule, str) or self.schedule not in SCHEDULES):
            raise InputError(f"unknown schedule {self.schedule!r}; choose one of {', '.join(SCHEDULES)}")
        if self.central_fraction is not None:
            data.check_central_fraction(self.central_fraction)

    def of(self, model: TrainableModel) -> "AdaptSettings":
        """Returns the settings with each None replaced by the value from a model's manifest.

        Raises:
            InputError: If image settings are given for a model that takes arrays.
        """
        defaults: dict[str, Any] = {"learning_rate": model.default_learning_rate, "schedule": model.schedule}
        for name in ("augmentation", "central_fraction"):
            if model.input_name != "array" or getattr(self, name) is not None:
                defaults[name] = getattr(model, name)
        return dataclasses.replace(
            self, **{name: value for name, value in defaults.items() if getattr(self, name) is None}
        )
