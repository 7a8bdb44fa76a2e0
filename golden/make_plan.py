"""The plan of a training: order, rate and changes of each step, and which photos are held out."""

import dataclasses
import hashlib
from typing import Any

from tinytl_tf.data import Augmentation, steps_per_epoch
from tinytl_tf.data.batches import training_order, training_stream
from tinytl_tf.data.splits import is_held_out
from tinytl_tf.schedules import SCHEDULES


@dataclasses.dataclass(frozen=True)
class Plan:
    """One training.

    Attributes:
        shows: What a client has to get right.
        sizes: Height and width of each training photo after step 2 of "Pixels".
        batch_size: Images of a step.
        epochs: Passes over the photos.
        seed: Chooses order and changes.
        schedule: A key of `tinytl_tf.schedules.SCHEDULES`.
        learning_rate: Of the first step.
        augmentation: How photos are changed.
    """

    shows: str
    sizes: tuple[tuple[int, int], ...]
    batch_size: int
    epochs: int
    seed: int
    schedule: str
    learning_rate: float
    augmentation: Augmentation

    def describe(self) -> dict[str, Any]:
        """Returns the settings and what comes of them."""
        values = {**dataclasses.asdict(self), "sizes": list(map(list, self.sizes))}
        return {**values, "steps": self.steps()}

    def steps(self) -> list[dict[str, Any]]:
        """Returns rate and photos of each step."""
        per_epoch = steps_per_epoch(self.sizes, self.batch_size)
        total = self.epochs * per_epoch
        return [
            {
                "epoch": step // per_epoch,
                "rate": SCHEDULES[self.schedule](step, total, self.learning_rate),
                "photos": [
                    self._photo(step // per_epoch, step % per_epoch * self.batch_size + place)
                    for place in range(self.batch_size)
                ],
            }
            for step in range(total)
        ]

    def _photo(self, epoch: int, place: int) -> dict[str, Any]:
        photo = int(training_order(len(self.sizes), self.batch_size, self.seed, epoch)[place])
        copy = place // len(self.sizes)
        change = self.augmentation.draw(*self.sizes[photo], training_stream(self.seed, epoch, photo, copy))
        return {
            "photo": photo,
            "box": None if change.box is None else list(change.box),
            "flip": change.flip,
            "colors": [list(color) for color in change.colors],
        }


SIZES = ((100, 150), (480, 640), (33, 31), (720, 405), (64, 64), (90, 77), (250, 1000))
PLANS = (
    Plan("the defaults", SIZES, 2, 2, 0, "cosine", 1e-3, Augmentation()),
    Plan("no change at all; a constant rate", SIZES, 3, 2, 7, "constant", 0.02, Augmentation(crop=False, flip=False)),
    Plan("flips alone", SIZES, 4, 3, 1, "cosine", 0.5, Augmentation(crop=False)),
    Plan("all colors, no flip", SIZES, 2, 1, 2, "cosine", 1e-2, Augmentation(flip=False, color="torch")),
    Plan("two colors alone", SIZES, 7, 2, 3, "constant", 1e-2, Augmentation(crop=False, flip=False, color="tf")),
    Plan("fewer photos than a batch: copies have changes of their own", SIZES[:3], 8, 2, 4, "cosine", 3e-3,
         Augmentation(color="tf")),
    Plan("boxes that do not fit in ten tries", ((10, 100), (100, 10), (1, 1)), 1, 2, 5, "cosine", 1e-3,
         Augmentation(crop_area=(0.9, 1.0))),
    Plan("one photo, a large seed, ranges of one number", ((50, 60),), 1, 3, 2**40 + 3, "cosine", 1e-3,
         Augmentation(crop_area=(0.5, 0.5), crop_aspect=(1.0, 1.0))),
)  # fmt: skip


def describe() -> dict[str, Any]:
    """Returns `plan.json`."""
    digests = [hashlib.sha256(f"photo {number}".encode()).hexdigest() for number in range(24)]
    return {
        "held_out": [
            {"seed": seed, "id": digest, "held_out": is_held_out(digest, seed)}
            for seed in (0, 7, 2**32 - 1)
            for digest in digests
        ],
        "plans": [plan.describe() for plan in PLANS],
    }
