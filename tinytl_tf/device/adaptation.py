"""Trains an exported file on a data set, as a phone or a board does."""

import contextlib
import dataclasses
import math
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tinytl_tf import data, files
from tinytl_tf.data.classes import model_labels, normalized
from tinytl_tf.device.adapt_settings import AdaptSettings
from tinytl_tf.device.evaluation import check_features, evaluate_dataset, match_outputs
from tinytl_tf.device.model_batches import check_dataset, train_batches_of
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
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.divergence import has_diverged, too_few_applied
from tinytl_tf.errors import InputError, NotFiniteError, TrainingDiverged
from tinytl_tf.figures import EvaluateResult
from tinytl_tf.locks import output_lock
from tinytl_tf.progress import Progress
from tinytl_tf.schedules import SCHEDULES

__all__ = ["AdaptResult", "adapt", "find_new_classes"]

_OVERHEAD = 65536  # bytes in addition to a state: its header and the losses of the steps

_REMEDY = "lower the learning rate, and reset the model or restore another state"


@dataclasses.dataclass(frozen=True)
class AdaptResult:
    """Results of a run of `adapt`.

    Attributes:
        before: Figures on the test split before the first step; None without test images.
        after: Figures on the test split after the last step; None without test images.
        losses: Mean training loss of each epoch, over all steps with a finite loss.
        train_accuracies: Mean training accuracy of each epoch, 0 to 1, over the same steps.
        steps: Number of steps taken.
        applied: Number of steps that changed the model. All other steps had a loss or a gradient that was not finite.
        step_ms: Median time per step in milliseconds, without image decoding.
        best_accuracy: Accuracy on the validation split after the best epoch; None without a validation split. For a
            regression, the negative of the lowest loss, which determines the best epoch.
        added_classes: Names of all classes that were added to the model, in this run or earlier.
    """

    before: EvaluateResult | None
    after: EvaluateResult | None
    losses: list[float]
    train_accuracies: list[float]
    steps: int
    applied: int
    step_ms: float
    best_accuracy: float | None
    added_classes: tuple[str, ...] = ()

    @property
    def accuracy_before(self) -> float | None:
        """Accuracy on the test split before the first step, 0 to 1; None without test images."""
        return self.before and self.before.accuracy

    @property
    def accuracy_after(self) -> float | None:
        """Accuracy on the test split after the last step, 0 to 1; None without test images."""
        return self.after and self.after.accuracy

    @property
    def loss_before(self) -> float | None:
        """Mean loss on the test split before the first step; None without test images."""
        return self.before and self.before.loss

    @property
    def loss_after(self) -> float | None:
        """Mean loss on the test split after the last step; None without test images."""
        return self.after and self.after.loss

    @property
    def history(self) -> dict[str, list[float]]:
        """Training `loss` and `accuracy` of each epoch, in the form of Keras' `History.history`."""
        return {"loss": list(self.losses), "accuracy": list(self.train_accuracies)}

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Returns the result for `--json`; `names` are the names of the classes."""
        return {
            **dataclasses.asdict(self),
            **{key: getattr(self, key) for key in ("accuracy_before", "accuracy_after", "loss_before", "loss_after")},
            "before": self.before and self.before.to_json(names),
            "after": self.after and self.after.to_json(names),
        }


def adapt(
    model: TrainableModel,
    splits: data.Splits,
    *,
    state_path: str | os.PathLike | None = None,
    resume: bool = False,
    features: data.CachedFeatures | None = None,
    **settings: Any,
) -> AdaptResult:
    """Trains `model` on the training split and evaluates it on the test split, if there is one, before and after.

    With `state_path`, the final state is saved there, and the progress is saved to files next to it, every `save_every`
    steps and when the run is interrupted. With `resume`, an interrupted run continues and ends with the same numbers
    and the same state, bit for bit, provided that the data, settings, threads, XNNPACK and interface are the same. With
    a validation split, the state of the best epoch is kept as well, as `<stem>.best.tinytl`. The test split never
    influences the choice of the best epoch.

    Args:
        model: The model, which is changed.
        splits: The images or arrays; by default, their classes are matched to the model's by name.
        state_path: State file to write, `.tinytl`. Only one run at a time may write it.
        resume: Whether to resume the interrupted run that saved its progress next to `state_path`.
        features: Features of the images, for a model whose `input_name` is `"features"`; see `tinytl_tf.device.coral`.
            None for all other models.
        **settings: Fields of `tinytl_tf.device.AdaptSettings`, such as `epochs` and `learning_rate`.

    Returns:
        Figures, losses and times.

    Raises:
        InputError: If an argument is out of range; if the classes do not match; if another run is writing `state_path`;
            or if the run cannot be resumed.
        TrainingDiverged: If most steps of an epoch could not be applied; or if the loss is far above the loss before
            training; see `tinytl_tf.divergence`. Then no state is written, an old state file is kept, and the model
            stays as the training left it.
        KeyboardInterrupt: If the run is interrupted. With `state_path`, the current step is completed and saved first.

    Example:
        >>> model = TrainableModel("photos.tflite")  # doctest: +SKIP
        >>> result = adapt(model, data.load("new_photos/"), epochs=5)  # doctest: +SKIP
        >>> model.save("mine.tinytl")  # doctest: +SKIP
    """
    unknown = sorted(settings.keys() - {field.name for field in dataclasses.fields(AdaptSettings)})
    if unknown:
        raise InputError(f"unknown setting {unknown[0]!r}; see tinytl_tf.device.AdaptSettings for all settings")
    settings = AdaptSettings(**settings).of(model)
    if resume and state_path is None:
        raise InputError("expected the path of the state file of the run to resume, got None")
    check_features(model, features)
    for dataset in splits.by_name.values():
        check_dataset(model, dataset)
    if features is not None:
        data.check_cacheable(settings.augmentation)
    return _Run(model, splits, settings, None if state_path is None else files.expand(state_path), features).go(resume)


def find_new_classes(model: TrainableModel, dataset: data.ImageDataset) -> tuple[str, ...]:
    """Returns the classes of a data set that are new to a model and can be added to it, in the order of the data.

    Args:
        model: The model.
        dataset: The images.

    Raises:
        InputError: If the model has no class names; if it has too few spare outputs; or if a new name differs from one
            of the model's names only in upper and lower case.
    """
    dataset.require_task(model.task.name)
    if model.class_names is None:
        raise InputError("without names of a model's classes, new ones are unknown; put the manifest next to the file")
    known = set(map(normalized, model.class_names))
    new = tuple(name for name in dataset.class_names if name not in known)
    alike = {name.casefold(): name for name in model.class_names}
    for name in new:
        if name.casefold() in alike:
            raise InputError(
                f"{dataset.name} has the new class {name!r}, which differs from the model's {alike[name.casefold()]!r} "
                "by upper and lower case only; rename it to that, or give another class a name of its own"
            )
    if len(new) > model.spare_classes:
        raise InputError(
            f"{dataset.name} has {len(new)} new classes ({', '.join(new)}), expected at most {model.spare_classes}, "
            "the spare ones of the model; leave some out, or export the model with more spare_classes"
        )
    return new


class _Run:
    """One adaptation: its settings and progress."""

    def __init__(
        self,
        model: TrainableModel,
        splits: data.Splits,
        settings: AdaptSettings,
        path: os.PathLike | None,
        features: data.CachedFeatures | None,
    ) -> None:
        self._model, self._splits, self._settings, self._path, self._features = model, splits, settings, path, features
        self._per_epoch = data.steps_per_epoch(splits.train, model.batch_size)
        self._depends_on = {
            "model": model.fingerprint.hex(),
            **_described(settings),
            "num_threads": model.num_threads,
            "xnnpack": model.xnnpack,
            "api": model.api,
            "features": None if features is None else features.identity,
        }
        if path is not None:  # reads all images
            self._depends_on["data"] = {name: dataset.fingerprint() for name, dataset in splits.by_name.items()}
        self._interrupted: int | None = None  # the signal
        self._in_step = False

    def go(self, resume: bool) -> AdaptResult:
        if self._path is None:
            return self._go(resume)
        check_paths(self._path)
        with output_lock(self._path):
            return self._go(resume)

    def _go(self, resume: bool) -> AdaptResult:
        if self._path is not None:  # the result, the last and the next intermediate state, and the best state
            files.require_room(self._path, 4 * (4 * self._model.state_size + _OVERHEAD))
        if resume:
            self._progress = self._read_back()  # with the classes that the run has added
        elif self._settings.new_classes:
            for name in find_new_classes(self._model, self._splits.train):
                self._model.add_class(name)
        self._outputs = match_outputs(
            self._model, self._splits.train, self._settings.by_position, self._model.spare_classes
        )
        if not resume:
            self._progress = AdaptProgress(self._depends_on, self._evaluate_test("test before"), [])
            self._drop_progress()
        with self._interrupts():
            try:
                self._train()
                after = self._evaluate_test("test after")
                self._check_loss(after)
            except KeyboardInterrupt:
                if not self._in_step:
                    self._save_progress()
                raise
            except NotFiniteError as error:
                self._drop_progress()
                raise TrainingDiverged(f"the training has diverged: {error}; nothing is saved") from error
            except TrainingDiverged:
                self._drop_progress()
                raise
            result = self._result(after)
            if self._path is not None:
                with self._whole():
                    self._model.save(self._path)
                    remove_progress(progress_path(self._path))
        return result

    def _drop_progress(self) -> None:
        if self._path is not None:
            remove_progress(progress_path(self._path))

    def _evaluate_test(self, label: str) -> EvaluateResult | None:
        return None if self._splits.test is None else self._evaluate(self._splits.test, label)

    def _evaluate(self, dataset: data.ImageDataset, label: str) -> EvaluateResult:
        return evaluate_dataset(
            self._model,
            dataset,
            label,
            by_position=self._settings.by_position,
            central_fraction=self._settings.central_fraction,
            features=self._features,
        )

    def _check_loss(self, after: EvaluateResult | None) -> None:
        """Refuses a loss far above the one before training: of the test images or, without any, the training images."""
        if after is None:
            self._refuse_loss(self._progress.steps[0][0], self._means(self._settings.epochs - 1)[0])
        else:
            self._refuse_loss(self._progress.before.loss, after.loss)

    def _refuse_loss(self, before: float | None, after: float) -> None:
        if has_diverged(before, after, self._model.task.guess_loss(self._model.num_classes)):
            was = "" if before is None else f"was {before:.4g} before and "
            raise TrainingDiverged(
                f"the training has diverged: the loss {was}is {after:.4g} now; nothing is saved; {_REMEDY}"
            )

    def _read_back(self) -> AdaptProgress:
        if self._model.manifest is None:
            raise InputError(
                "without a manifest it is unknown whether the file's state holds all that training continues from; "
                "put the manifest next to the file, or start the run again"
            )
        if not self._model.saves_optimizer:
            raise InputError(
                "the state of this file does not hold its optimizer's slots, so that a resumed run would not end as "
                "one that was not stopped; start it again, or export the model with save_optimizer"
            )
        path = progress_path(self._path)
        progress = read_progress(path, self._depends_on)
        if progress.best is not None and not best_path(self._path).exists():
            raise InputError(f"cannot continue: {best_path(self._path)} of the run is missing; start the run again")
        self._model.restore(path.with_name(progress.state))
        return progress

    def _train(self) -> None:
        epochs = self._settings.epochs
        with Progress(epochs * self._per_epoch - len(self._progress.steps), "train") as shown:
            for epoch in range(epochs):
                if len(self._progress.steps) < (epoch + 1) * self._per_epoch:
                    self._train_epoch(epoch, shown)
                if self._splits.validation is not None and self._progress.validated == epoch:
                    self._keep_best()

    def _train_epoch(self, epoch: int, shown: Progress) -> None:
        settings, steps, start = self._settings, self._progress.steps, epoch * self._per_epoch
        schedule, total = SCHEDULES[settings.schedule], settings.epochs * self._per_epoch
        batches = train_batches_of(self._model, self._splits.train, settings, epoch, len(steps) - start, self._features)
        for images, labels in batches:
            with self._whole():
                rate = schedule(len(steps), total, settings.learning_rate)
                started = time.perf_counter()
                result = self._model.train(images, model_labels(labels, self._outputs), rate)
                steps.append((result.loss, result.accuracy, result.applied, 1000.0 * (time.perf_counter() - started)))
                if len(steps) % settings.save_every == 0:
                    self._save_progress()
            shown.advance(f"epoch {epoch + 1}/{settings.epochs} loss {result.loss:.4f}")
        applied = self._applied(epoch)
        if too_few_applied(applied, self._per_epoch):
            raise TrainingDiverged(
                f"the training has diverged: {applied} of {self._per_epoch} steps of epoch {epoch + 1} were applied, "
                f"all others had a loss or gradients that are not finite; nothing is saved; {_REMEDY}"
            )
        loss, accuracy = self._means(epoch)
        refused = f", {applied} of {self._per_epoch} steps applied" if applied < self._per_epoch else ""
        shown.message(f"epoch {epoch + 1}/{settings.epochs}: loss {loss:.4f}, accuracy {accuracy:.2%}{refused}")

    def _rows(self, epoch: int) -> Sequence[tuple[float, float, bool, float]]:
        return self._progress.steps[epoch * self._per_epoch : (epoch + 1) * self._per_epoch]

    def _applied(self, epoch: int) -> int:
        return sum(bool(row[2]) for row in self._rows(epoch))

    def _means(self, epoch: int) -> tuple[float, float]:
        """Mean loss and accuracy of an epoch without divergence, over all steps with a finite loss, applied or not."""
        known = [row for row in self._rows(epoch) if math.isfinite(row[0])]
        return statistics.fmean(row[0] for row in known), statistics.fmean(row[1] for row in known)

    def _keep_best(self) -> None:
        result = self._evaluate(self._splits.validation, "validation")
        before = self._progress.before and self._progress.before.loss
        self._refuse_loss(before, result.loss)
        with self._whole():
            score = self._model.task.score(result)
            if self._progress.best is None or score > self._progress.best:
                self._progress.best = score
                if self._path is not None:
                    self._model.save(best_path(self._path))
            self._progress.validated += 1

    def _save_progress(self) -> None:
        """Writes the state first, under a name of its own, so that the progress always names a complete state."""
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
        """Lets SIGINT or SIGTERM end the run, but not inside a `_whole` block; a second signal ends it there too."""
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
        """Completes the block: an interrupt during the block takes effect after it."""
        self._in_step = True
        yield
        self._in_step = False  # not after an exception: model and list of steps may be one step apart
        if self._interrupted:
            raise KeyboardInterrupt

    def _result(self, after: EvaluateResult | None) -> AdaptResult:
        means = [self._means(epoch) for epoch in range(self._settings.epochs)]
        rows = self._progress.steps
        return AdaptResult(
            before=self._progress.before,
            after=after,
            losses=[loss for loss, _ in means],
            train_accuracies=[accuracy for _, accuracy in means],
            steps=len(rows),
            applied=sum(bool(row[2]) for row in rows),
            step_ms=statistics.median(row[3] for row in rows),
            best_accuracy=self._progress.best,
            added_classes=self._model.added_classes,
        )


def _described(settings: AdaptSettings) -> dict[str, Any]:
    """Returns the settings that the numbers depend on; `new_classes` is left out, because the state has the classes."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    return {
        name: repr(value) if name == "augmentation" else value
        for name, value in values.items()
        if name not in ("new_classes", "save_every")
    }
