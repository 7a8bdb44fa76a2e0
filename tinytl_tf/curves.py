"""Loss and accuracy of trainings by epoch, as a picture."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tinytl_tf.device import AdaptResult
from tinytl_tf.errors import InputError
from tinytl_tf.files import atomic_write_bytes, expand
from tinytl_tf.pictures import encode, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_history"]

_SUFFIXES = (".png", ".jpg", ".pdf", ".svg")


def plot_history(history: Any, path: str | os.PathLike | None = None) -> "Figure":
    """Draws the training loss of each epoch on the left and the accuracy on the right, those of validation dashed.

    For a training on a device the dashed line is the accuracy on the test images after it. Without an accuracy, as
    for a regression in Keras, there is only the loss. Needs the extra `plots`: `pip install 'tinytl_tf[plots]'`.

    Args:
        history: The result of `fit` (a `History` of Keras, or an `AdaptResult`), its `history`, or a mapping of labels
            to several of these.
        path: Picture to write, `.png`, `.jpg`, `.pdf` or `.svg`; an existing one is replaced. By default nothing is
            written.

    Returns:
        The figure of matplotlib.

    Raises:
        InputError: If `history` is something else or has no epochs, `path` has another suffix or cannot be written,
            or matplotlib is not installed.

    Example:
        >>> figure = plot_history({"loss": [1.2, 0.7], "accuracy": [0.5, 0.8]}, "curves.png")
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss', 'accuracy']
    """
    suffix = None if path is None else _suffix(path)
    runs = list(_runs(history))
    names = ("loss", "accuracy") if any("accuracy" in run.training for run in runs) else ("loss",)
    figure = new_figure(4.5 * len(names), 3.5)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _draw(axes, name, runs)
    if runs[0].label is not None:
        panels[0].legend()
    if path is not None:
        atomic_write_bytes(path, encode(figure, suffix[1:]))
    return figure


@dataclasses.dataclass(frozen=True)
class _Run:
    """One training: `loss` and perhaps `accuracy` of its epochs."""

    label: str | None
    epochs: np.ndarray
    training: dict[str, np.ndarray]
    validation: dict[str, np.ndarray]
    after: dict[str, float]  # on the test images after the last epoch


def _runs(history: Any) -> Iterator[_Run]:
    has_labels = isinstance(history, Mapping) and any(
        isinstance(one, Mapping) or hasattr(one, "history") for one in history.values()
    )
    for label, one in history.items() if has_labels else [(None, history)]:
        yield _run(None if label is None else str(label), one)


def _run(label: str | None, history: Any) -> _Run:
    values, place = getattr(history, "history", history), "" if label is None else f" for {label!r}"
    if not isinstance(values, Mapping):
        raise InputError(
            "expected the result of fit, its history, or a mapping of labels to several of these, got "
            f"{type(history).__name__}{place}; give plot_history the result of fit"
        )
    accuracy = _accuracy_key(values)
    keys = {"loss": "loss", **({} if accuracy is None else {"accuracy": accuracy})}
    training = {name: _numbers(values.get(key), key, place) for name, key in keys.items()}
    validation = {
        name: _numbers(values[f"val_{key}"], f"val_{key}", place)
        for name, key in keys.items()
        if f"val_{key}" in values
    }
    first = min(getattr(history, "epoch", None) or [0])  # of Keras, which may continue from an epoch
    after = history.accuracy_after if isinstance(history, AdaptResult) else None
    return _Run(
        label,
        1 + first + np.arange(len(training["loss"])),
        training,
        validation,
        {} if after is None else {"accuracy": after},
    )


def _accuracy_key(values: Mapping[str, Any]) -> str | None:
    """The key of the training accuracy: Keras has the name of the metric there."""
    keys = [key for key in values if isinstance(key, str) and not key.startswith("val_")]
    return next((key for key in keys if key in ("accuracy", "acc") or key.endswith("_accuracy")), None)


def _numbers(values: Any, key: str, place: str) -> np.ndarray:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.ndim != 1 or not numbers.size:
        raise InputError(
            f"expected a number for each epoch as {key!r} of the history{place}, got {values!r:.80}; train for at "
            "least one epoch"
        )
    return numbers


def _draw(axes: "Axes", name: str, runs: list[_Run]) -> None:
    from matplotlib.ticker import MaxNLocator

    dashed = {}
    for number, run in enumerate(runs):
        color, epochs = f"C{number}", run.epochs
        if name in run.training:
            axes.plot(*_shortest(epochs, run.training[name]), "o-", color=color, label=run.label)
        if name in run.validation:
            every = max(1, len(epochs) // len(run.validation[name]))  # validation_freq of Keras
            axes.plot(*_shortest(epochs[every - 1 :: every], run.validation[name]), ".--", color=color)
            dashed["validation"] = None
        if name in run.after:
            axes.axhline(run.after[name], linestyle="--", color=color)
            dashed["test at the end"] = None
    axes.set(xlabel="epoch", ylabel=name, title=f"dashed: {', '.join(dashed)}" if dashed else "")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _shortest(*arrays: np.ndarray) -> list[np.ndarray]:
    count = min(map(len, arrays))
    return [array[:count] for array in arrays]


def _suffix(path: Any) -> str:
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"expected the path of a picture, got {type(path).__name__}; give a name such as 'curves.png'")
    suffix = expand(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise InputError(
            f"expected a picture that ends in {', '.join(_SUFFIXES)}, got {os.fsdecode(path)!r:.200}; rename it"
        )
    return suffix
