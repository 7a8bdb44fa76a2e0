"""Trains an exported .tflite on your images with LiteRT only, as a phone or a board does, and saves what it learnt.

Prints the accuracy on the test images before and after. The .tflite is not changed: the result is a small state
file that belongs to it, to be loaded with `tinytl_tf.device.TrainableModel.restore` or given here as --state_in.

Example:
  tinytl adapt --model=model.tflite --data=photos/ --epochs=5 --learning_rate=1e-3 --state_out=mine.tinytl
"""

import dataclasses
import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags

from tinytl_tf import data, files
from tinytl_tf.cli import runner
from tinytl_tf.cli.runtime_flags import define_runtime_flags, load_model
from tinytl_tf.device import EvaluateResult, TrainableModel, evaluate
from tinytl_tf.errors import InputError
from tinytl_tf.progress import Progress
from tinytl_tf.schedules import SCHEDULES

__all__ = ["AdaptResult", "adapt"]

_EVAL_BATCH = 8  # images are inferred one by one; this many are decoded together


@dataclasses.dataclass(frozen=True)
class AdaptResult:
    """What a run of `adapt` measured.

    Attributes:
        accuracy_before: On the test split, 0 to 1.
        accuracy_after: The same after the last step.
        loss_before: Mean cross-entropy on the test split.
        loss_after: The same after the last step.
        losses: Mean training loss of each epoch, over the applied steps.
        train_accuracies: Mean training accuracy of each epoch, 0 to 1, over the applied steps.
        steps: Steps taken.
        applied: Steps that changed the model; the others met a loss or a gradient that was not finite.
        step_ms: Median time of a step in milliseconds, without decoding of images.
    """

    accuracy_before: float
    accuracy_after: float
    loss_before: float
    loss_after: float
    losses: list[float]
    train_accuracies: list[float]
    steps: int
    applied: int
    step_ms: float


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_string("model", None, "The exported .tflite file.", flag_values=values, required=True)
    flags.DEFINE_string(
        "data",
        None,
        "Image folder, packed .npz, tfds:NAME, digits or digits-shifted.",
        flag_values=values,
        required=True,
    )
    flags.DEFINE_string("state_out", None, "State file to write, .tinytl.", flag_values=values, required=True)
    flags.DEFINE_string("state_in", None, "State file to start from.", flag_values=values)
    flags.DEFINE_integer("epochs", 5, "Passes over the training images.", lower_bound=1, flag_values=values)
    flags.DEFINE_float("learning_rate", 1e-3, "Learning rate of the first step.", flag_values=values)
    flags.DEFINE_enum("schedule", "cosine", list(SCHEDULES), "Learning rate over the steps.", flag_values=values)
    flags.DEFINE_integer("seed", 0, "Order of the images and augmentation.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("split_seed", 0, "Test images of a flat folder.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("train_images", None, "Use only so many training images.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("test_images", None, "Use only so many test images.", lower_bound=1, flag_values=values)
    flags.DEFINE_float(
        "central_fraction",
        None,
        "Part of an image's side that is evaluated; default: the manifest's, or 0.875.",
        flag_values=values,
    )
    flags.DEFINE_boolean("augment", True, "Crop, flip and recolor at random.", flag_values=values)
    flags.DEFINE_boolean("crop", True, "With --augment: crop. Without, the center is taken.", flag_values=values)
    flags.DEFINE_boolean("flip", True, "With --augment: flip. Not for digits or letters.", flag_values=values)
    flags.DEFINE_enum("color", "none", ["none", "tf", "torch"], "With --augment: how to recolor.", flag_values=values)
    define_runtime_flags(values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns what --json holds."""
    if not 0.0 < values.learning_rate < math.inf:
        raise InputError(f"expected a finite --learning_rate above 0, got {values.learning_rate}")
    files.refuse_existing(values.state_out, values.overwrite)
    model = load_model(values)
    if values.state_in is not None:
        model.restore(values.state_in)
    splits = data.load(
        values.data,
        seed=values.split_seed,
        train_images=values.train_images,
        test_images=values.test_images,
        central_fraction=model.central_fraction if values.central_fraction is None else values.central_fraction,
    )
    augmentation = data.Augmentation(
        crop=values.augment and values.crop,
        flip=values.augment and values.flip,
        color=values.color if values.augment else "none",
    )
    result = adapt(
        model,
        splits,
        epochs=values.epochs,
        learning_rate=values.learning_rate,
        schedule=values.schedule,
        seed=values.seed,
        augmentation=augmentation,
    )
    model.save(values.state_out)
    print(
        f"accuracy on {len(splits.test)} test images: {result.accuracy_before:.2%} before, "
        f"{result.accuracy_after:.2%} after\n"
        f"{result.steps} steps ({result.applied} applied), median {result.step_ms:.1f} ms\n"
        f"state saved to {values.state_out}"
    )
    return {
        "model": values.model,
        "data": values.data,
        "state_file": values.state_out,
        "batch_size": model.batch_size,
        "epochs": values.epochs,
        "learning_rate": values.learning_rate,
        "schedule": values.schedule,
        "seed": values.seed,
        "threads": values.threads,
        "xnnpack": model.xnnpack,
        "api": values.api,
        **dataclasses.asdict(result),
    }


def adapt(
    model: TrainableModel,
    splits: data.Splits,
    *,
    epochs: int,
    learning_rate: float,
    schedule: str,
    seed: int,
    augmentation: data.Augmentation,
) -> AdaptResult:
    """Trains `model` on the training split and evaluates it on the test split before and after.

    Args:
        model: The model; it is changed.
        splits: The images; their classes must be the model's.
        epochs: Passes over the training images.
        learning_rate: Learning rate of step 0.
        schedule: A key of `tinytl_tf.schedules.SCHEDULES`.
        seed: Chooses the order of the images and their augmentation.
        augmentation: How training images are changed.

    Returns:
        Accuracies, losses and times.

    Raises:
        InputError: If the classes do not fit, there are too few images, or no step of an epoch could be applied.
    """
    _check_classes(model, splits.train)
    steps_per_epoch = data.steps_per_epoch(splits.train, model.batch_size)
    before = _evaluate(model, splits.test, "test before")
    losses, accuracies, milliseconds, applied = [], [], [], 0
    with Progress(epochs * steps_per_epoch, "train") as progress:
        for epoch in range(epochs):
            results = []
            batches = data.train_batches(
                splits.train,
                batch_size=model.batch_size,
                image_size=model.image_size,
                seed=seed,
                epoch=epoch,
                augmentation=augmentation,
            )
            for images, labels in batches:
                rate = SCHEDULES[schedule](len(milliseconds), epochs * steps_per_epoch, learning_rate)
                start = time.perf_counter()
                result = model.train(images, labels, rate)
                milliseconds.append(1000.0 * (time.perf_counter() - start))
                results.append(result)
                progress.advance(f"epoch {epoch + 1}/{epochs} loss {result.loss:.4f}")
            good = [result for result in results if result.applied]
            if not good:
                raise InputError(
                    f"no step of epoch {epoch + 1} could be applied: its loss or gradients are not finite; "
                    "lower --learning_rate or start from another state"
                )
            applied += len(good)
            losses.append(statistics.fmean(result.loss for result in good))
            accuracies.append(statistics.fmean(result.accuracy for result in good))
            progress.message(f"epoch {epoch + 1}/{epochs}: loss {losses[-1]:.4f}, accuracy {accuracies[-1]:.2%}")
    after = _evaluate(model, splits.test, "test after")
    return AdaptResult(
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
        loss_before=before.loss,
        loss_after=after.loss,
        losses=losses,
        train_accuracies=accuracies,
        steps=len(milliseconds),
        applied=applied,
        step_ms=statistics.median(milliseconds),
    )


def _evaluate(model: TrainableModel, dataset: data.ImageDataset, label: str) -> EvaluateResult:
    with Progress(len(dataset), label) as progress:

        def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for images, labels in data.eval_batches(dataset, batch_size=_EVAL_BATCH, image_size=model.image_size):
                yield images, labels
                progress.advance(steps=len(labels))

        result = evaluate(model, batches())
        progress.message(f"{label}: accuracy {result.accuracy:.2%}, loss {result.loss:.4f}")
    return result


def _check_classes(model: TrainableModel, dataset: data.ImageDataset) -> None:
    """Labels are positions in the list of classes, so that the lists must agree."""
    names = dataset.class_names
    if model.class_names is None:
        if len(names) > model.num_classes:
            raise InputError(
                f"{dataset.name} has {len(names)} classes ({_listed(names)}), the model has {model.num_classes}; "
                "give data of no more classes, or export a model for these"
            )
    elif names != model.class_names:
        raise InputError(
            f"{dataset.name} has the classes {_listed(names)}, the model has {_listed(model.class_names)}; "
            "rename or remove class folders, or export a model for these"
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


if __name__ == "__main__":
    sys.exit(runner.run_command("adapt", sys.argv[1:]))
