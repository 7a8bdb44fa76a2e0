"""Accuracy, loss and other figures for a set of images, in total and by class."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["AttributeFigures", "ClassFigures", "EvaluateResult", "RegressionFigures"]

_WORTH_A_LINE = 0.05  # a larger difference between accuracy and balanced accuracy is shown
_SHOWN = 20  # maximum number of classes that a summary lists


@dataclasses.dataclass(frozen=True)
class ClassFigures:
    """Results for the images of one class.

    Attributes:
        images: Number of images of the class.
        right: Number of these images that were classified correctly.
    """

    images: int
    right: int

    @property
    def recall(self) -> float | None:
        """Share of correct predictions, 0 to 1; None if there are no images."""
        return self.right / self.images if self.images else None

    @property
    def rank(self) -> float | None:
        """Sort key for listing the figures, lowest first; figures with None are not listed."""
        return self.recall

    @property
    def balanced_accuracy(self) -> float | None:
        """The recall: each class counts the same, however many images it has."""
        return self.recall

    def to_json(self) -> dict[str, Any]:
        """Returns the numbers for `--json` and logs."""
        return {"images": self.images, "right": self.right, "recall": self.recall}

    def describe(self, before: "ClassFigures | None" = None) -> str:
        """Returns a description of the figures, with those from before training if `before` is given."""
        return f"recall {_change(before and before.recall, self.recall)} of {self.images}"


@dataclasses.dataclass(frozen=True)
class AttributeFigures:
    """Results for one attribute.

    Attributes:
        images: Number of images.
        positives: Number of images that have the attribute.
        true_positives: Number of these images that were predicted to have it.
        false_positives: Number of other images that were predicted to have it.
    """

    images: int
    positives: int
    true_positives: int
    false_positives: int

    @property
    def precision(self) -> float | None:
        """Share of the images predicted to have the attribute that do have it; None if there is no such prediction."""
        found = self.true_positives + self.false_positives
        return self.true_positives / found if found else None

    @property
    def recall(self) -> float | None:
        """Share of the images with the attribute that were predicted to have it; None if no image has it."""
        return self.true_positives / self.positives if self.positives else None

    @property
    def rank(self) -> float | None:
        """Sort key for listing the figures, lowest first; figures with None are not listed."""
        return self.recall

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean recall of the images with and without the attribute; None if one of the two kinds has no images."""
        negatives = self.images - self.positives
        if not self.positives or not negatives:
            return None
        return (self.true_positives / self.positives + 1 - self.false_positives / negatives) / 2

    def to_json(self) -> dict[str, Any]:
        """Returns the numbers for `--json` and logs."""
        return {**dataclasses.asdict(self), "precision": self.precision, "recall": self.recall}

    def describe(self, before: "AttributeFigures | None" = None) -> str:
        """Returns a description of the figures, with those from before training if `before` is given."""
        precision = _change(before and before.precision, self.precision)
        return f"precision {precision}, recall {_change(before and before.recall, self.recall)} of {self.positives}"


@dataclasses.dataclass(frozen=True)
class RegressionFigures:
    """Results for one output of a regression.

    Attributes:
        images: Number of images or arrays.
        absolute_error: Mean magnitude of the error.
        squared_error: Mean square of the error.
        variance: Variance of the labels: the mean squared error of predicting their mean.
    """

    images: int
    absolute_error: float
    squared_error: float
    variance: float

    @property
    def r2(self) -> float | None:
        """Share of the labels' variance that is explained: 1 is all, 0 is as good as their mean; None if constant."""
        return 1 - self.squared_error / self.variance if self.variance > 0 else None

    @property
    def rank(self) -> float:
        """Sort key for listing the figures, lowest first."""
        return -self.absolute_error

    @property
    def balanced_accuracy(self) -> None:
        """There are no classes to balance."""
        return None

    def to_json(self) -> dict[str, Any]:
        """Returns the numbers for `--json` and logs."""
        return {**dataclasses.asdict(self), "r2": self.r2}

    def describe(self, before: "RegressionFigures | None" = None) -> str:
        """Returns a description of the figures, with those from before training if `before` is given."""
        errors = [f"{figures.absolute_error:.4g}" for figures in (before, self) if figures]
        shares = ["unknown" if figures.r2 is None else f"{figures.r2:.3f}" for figures in (before, self) if figures]
        return f"mean absolute error {' -> '.join(errors)}, R2 {' -> '.join(shares)}"


