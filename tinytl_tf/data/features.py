"""Features of images, each computed once: what a frozen prefix makes of them does not change from epoch to epoch."""

import hashlib
import threading
from collections.abc import Callable

import numpy as np

from tinytl_tf.data.augmentation import Augmentation
from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.feature_cache import FeatureCache
from tinytl_tf.errors import InputError

__all__ = ["CachedFeatures", "check_cacheable"]


class CachedFeatures:
    """Features of the images of data sets, from a cache or computed and put there.

    An image is known by the digest of its file, so that a file that was changed or replaced is computed again, and the
    same photo in two sets is computed once.

    Args:
        cache: What was computed before.
        compute: Pixels, uint8 `[height, width, 3]` -> features of the cache's shape and type.

    Attributes:
        computed: Number of images that were computed.
        found: Number of times that features were found in the cache.

    Example:
        >>> cache = FeatureCache("features", "means of channels", (3,), "float32")
        >>> features = CachedFeatures(cache, lambda pixels: pixels.mean((0, 1), dtype=np.float32))
        >>> images = ImageDataset("black", ("a", "b"), [0, 1], lambda index, side: np.zeros([8, 8, 3], np.uint8))
        >>> features.of(images, 0, "black", lambda: images.image(0)).tolist(), features.computed
        ([0.0, 0.0, 0.0], 1)
    """

    def __init__(self, cache: FeatureCache, compute: Callable[[np.ndarray], np.ndarray]) -> None:
        self._cache, self._compute = cache, compute
        self._lock = threading.Lock()
        self.computed = self.found = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the features of one image."""
        return self._cache.shape

    @property
    def identity(self) -> str:
        """Tells the features of one network from those of another."""
        return self._cache.path.name

    @property
    def dtype(self) -> np.dtype:
        """Their type."""
        return self._cache.dtype

    def of(self, dataset: ImageDataset, index: int, variant: str, pixels: Callable[[], np.ndarray]) -> np.ndarray:
        """Returns the features of an image.

        Args:
            dataset: The set.
            index: Position of the image in it.
            variant: What is done to the image before the features are computed: size, part, mirrored or not.
            pixels: Reads and prepares the image; is called only where its features are not known.

        Raises:
            InputError: If the image cannot be read, or the cache cannot be written.
        """
        key = hashlib.sha256(f"{dataset.digest(index)}\0{variant}".encode()).digest()
        with self._lock:
            known = self._cache.get(key)
            if known is not None:
                self.found += 1
                return known
            features = self._compute(pixels())
            self.computed += 1
            self._cache.put(key, features)
            return features


def check_cacheable(augmentation: Augmentation) -> None:
    """Checks that the images of all epochs are so few that their features can be kept.

    Mirrored images are kept as a second entry. A random crop or color is another image each time.

    Raises:
        InputError: If there is a random crop or color.

    Example:
        >>> check_cacheable(Augmentation(crop=False, flip=True))
    """
    random = [name for name, is_on in (("crop", augmentation.crop), ("color", augmentation.color != "none")) if is_on]
    if random:
        raise InputError(
            f"expected augmentation by flips at most, got {' and '.join(random)}: a random {random[0]} makes another "
            "image each time, whose features no cache can have; switch it off, or train without cached features"
        )
