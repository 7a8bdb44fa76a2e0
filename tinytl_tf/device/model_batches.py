"""Batches of a data set in the form that a model takes: images, their features, or arrays."""

from collections.abc import Iterator

import numpy as np

from tinytl_tf import data
from tinytl_tf.device.adapt_settings import AdaptSettings
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError

__all__ = ["check_dataset", "eval_batches_of", "train_batches_of"]

_EVAL_BATCH = 1  # images are evaluated one by one; larger batches would only take memory
# One batch is decoded while the model works on another; more would only take memory.
_READING = {"workers": 1, "ahead": 1}


def check_dataset(model: TrainableModel, dataset: data.ImageDataset) -> None:
    """Checks that a data set fits the input of a model.

    Args:
        model: The model.
        dataset: Images, or arrays as `tinytl_tf.data.ArrayDataset`.

    Raises:
        InputError: If the data set has images and the model takes arrays, or vice versa; or if the arrays have the
            wrong shape or sample rate.
    """
    takes_arrays, has_arrays = model.input_name == "array", isinstance(dataset, data.ArrayDataset)
    if takes_arrays != has_arrays:
        wanted = f"arrays {list(model.input_shape)}" if takes_arrays else "images"
        raise InputError(f"expected data of {wanted} for this model, got {dataset.items} in {dataset.name}")
    if not has_arrays:
        return
    dataset.require_input(model.input_shape)
    if model.sample_rate and dataset.sample_rate and model.sample_rate != dataset.sample_rate:
        raise InputError(
            f"expected waveforms of {model.sample_rate} samples a second, got {dataset.sample_rate} in "
            f"{dataset.name}; resample them"
        )


def eval_batches_of(
    model: TrainableModel,
    dataset: data.ImageDataset,
    central_fraction: float | None,
    features: data.CachedFeatures | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Returns batches of all examples of a data set once, in order.

    Args:
        model: The model.
        dataset: A data set that `check_dataset` accepts.
        central_fraction: Part of an image's side that is evaluated. None uses the manifest's; must be None for arrays.
        features: Features that replace the images, for a model that takes features; otherwise None.

    Raises:
        InputError: Immediately if a fraction is given for arrays; during iteration if an example cannot be read.
    """
    if model.input_name == "array" and central_fraction is None:
        return data.array_eval_batches(dataset, batch_size=_EVAL_BATCH, **_READING)
    fraction = model.central_fraction if central_fraction is None or model.input_name == "array" else central_fraction
    return data.eval_batches(
        dataset,
        batch_size=_EVAL_BATCH,
        image_size=model.image_size,
        central_fraction=fraction,
        features=features,
        **_READING,
    )


def train_batches_of(
    model: TrainableModel,
    dataset: data.ImageDataset,
    settings: AdaptSettings,
    epoch: int,
    start_step: int,
    features: data.CachedFeatures | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Returns the batches of one epoch.

    Args:
        model: The model.
        dataset: A data set that `check_dataset` accepts.
        settings: Result of `AdaptSettings.of` for the model.
        epoch: Index of the epoch, from 0.
        start_step: Number of batches to skip at the start of the epoch.
        features: Features that replace the images, for a model that takes features; otherwise None.

    Raises:
        InputError: During iteration if an example cannot be read.
    """
    common = {"batch_size": model.batch_size, "seed": settings.seed, "epoch": epoch, "start_step": start_step}
    if model.input_name == "array":
        return data.array_train_batches(dataset, **common, **_READING)
    return data.train_batches(
        dataset,
        **common,
        image_size=model.image_size,
        augmentation=settings.augmentation,
        central_fraction=settings.central_fraction,
        **_READING,
        features=features,
    )
