"""What a label is: loss, accuracy, probabilities and validity of each task, in numpy.

`tinytl_tf.training.objectives` has the same of TensorFlow, for the loop in Python and the exported graph.
"""

import abc
import dataclasses
import math
from typing import Any

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.figures import AttributeFigures, ClassFigures, EvaluateResult

__all__ = ["TASKS", "UNUSED", "Tally", "Task", "get_task"]

# Bias of an output that has no class yet. Its probability and the gradient of its weights are exactly 0 in float32, so
# that it stays as it is until a class is added.
UNUSED = -1e4


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """One kind of label.

    Attributes:
        name: The name in the manifest, `"classification"` or `"multilabel"`.
        label_dtype: Of a label in the signature `train`.
    """

    name: str
    label_dtype: str

    @property
    def label_kinds(self) -> str:
        """Kinds of numpy types that can become `label_dtype`, as `numpy.dtype.kind` names them."""
        return {"int32": "iu", "float32": "iufb"}[self.label_dtype]

    @abc.abstractmethod
    def label_shape(self, batch: int | None, classes: int) -> tuple[int | None, ...]:
        """Returns the shape of the labels of `batch` images; None stands for any number of them."""

    @abc.abstractmethod
    def loss(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns the cross-entropy of each image, without label smoothing, float64 `[n]`.

        Args:
            logits: Floats `[n, C]`.
            labels: As `check_labels` accepts them.
        """

    @abc.abstractmethod
    def correct(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns how much of each image's answer is right, float64 `[n]` from 0 to 1; takes what `loss` takes."""

    @abc.abstractmethod
    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Returns the probabilities of logits `[n, C]`, float64 of the same shape."""

    @abc.abstractmethod
    def guess_loss(self, classes: int) -> float:
        """Returns the cross-entropy of a uniform guess among `classes`."""

    @abc.abstractmethod
    def count(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Counts, for each of C classes, what `figures` is made of, int64 `[C, ...]`; takes what `loss` takes."""

    @abc.abstractmethod
    def figures(self, counts: np.ndarray, images: int) -> tuple[ClassFigures, ...] | tuple[AttributeFigures, ...]:
        """Returns the figures of each class.

        Args:
            counts: Sum of what `count` gave.
            images: Number of images in all.
        """

    @abc.abstractmethod
    def _problem(self, labels: np.ndarray, classes: int) -> str | None:
        """Says what is wrong with labels of the right shape, or None."""

    def check_labels(self, labels: Any, count: int, classes: int) -> None:
        """Checks the labels of `count` images.

        Args:
            labels: What should be the labels.
            count: Number of images.
            classes: Number of classes or attributes.

        Raises:
            InputError: If they have another type or shape, or a value is out of range.
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
    """Each image has one class: softmax over the classes, labels are integers `[n]` in `[0, C)`."""

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
    """Each image has each of C attributes or not: a sigmoid for each, labels are numbers `[n, C]` in `[0, 1]`.

    The loss is the mean over the attributes, the accuracy the share of attributes that are right.
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


class Tally:
    """Adds up figures over the images of a data set.

    Args:
        task: Of the labels.

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
        """Counts images.

        Args:
            logits: Floats `[n, C]`.
            labels: As `Task.check_labels` accepts them.
        """
        self._examples += len(labels)
        self._right += float(self._task.correct(logits, labels).sum())
        self._loss += float(self._task.loss(logits, labels).sum())
        self._counts = self._counts + self._task.count(logits, labels)

    def result(self) -> EvaluateResult:
        """Returns the figures.

        Raises:
            InputError: If there was no image.
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
    task.name: task for task in (_Classification("classification", "int32"), _Multilabel("multilabel", "float32"))
}


def get_task(name: str) -> Task:
    """Returns the task called `name`.

    Raises:
        InputError: If there is none.

    Example:
        >>> get_task("multilabel").label_shape(8, 40)
        (8, 40)
    """
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]


def _shifted(logits: np.ndarray) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    return logits - logits.max(axis=1, keepdims=True)
