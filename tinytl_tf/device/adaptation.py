"""Trains an exported file on a data set, as a phone or a board does."""

import contextlib
import dataclasses
import numbers
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator

import numpy as np

from tinytl_tf import data, files
from tinytl_tf.data.classes import match_classes, model_labels
from tinytl_tf.device.evaluation import evaluate
from tinytl_tf.device.progress_file import (
    AdaptProgress,
    best_path,
    check_paths,
    progress_path,
    read_progress,
    remove_progress,
    step_path,
    write_progress,
)
from tinytl_tf.device.results import EvaluateResult
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError, TrainingDiverged
from tinytl_tf.progress import Progress
from tinytl_tf.schedules import SCHEDULES

__all__ = ["AdaptResult", "adapt", "evaluate_dataset"]

_OVERHEAD = 65536  # bytes that come with a state: its header, the losses of the steps

_MOST = float(np.finfo(np.float32).max)  # what the file can take as a learning rate

# One batch is decoded while the model works on another; more would only lie in memory.
_READING = {"workers": 1, "ahead": 1}
_EVAL_BATCH = 1  # images are inferred one by one; more would only lie in memory


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
        best_accuracy: On the validation split after the best epoch, or None without one.
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
    best_accuracy: float | None


def adapt(
    model: TrainableModel,
    splits: data.Splits,
    *,
    epochs: int = 5,
    learning_rate: float | None = None,
    schedule: str = "cosine",
    seed: int = 0,
    augmentation: data.Augmentation | None = None,
    central_fraction: float | None = None,
    by_position: bool = False,
    new_classes: bool = False,
    state_path: str | os.PathLike | None = None,
    save_every: int = 50,
    resume: bool = False,
    features: data.CachedFeatures | None = None,
) -> AdaptResult:
    """Trains `model` on the training split and evaluates it on the test split before and after.

    With `state_path` the run is saved there at its end, every `save_every` steps to files next to it, and when it is
    interrupted; with `resume` it goes on and ends with the same numbers and the same state, bit for bit, with the
    same data, settings, threads, XNNPACK and interface only. With a
    validation split the state of the epoch that is best on it is kept too, as `<stem>.best.tinytl`; nothing is ever
    chosen by the test split.

    Args:
        model: The model; it is changed.
        splits: The images; their classes are matched to the model's by name.
        epochs: Passes over the training images.
        learning_rate: Learning rate of step 0; None for `model.default_learning_rate`.
        schedule: A key of `tinytl_tf.schedules.SCHEDULES`.
        seed: Chooses the order of the images and their augmentation.
        augmentation: How training images are changed; None for what the manifest says.
        central_fraction: Part of an image's side that is evaluated, in (0, 1]; None for what the manifest says.
        by_position: Whether classes are matched by their position instead.
        new_classes: Whether classes of the data that the model does not know are added to it, in the order of the data.
        state_path: State file to write, `.tinytl`.
        save_every: Steps between two saves of how far the run is.
        resume: Whether to go on with the run that was to write `state_path`.
        features: Gives the features of the images to a model whose `input_name` is `"features"`, see
            `tinytl_tf.device.coral`; None for a model of images.

    Returns:
        Accuracies, losses and times.

    Raises:
        InputError: If an argument is out of range, the classes do not fit, or the run cannot be gone on with.
        TrainingDiverged: If no step of an epoch could be applied.
        KeyboardInterrupt: After the step that was interrupted was saved.

    Example:
        >>> model = TrainableModel("photos.tflite")  # doctest: +SKIP
        >>> result = adapt(model, data.load("new_photos/"), epochs=5)  # doctest: +SKIP
        >>> model.save("mine.tinytl")  # doctest: +SKIP
    """
    if type(epochs) is not int or epochs < 1 or type(save_every) is not int or save_every < 1:
        raise InputError(f"expected epochs and save_every of 1 or more, got {epochs!r} and {save_every!r}")
    if type(seed) is not int or seed < 0:
        raise InputError(f"expected a seed that is an integer of 0 or more, got {seed!r}")
    learning_rate = model.default_learning_rate if learning_rate is None else learning_rate
    if isinstance(learning_rate, bool) or not isinstance(learning_rate, numbers.Real) or not 0 < learning_rate < _MOST:
        raise InputError(f"expected a finite learning rate above 0, got {learning_rate!r}")
    if not isinstance(schedule, str) or schedule not in SCHEDULES:
        raise InputError(f"unknown schedule {schedule!r}; choose one of {', '.join(SCHEDULES)}")
    if resume and state_path is None:
        raise InputError("expected the path of the state file whose run is to be gone on with, got None")
    augmentation = model.augmentation if augmentation is None else augmentation
    central_fraction = model.central_fraction if central_fraction is None else central_fraction
    data.check_central_fraction(central_fraction)
    _check_features(model, features)
    if features is not None:
        data.check_cacheable(augmentation)
    run = _Run(
        model,
        splits,
        epochs,
        learning_rate,
        schedule,
        seed,
        augmentation,
        central_fraction,
        by_position,
        new_classes,
        state_path,
        save_every,
        features,
    )
    return run.go(resume)


