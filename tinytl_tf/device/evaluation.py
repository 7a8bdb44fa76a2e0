"""Accuracy and loss of a model on the device."""

from collections.abc import Iterable, Iterator

import numpy as np

from tinytl_tf import data
from tinytl_tf.data.classes import match_classes, model_labels
from tinytl_tf.device.model_batches import check_dataset, eval_batches_of
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError, NotFiniteError
from tinytl_tf.figures import EvaluateResult
from tinytl_tf.progress import Progress
from tinytl_tf.tasks import Tally

__all__ = ["check_features", "evaluate", "evaluate_dataset", "match_outputs"]


def evaluate(model: TrainableModel, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> EvaluateResult:
    """Evaluates a model on each image of `batches`.

    Args:
        model: The model.
        batches: Pairs of images, uint8 `[n, H, W, 3]`, or arrays, float32 `[n, ...]`, and their labels, in the form
            that `TrainableModel.train` takes; `n` may vary.

    Returns:
        Accuracy and mean loss over all images, as the model's task defines them, and figures for each class.

    Raises:
        InputError: If there is no image; or if an image or a label does not fit the model.
        NotFiniteError: If a logit is not finite.
    """
    tally = Tally(model.task)
    for images, labels in batches:
        model.check_labels(labels, len(images))
        for index, image in enumerate(images):
            logits = model.infer(image).logits.astype(np.float64)
            if not np.isfinite(logits).all():
                raise NotFiniteError(
                    f"expected finite logits, got {logits.tolist()!r:.80}; "
                    "reset the model or restore another state, and train with a lower learning rate"
                )
            tally.add(logits[np.newaxis], labels[index : index + 1])
    return tally.result()


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
        dataset: Images or arrays of one or more of the model's classes.
        label: Name of the data in the progress display.
        by_position: Whether to match classes by position instead.
        central_fraction: Part of an image's side that is evaluated, in (0, 1]. None uses the manifest's; must be None
            for arrays.
        features: Features of the images; see `adapt`.

    Raises:
        InputError: If the classes do not match; if an image cannot be decoded; if the fraction is out of range or is
            given for arrays; or if the data does not fit the model's input; see `check_dataset`.
    """
    check_features(model, features)
    check_dataset(model, dataset)
    outputs = match_outputs(model, dataset, by_position)
    with Progress(len(dataset), label) as progress:

        def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for images, labels in eval_batches_of(model, dataset, central_fraction, features):
                yield images, model_labels(labels, outputs)
                progress.advance(steps=len(labels))

        result = evaluate(model, batches())
        progress.message(f"{label}: accuracy {result.summary()}, loss {result.loss:.4f}")
    return result


def check_features(model: TrainableModel, features: data.CachedFeatures | None) -> None:
    """Raises `InputError` unless a model that takes features gets them in its shape and any other model gets None."""
    if model.input_name != "features" and features is not None:
        raise InputError(
            f"expected a model that takes features, got one that takes {model.input_name}s; leave the features out"
        )
    if model.input_name == "features" and (features is None or features.shape != model.input_shape):
        got = "none" if features is None else f"features of shape {list(features.shape)}"
        raise InputError(
            f"expected features of shape {list(model.input_shape)} for this model, got {got}; open the coral.json of "
            "the export, which names the prefix that computes them"
        )


def match_outputs(model: TrainableModel, dataset: data.ImageDataset, by_position: bool, spare: int = 0) -> np.ndarray:
    """Returns the output's index for each class of a data set, int32; see `tinytl_tf.data.classes.match_classes`."""
    dataset.require_task(model.task.name)
    return match_classes(
        dataset.class_names,
        model.class_names,
        model.num_classes,
        where=dataset.name,
        by_position=by_position,
        complete=model.task.name != "classification",
        spare=spare,
    )
