"""Label semantics: loss, accuracy, probabilities and validity of each task, in numpy.

`tinytl_tf.training.objectives` implements the same in TensorFlow, for the training loop and the exported graph.
"""

import abc
import dataclasses
import math
from typing import Any

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.figures import AttributeFigures, ClassFigures, EvaluateResult, RegressionFigures

__all__ = ["RIGHT_WITHIN", "TASKS", "UNUSED", "Tally", "Task", "get_task"]

# Bias of an output that has no class yet. Its probability and the gradient of its weights are exactly 0 in float32, so
# it does not change until a class is added.
UNUSED = -1e4
# A predicted number counts as correct within this distance of its label. Labels with a standard deviation of about 1
# train best; this is half of that.
RIGHT_WITHIN = 0.5


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """One kind of label.

    Attributes:
        name: The name in the manifest, `"classification"`, `"multilabel"` or `"regression"`.
        label_dtype: Type of a label in the signature `train`.
    """

    name: str
    label_dtype: str

    @property
    def label_kinds(self) -> str:
        """Kinds of numpy types that can be converted to `label_dtype`, as letters of `numpy.dtype.kind`."""
        return {"int32": "iu", "float32": "iufb"}[self.label_dtype]

    @abc.abstractmethod
    def label_shape(self, batch: int | None, classes: int) -> tuple[int | None, ...]:
        """Returns the shape of the labels of `batch` images; None means any number of images."""

    @abc.abstractmethod
    def loss(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns the loss of each image, without label smoothing, float64 `[n]`: the cross-entropy or squared error.

        Args:
            logits: Floats `[n, C]`.
            labels: Labels that `check_labels` accepts.
        """

    @abc.abstractmethod
    def correct(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns the accuracy of each image, float64 `[n]` from 0 to 1; takes the arguments of `loss`."""

    @abc.abstractmethod
    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns the probabilities of logits `[n, C]`, float64 of the same shape; for a regression, the logits."""

    @abc.abstractmethod
    def guess_loss(self, classes: int) -> float:
        """Returns the loss of an uninformed guess: uniform over `classes`, or the labels' mean for a regression."""

    def score(self, result: EvaluateResult) -> float:
        """Returns the score by which epochs are compared; the highest is the best."""
        return result.accuracy

    @abc.abstractmethod
    def count(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns the sums that `figures` needs for each of C outputs, `[C, ...]`; takes the arguments of `loss`."""

    @abc.abstractmethod
    def figures(
        self, counts: np.ndarray, images: int
    ) -> tuple[ClassFigures, ...] | tuple[AttributeFigures, ...] | tuple[RegressionFigures, ...]:
        """Returns the figures for each class.

        Args:
            counts: Sum of the results of `count` over all batches.
            images: Total number of images.
        """

    @abc.abstractmethod
    def _problem(self, labels: np.ndarray, classes: int) -> str | None:
        """Returns why labels of the right shape are invalid, or None."""

    def check_labels(self, labels: Any, count: int, classes: int) -> None:
        """Checks the labels of `count` images.

        Args:
            labels: The labels to check.
            count: Number of images.
            classes: Number of classes or attributes.

        Raises:
            InputError: If the labels have the wrong type or shape; or if a value is out of range.
        """
        shape = self.label_shape(count, classes)
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in self.label_kinds or labels.shape != shape:
            wanted = "integers" if self.label_dtype == "int32" else "numbers"
            got = f"{labels.dtype} {list(labels.shape)}" if isinstance(labels, np.ndarray) else type(labels).__name__
            raise InputError(f"expected labels: {wanted} {list(shape)}, got {got}")
        problem = self._problem(labels, classes)
        if problem:
            raise InputError(problem)


class _Classification(Task):
    """Each image has one class: softmax over the classes; labels are integers `[n]` in `[0, C)`."""

    def label_shape(self, batch: int | None, classes: int) -> tuple[int | None, ...]:
        return (batch,)

    def loss(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        shifted = _shifted(logits)
        return np.log(np.exp(shifted).sum(axis=1)) - np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]

    def correct(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return (np.argmax(logits, axis=1) == labels).astype(np.float64)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        exponentials = np.exp(_shifted(logits))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def guess_loss(self, classes: int) -> float:
        return math.log(classes)

    def count(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        right = labels[np.argmax(logits, axis=1) == labels]
        return np.stack([np.bincount(chosen, minlength=logits.shape[1]) for chosen in (labels, right)], axis=1)

    def figures(self, counts: np.ndarray, images: int) -> tuple[ClassFigures, ...]:
        return tuple(ClassFigures(*row) for row in counts.tolist())

    def _problem(self, labels: np.ndarray, classes: int) -> str | None:
        outside = labels[(labels < 0) | (labels >= classes)]
        return f"expected labels from 0 to {classes - 1}, got {outside[0]}" if outside.size else None


class _Multilabel(Task):
    """Each image has or lacks each of C attributes: one sigmoid per attribute; labels are numbers `[n, C]` in `[0, 1]`.

    The loss is the mean over the attributes; the accuracy is the share of attributes that are predicted correctly.
    """

    def label_shape(self, batch: int | None, classes: int) -> tuple[int | None, ...]:
        return (batch, classes)

    def loss(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        logits = np.asarray(logits, np.float64)
        losses = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
        return losses.mean(axis=1)

    def correct(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return ((np.asarray(logits) > 0) == (np.asarray(labels) > 0.5)).mean(axis=1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(logits, np.float64)))

    def guess_loss(self, classes: int) -> float:
        return math.log(2)

    def count(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        said, has = np.asarray(logits) > 0, np.asarray(labels) > 0.5
        return np.stack([has.sum(axis=0), (said & has).sum(axis=0), (said & ~has).sum(axis=0)], axis=1)

    def figures(self, counts: np.ndarray, images: int) -> tuple[AttributeFigures, ...]:
        return tuple(AttributeFigures(images, *row) for row in counts.tolist())

    def _problem(self, labels: np.ndarray, classes: int) -> str | None:
        outside = labels[~((labels >= 0) & (labels <= 1))]
        return f"expected labels from 0 to 1 for each attribute, got {outside[0]}" if outside.size else None


class _Regression(Task):
    """Each image has C numbers, which the outputs predict: labels are finite numbers `[n, C]`.

    The loss is the squared error, averaged over the outputs. There is no accuracy in the strict sense; instead, it is
    the share of the outputs that are within `RIGHT_WITHIN` of their labels.
    """

    def label_shape(self, batch: int | None, classes: int) -> tuple[int | None, ...]:
        return (batch, classes)

    def loss(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return (_error(logits, labels) ** 2).mean(axis=1)

    def correct(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return (np.abs(_error(logits, labels)) <= RIGHT_WITHIN).mean(axis=1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return np.asarray(logits, np.float64)

    def guess_loss(self, classes: int) -> float:
        return 1.0  # for labels with a standard deviation of 1

    def score(self, result: EvaluateResult) -> float:
        return -result.loss

    def count(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        error, labels = _error(logits, labels), np.asarray(labels, np.float64)
        return np.stack([np.abs(error).sum(0), (error**2).sum(0), labels.sum(0), (labels**2).sum(0)], axis=1)

    def figures(self, counts: np.ndarray, images: int) -> tuple[RegressionFigures, ...]:
        return tuple(
            RegressionFigures(images, absolute, squared, _variance(mean, squares))
            for absolute, squared, mean, squares in (counts / images).tolist()
        )

    def _problem(self, labels: np.ndarray, classes: int) -> str | None:
        outside = labels[~np.isfinite(labels)]
        return f"expected labels that are finite numbers, got {outside[0]}" if outside.size else None


class Tally:
    """Adds up figures over the images of a data set.

    Args:
        task: Task of the labels.

    Example:
        >>> tally = Tally(TASKS["classification"])
        >>> tally.add(np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
        >>> tally.result().classes[1]
        ClassFigures(images=1, right=0)
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._examples = 0
        self._right = self._loss = 0.0
        self._counts = 0

    def add(self, logits: np.ndarray, labels: np.ndarray) -> None:
        """Adds the results for some images.

        Args:
            logits: Floats `[n, C]`.
            labels: Labels that `Task.check_labels` accepts.
        """
        self._examples += len(labels)
        self._right += float(self._task.correct(logits, labels).sum())
        self._loss += float(self._task.loss(logits, labels).sum())
        self._counts = self._counts + self._task.count(logits, labels)

    def result(self) -> EvaluateResult:
        """Returns the figures.

        Raises:
            InputError: If no image was added.
        """
        if not self._examples:
            raise InputError("expected images to evaluate on, got none; check the data's test split")
        return EvaluateResult(
            accuracy=self._right / self._examples,
            loss=self._loss / self._examples,
            examples=self._examples,
            classes=self._task.figures(self._counts, self._examples),
        )


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _Classification("classification", "int32"),
        _Multilabel("multilabel", "float32"),
        _Regression("regression", "float32"),
    )
}


def get_task(name: str) -> Task:
    """Returns the task called `name`.

    Raises:
        InputError: If the name is unknown.

    Example:
        >>> get_task("multilabel").label_shape(8, 40)
        (8, 40)
    """
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]


def _variance(mean: float, mean_square: float) -> float:
    """Returns the variance of numbers; exactly 0 for equal numbers, despite rounding."""
    variance = mean_square - mean**2
    return variance if variance > 1e-12 * mean_square else 0.0


def _error(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.asarray(predictions, np.float64) - np.asarray(labels, np.float64)


def _shifted(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    return logits - logits.max(axis=1, keepdims=True)
