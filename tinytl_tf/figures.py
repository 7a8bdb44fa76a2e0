"""Figures over a set of images, in total and by class."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["AttributeFigures", "ClassFigures", "EvaluateResult", "RegressionFigures"]

_WORTH_A_LINE = 0.05  # by which accuracy and balanced accuracy differ
_SHOWN = 20  # classes that a summary lists


@dataclasses.dataclass(frozen=True)
class ClassFigures:
    """How the images of one class were answered.

    Attributes:
        images: Number of images of the class.
        right: How many of them were answered rightly.
    """

    images: int
    right: int

    @property
    def recall(self) -> float | None:
        """Share of correct predictions, 0 to 1; None without images."""
        return self.right / self.images if self.images else None

    @property
    def rank(self) -> float | None:
        """Sort key of the list of figures, the lowest first; None is not listed."""
        return self.recall

    @property
    def balanced_accuracy(self) -> float | None:
        """The recall: each class counts the same, however many images it has."""
        return self.recall

    def to_json(self) -> dict[str, Any]:
        """Returns the numbers as `--json` and logs have them."""
        return {"images": self.images, "right": self.right, "recall": self.recall}

    def describe(self, before: "ClassFigures | None" = None) -> str:
        """Returns the figures in words, with those before a training if they are given."""
        return f"recall {_change(before and before.recall, self.recall)} of {self.images}"


@dataclasses.dataclass(frozen=True)
class AttributeFigures:
    """How one attribute was answered.

    Attributes:
        images: Number of images.
        positives: How many of them have the attribute.
        true_positives: How many of these were predicted to have it.
        false_positives: How many of all other images were predicted to have it.
    """

    images: int
    positives: int
    true_positives: int
    false_positives: int

    @property
    def precision(self) -> float | None:
        """Share of correct predictions among the images predicted to have the attribute; None without any."""
        found = self.true_positives + self.false_positives
        return self.true_positives / found if found else None

    @property
    def recall(self) -> float | None:
        """Share of the images with the attribute that were predicted to have it; None without any."""
        return self.true_positives / self.positives if self.positives else None

    @property
    def rank(self) -> float | None:
        """Sort key of the list of figures, the lowest first; None is not listed."""
        return self.recall

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of the shares of correct predictions with and without the attribute; None without one kind of image."""
        negatives = self.images - self.positives
        if not self.positives or not negatives:
            return None
        return (self.true_positives / self.positives + 1 - self.false_positives / negatives) / 2

    def to_json(self) -> dict[str, Any]:
        """Returns the numbers as `--json` and logs have them."""
        return {**dataclasses.asdict(self), "precision": self.precision, "recall": self.recall}

    def describe(self, before: "AttributeFigures | None" = None) -> str:
        """Returns the figures in words, with those before a training if they are given."""
        precision = _change(before and before.precision, self.precision)
        return f"precision {precision}, recall {_change(before and before.recall, self.recall)} of {self.positives}"


@dataclasses.dataclass(frozen=True)
class RegressionFigures:
    """How one output of a regression was predicted.

    Attributes:
        images: Number of images or arrays.
        absolute_error: Mean magnitude of the error.
        squared_error: Mean square of the error.
        variance: Of the labels: the mean square of the error of their mean.
    """

    images: int
    absolute_error: float
    squared_error: float
    variance: float

    @property
    def r2(self) -> float | None:
        """Share of the labels' variance that is predicted: 1 is all, 0 is as good as the mean; None if constant."""
        return 1 - self.squared_error / self.variance if self.variance > 0 else None

    @property
    def rank(self) -> float:
        """By which figures are listed, the lowest first."""
        return -self.absolute_error

    @property
    def balanced_accuracy(self) -> None:
        """There are no classes to balance."""
        return None

    def to_json(self) -> dict[str, Any]:
        """Returns the numbers as `--json` and logs have them."""
        return {**dataclasses.asdict(self), "r2": self.r2}

    def describe(self, before: "RegressionFigures | None" = None) -> str:
        """Returns the figures in words, with those before a training if they are given."""
        errors = [f"{figures.absolute_error:.4g}" for figures in (before, self) if figures]
        shares = ["unknown" if figures.r2 is None else f"{figures.r2:.3f}" for figures in (before, self) if figures]
        return f"mean absolute error {' -> '.join(errors)}, R2 {' -> '.join(shares)}"


@dataclasses.dataclass(frozen=True)
class EvaluateResult:
    """Figures over a data set.

    Attributes:
        accuracy: Share of the images (of their attributes or numbers, with several) that were answered rightly, 0 to 1.
        loss: Mean cross-entropy, without label smoothing; of a regression the mean squared error.
        examples: Number of images.
        classes: Figures of each class, attribute or number, in the order of the model's outputs.
    """

    accuracy: float
    loss: float
    examples: int
    classes: tuple[ClassFigures, ...] | tuple[AttributeFigures, ...] | tuple[RegressionFigures, ...] = ()

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean over the classes that have images, so that rare ones count as much; None if there is no such class."""
        known = [figures.balanced_accuracy for figures in self.classes if figures.balanced_accuracy is not None]
        return statistics.fmean(known) if known else None

    def to_json(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Returns the figures as `--json` and logs have them.

        Args:
            names: Names of the classes; their numbers by default.

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
        """Returns the result from its `to_json` in `values`.

        Args:
            values: Values with the result of `to_json`.
            prefix: Prefix of its keys.

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
        """Returns a line for each class or attribute that has images, or for the 20 worst.

        Args:
            names: Names of the classes; their numbers by default.
            before: Figures of the same images before a training, to show too.

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
        """Returns the accuracy, with the balanced one where the two differ by more than 5 points.

        Of a regression it is followed by the mean absolute error over all outputs.

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


# Type of the figures in a row of JSON, by a key that only they have.
_KINDS = {"positives": AttributeFigures, "absolute_error": RegressionFigures, "right": ClassFigures}


def _change(before: float | None, after: float | None) -> str:
    return _percent(after) if before is None else f"{_percent(before)} -> {_percent(after)}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2%}"