def evaluate_dataset(
    model: TrainableModel,
    dataset: data.ImageDataset,
    label: str = "test",
    *,
    by_position: bool = False,
    central_fraction: float | None = None,
    features: data.CachedFeatures | None = None,
) -> EvaluateResult:
    """Evaluates a model on a data set whose classes are matched by name; shows progress.

    Args:
        model: The model.
        dataset: The images.
        label: What the progress calls them.
        by_position: Whether classes are matched by their position instead.
        central_fraction: Part of an image's side that is evaluated, in (0, 1]; None for what the manifest says.
        features: As `adapt` takes it.

    Raises:
        InputError: If the classes do not fit, an image cannot be decoded, or the fraction is out of range.
    """
    fraction = model.central_fraction if central_fraction is None else central_fraction
    _check_features(model, features)
    outputs = _match(model, dataset, by_position)
    with Progress(len(dataset), label) as progress:

        def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for images, labels in data.eval_batches(
                dataset,
                batch_size=_EVAL_BATCH,
                image_size=model.image_size,
                central_fraction=fraction,
                features=features,
                **_READING,
            ):
                yield images, model_labels(labels, outputs)
                progress.advance(steps=len(labels))

        result = evaluate(model, batches())
        progress.message(f"{label}: accuracy {result.accuracy:.2%}, loss {result.loss:.4f}")
    return result


def _check_features(model: TrainableModel, features: data.CachedFeatures | None) -> None:
    if model.input_name == "image" and features is not None:
        raise InputError("expected a model that takes features, got one that takes images; leave the features out")
    if model.input_name != "image" and (features is None or features.shape != model.input_shape):
        got = "none" if features is None else f"those of shape {list(features.shape)}"
        raise InputError(
            f"expected features of shape {list(model.input_shape)} for this model, got {got}; open the coral.json of "
            "the export, which knows the prefix that makes them"
        )


def _match(model: TrainableModel, dataset: data.ImageDataset, by_position: bool) -> np.ndarray:
    dataset.require_task(model.task.name)
    return match_classes(
        dataset.class_names,
        model.class_names,
        model.num_classes,
        where=dataset.name,
        by_position=by_position,
        complete=model.task.name == "multilabel",
    )


def _add_classes(model: TrainableModel, dataset: data.ImageDataset) -> None:
    """Adds what the model does not know, all or nothing."""
    dataset.require_task(model.task.name)
    if model.class_names is None:
        raise InputError("without names of its classes a model cannot tell new ones; put the manifest next to the file")
    new = [name for name in dataset.class_names if name not in model.class_names]
    if len(new) > model.spare_classes:
        raise InputError(
            f"{dataset.name} has {len(new)} new classes ({', '.join(new)}), expected at most {model.spare_classes}, "
            "the spare ones of the model; leave some out, or export the model with more spare_classes"
        )
    for name in new:
        model.add_class(name)


