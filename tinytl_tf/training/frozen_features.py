"""Caches the features before the first trained place, which are the same in each epoch."""

import contextlib
import pathlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from tinytl_tf.backbones.split import last_split, split_model
from tinytl_tf.data import CachedFeatures, FeatureCache
from tinytl_tf.errors import InputError
from tinytl_tf.files import temporary_folder

__all__ = ["frozen_features", "frozen_until"]

_TOGETHER = 16  # images per call: each takes a third of the time of a single image, and more images save little


def frozen_until(model: keras.Model) -> str:
    """Returns the last place before which nothing is trained.

    Raises:
        InputError: If the first place is already trained.
    """
    place = last_split(model)
    if place is None:
        raise InputError(
            "expected a network with frozen first places, got one that trains its first: there are no features to "
            "cache; train biases and lite_residuals at late places only, or train without cached features"
        )
    return place


@contextlib.contextmanager
def frozen_features(model: keras.Model, folder: pathlib.Path) -> Iterator[tuple[keras.Model, CachedFeatures]]:
    """Splits a network before the first trained place.

    Args:
        model: A network of `tinytl_tf.backbones`.
        folder: Folder for the features, float32, while the block runs, up to `tinytl_tf.data.CACHE_BYTES` bytes.
            Features that do not fit are computed each time.

    Returns:
        A context manager that returns the trained part of the network, from features to logits, which shares its layers
        with `model`; and the features of images.

    Raises:
        InputError: If the first place is already trained; or if the folder cannot be written.
    """
    parts = split_model(model, frozen_until(model))
    # As constants, kernels and norms are multiplied only once, not for each image.
    constants = [(variable, tf.constant(variable.numpy())) for variable in parts.prefix.variables]

    @tf.function(input_signature=[tf.TensorSpec([_TOGETHER, *model.input_shape[1:]], tf.uint8)])
    def compute(images):
        with keras.StatelessScope(constants):
            return parts.prefix(tf.cast(images, tf.float32), training=False)

    with temporary_folder(folder) as inner:
        cache = FeatureCache(inner, parts.place, parts.feature_shape, "float32")
        try:
            yield parts.suffix, CachedFeatures(cache, lambda images: compute(images).numpy(), together=_TOGETHER)
        finally:
            cache.close()