@dataclasses.dataclass(frozen=True)
class EvaluateResult:
    """Figures for a data set.

    Attributes:
        accuracy: Share of correct predictions, 0 to 1. With several attributes or numbers per image, each of them
            counts.
        loss: Mean cross-entropy, without label smoothing; for a regression, the mean squared error.
        examples: Number of images.
        classes: Figures for each class, attribute or number, in the order of the model's outputs.
    """

    accuracy: float
    loss: float
    examples: int
    classes: tuple[ClassFigures, ...] | tuple[AttributeFigures, ...] | tuple[RegressionFigures, ...] = ()

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean over the classes with images, so that rare classes count as much as common ones; None without any."""
        known = [figures.balanced_accuracy for figures in self.classes if figures.balanced_accuracy is not None]
        return statistics.fmean(known) if known else None

    def to_json(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Returns the figures for `--json` and logs.

        Args:
            names: Names of the classes; by default, their indices.

        Example:
            >>> result = EvaluateResult(0.75, 0.5, 4, (ClassFigures(3, 3), ClassFigures(1, 0)))
            >>> result.to_json(["daisy", "rose"])["classes"][1]
            {'name': 'rose', 'images': 1, 'right': 0, 'recall': 0.0}
        """
        return {
            "images": self.examples,
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "loss": self.loss,
            "classes": [
                {"name": name, **figures.to_json()}
                for name, figures in zip(self._names(names), self.classes, strict=True)
            ],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], prefix: str = "") -> "EvaluateResult":
        """Returns the result that `to_json` wrote into `values`.

        Args:
            values: A dictionary that contains the items of `to_json`.
            prefix: Prefix of the keys of these items.

        Example:
            >>> result = EvaluateResult(0.75, 0.5, 4, (ClassFigures(3, 3), ClassFigures(1, 0)))
            >>> EvaluateResult.from_json(result.to_json()) == result
            True
        """
        accuracy, loss, images, rows = (values[f"{prefix}{key}"] for key in ("accuracy", "loss", "images", "classes"))
        classes = []
        for row in rows:
            kind = next(kind for key, kind in _KINDS.items() if key in row)
            classes.append(kind(**{field.name: row[field.name] for field in dataclasses.fields(kind)}))
        return cls(accuracy, loss, images, tuple(classes))

    def describe(self, names: Sequence[str] | None = None, before: "EvaluateResult | None" = None) -> str:
        """Returns one line for each class or attribute that has images; for more than 20 of them, only the 20 worst.

        Args:
            names: Names of the classes; by default, their indices.
            before: Figures for the same images from before training, to show as well.

        Example:
            >>> result = EvaluateResult(0.75, 0.5, 4, (ClassFigures(3, 3), ClassFigures(1, 0)))
            >>> print(result.describe(["daisy", "rose"]))
              daisy: recall 100.00% of 3
              rose: recall 0.00% of 1
        """
        lines = [
            (figures.rank, f"  {name}: {figures.describe(old)}")
            for name, figures, old in zip(
                self._names(names), self.classes, before.classes if before else [None] * len(self.classes), strict=True
            )
            if figures.rank is not None
        ]
        worst = sorted(rank for rank, _ in lines)[:_SHOWN]
        shown = [line for rank, line in lines if rank <= worst[-1]][:_SHOWN] if worst else []
        more = len(lines) - len(shown)
        return "\n".join([*shown, *([f"  and {more} more, none of which is worse"] if more else [])])

    def summary(self) -> str:
        """Returns the accuracy, and the balanced accuracy if the two differ by more than 5 points.

        For a regression, the accuracy is followed by the mean absolute error over all outputs.

        Example:
            >>> EvaluateResult(0.75, 0.5, 4, (ClassFigures(3, 3), ClassFigures(1, 0))).summary()
            '75.00% (balanced 50.00%)'
        """
        if self.classes and isinstance(self.classes[0], RegressionFigures):
            error = statistics.fmean(figures.absolute_error for figures in self.classes)
            return f"{_percent(self.accuracy)} (mean absolute error {error:.4g})"
        balanced = self.balanced_accuracy
        if balanced is None or abs(balanced - self.accuracy) <= _WORTH_A_LINE:
            return _percent(self.accuracy)
        return f"{_percent(self.accuracy)} (balanced {_percent(balanced)})"

    def _names(self, names: Sequence[str] | None) -> Sequence[str]:
        return [str(number) for number in range(len(self.classes))] if names is None else names


# Type of the figures in a JSON row, by a key that only this type has.
_KINDS = {"positives": AttributeFigures, "absolute_error": RegressionFigures, "right": ClassFigures}


def _change(before: float | None, after: float | None) -> str:
    return _percent(after) if before is None else f"{_percent(before)} -> {_percent(after)}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"