class _Run:
    """One adaptation: its settings, and what it has done."""

    def __init__(
        self,
        model,
        splits,
        epochs,
        learning_rate,
        schedule,
        seed,
        augmentation,
        central_fraction,
        by_position,
        new_classes,
        state_path,
        save_every,
        features,
    ) -> None:
        self._model, self._splits, self._by_position, self._new_classes = model, splits, by_position, new_classes
        self._augmentation, self._fraction = augmentation, central_fraction
        self._features = features
        self._evaluation = {"by_position": by_position, "central_fraction": central_fraction, "features": features}
        self._per_epoch = data.steps_per_epoch(splits.train, model.batch_size)
        self._epochs, self._rate, self._schedule, self._seed = epochs, learning_rate, SCHEDULES[schedule], seed
        self._path = None if state_path is None else files.expand(state_path)
        self._save_every = save_every
        self._settings = {
            "model": model.fingerprint.hex(),
            "data": {name: dataset.fingerprint() for name, dataset in splits.by_name.items()},
            "central_fraction": central_fraction,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "seed": seed,
            "augmentation": repr(self._augmentation),
            "by_position": by_position,
            "num_threads": model.num_threads,
            "xnnpack": model.xnnpack,
            "api": model.api,
            "features": None if features is None else features.identity,
        }
        self._interrupted: int | None = None  # the signal
        self._in_step = False

    def go(self, resume: bool) -> AdaptResult:
        if self._path is not None:
            check_paths(self._path)
            # The result, the last and the next state on the way, and the best one.
            files.require_room(self._path, 4 * (4 * self._model.state_size + _OVERHEAD))
        if resume:
            self._progress = self._read_back()  # with the classes that the run has added
        elif self._new_classes:
            _add_classes(self._model, self._splits.train)
        self._outputs = _match(self._model, self._splits.train, self._by_position)
        if not resume:
            before = evaluate_dataset(self._model, self._splits.test, "test before", **self._evaluation)
            self._progress = AdaptProgress(self._settings, (before.accuracy, before.loss), [])
            if self._path is not None:
                remove_progress(progress_path(self._path))
        with self._interrupts():
            try:
                self._train()
                after = evaluate_dataset(self._model, self._splits.test, "test after", **self._evaluation)
            except KeyboardInterrupt:
                if not self._in_step:
                    self._save_progress()
                raise
            result = self._result(after)
            if self._path is not None:
                with self._whole():
                    self._model.save(self._path)
                    remove_progress(progress_path(self._path))
        return result

    def _read_back(self) -> AdaptProgress:
        if self._model.manifest is None:
            raise InputError(
                "without its manifest a file does not say whether its state holds all that training goes on from; put "
                "the manifest next to the file, or start the run again"
            )
        if not self._model.saves_optimizer:
            raise InputError(
                "the state of this file does not hold its optimizer's slots, so that a run that goes on would not end "
                "as one that was not stopped; start it again, or export the model with save_optimizer"
            )
        path = progress_path(self._path)
        progress = read_progress(path, self._settings)
        if progress.best is not None and not best_path(self._path).exists():
            raise InputError(f"cannot go on: {best_path(self._path)} of the run is missing; start the run again")
        self._model.restore(path.with_name(progress.state))
        return progress

    def _train(self) -> None:
        total = self._epochs * self._per_epoch
        with Progress(total - len(self._progress.steps), "train") as shown:
            for epoch in range(self._epochs):
                if len(self._progress.steps) < (epoch + 1) * self._per_epoch:
                    self._train_epoch(epoch, shown)
                if self._splits.validation is not None and self._progress.validated == epoch:
                    self._keep_best()

    def _train_epoch(self, epoch: int, shown: Progress) -> None:
        steps, start = self._progress.steps, epoch * self._per_epoch
        batches = data.train_batches(
            self._splits.train,
            batch_size=self._model.batch_size,
            image_size=self._model.image_size,
            seed=self._seed,
            epoch=epoch,
            augmentation=self._augmentation,
            central_fraction=self._fraction,
            start_step=len(steps) - start,
            **_READING,
            features=self._features,
        )
        for images, labels in batches:
            with self._whole():
                rate = self._schedule(len(steps), self._epochs * self._per_epoch, self._rate)
                started = time.perf_counter()
                result = self._model.train(images, model_labels(labels, self._outputs), rate)
                steps.append((result.loss, result.accuracy, result.applied, 1000.0 * (time.perf_counter() - started)))
                if len(steps) % self._save_every == 0:
                    self._save_progress()
            shown.advance(f"epoch {epoch + 1}/{self._epochs} loss {result.loss:.4f}")
        loss, accuracy = self._means(epoch)
        shown.message(f"epoch {epoch + 1}/{self._epochs}: loss {loss:.4f}, accuracy {accuracy:.2%}")

    def _means(self, epoch: int) -> tuple[float, float]:
        rows = self._progress.steps[epoch * self._per_epoch : (epoch + 1) * self._per_epoch]
        good = [row for row in rows if row[2]]
        if not good:
            raise TrainingDiverged(
                f"no step of epoch {epoch + 1} could be applied: its loss or gradients are not finite; "
                "lower the learning rate or start from another state"
            )
        return statistics.fmean(row[0] for row in good), statistics.fmean(row[1] for row in good)

    def _keep_best(self) -> None:
        result = evaluate_dataset(self._model, self._splits.validation, "validation", **self._evaluation)
        with self._whole():
            if self._progress.best is None or result.accuracy > self._progress.best:
                self._progress.best = result.accuracy
                if self._path is not None:
                    self._model.save(best_path(self._path))
            self._progress.validated += 1

    def _save_progress(self) -> None:
        """The state goes first, under a name of its own: the progress names one that is whole."""
        if self._path is None:
            return
        path, old = progress_path(self._path), self._progress.state
        self._progress.state = step_path(self._path, len(self._progress.steps)).name
        self._model.save(path.with_name(self._progress.state))
        write_progress(path, self._progress)
        if old and old != self._progress.state:
            path.with_name(old).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        """An interrupt or SIGTERM ends the run, but not in the middle of what `_whole` guards; a second one does."""
        if self._path is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number, frame):
            wait = self._in_step and self._interrupted is None
            self._interrupted = number
            if not wait:
                raise KeyboardInterrupt

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            if self._interrupted == signal.SIGTERM:
                signal.raise_signal(signal.SIGTERM)  # the caller's handler decides how the process ends

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """What is done in the block is done whole: an interrupt that came meanwhile takes effect after it."""
        self._in_step = True
        yield
        self._in_step = False  # not after an exception: model and list of steps may be one step apart
        if self._interrupted:
            raise KeyboardInterrupt

    def _result(self, after: EvaluateResult) -> AdaptResult:
        means = [self._means(epoch) for epoch in range(self._epochs)]
        rows = self._progress.steps
        return AdaptResult(
            accuracy_before=self._progress.before[0],
            accuracy_after=after.accuracy,
            loss_before=self._progress.before[1],
            loss_after=after.loss,
            losses=[loss for loss, _ in means],
            train_accuracies=[accuracy for _, accuracy in means],
            steps=len(rows),
            applied=sum(bool(row[2]) for row in rows),
            step_ms=statistics.median(row[3] for row in rows),
            best_accuracy=self._progress.best,
        )
