"""Features of images from a frozen prefix. They do not change between epochs and are computed only once."""

import dataclasses
import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tinytl_tf.data.augmentation import Augmentation
from tinytl_tf.data.dataset import ImageDataset
from tinytl_tf.data.feature_cache import FeatureCache
from tinytl_tf.errors import InputError

__all__ = ["CachedFeatures", "FeatureRequest", "check_cacheable"]

_SEARCHED = 512  # maximum number of later images to search for ones that fill a call
_MOST_AHEAD = 4  # maximum number of calls whose results wait in memory if the cache is full


@dataclasses.dataclass(frozen=True)
class FeatureRequest:
    """A request for the features of one image.

    Attributes:
        dataset: The data set.
        index: Position of the image in it.
        variant: Preparation of the image before the features are computed: size, crop, flipped or not.
        pixels: Reads and prepares the image; called only if its features are not cached.
    """

    dataset: ImageDataset
    index: int
    variant: str
    pixels: Callable[[], np.ndarray]

    def key(self) -> bytes:
        """Key of the features, 32 bytes."""
        text = f"{self.dataset.digest(self.index)}\0{self.dataset.decoding}\0{self.variant}"
        return hashlib.sha256(text.encode()).digest()


class CachedFeatures:
    """Features of images, read from a cache or computed and then cached.

    An image is identified by the digest of its file. Features are therefore computed again for a changed or replaced
    file, and only once for a photo that is in two data sets.

    Args:
        cache: Cache of the features.
        compute: Pixels, uint8 `[together, height, width, 3]` -> their features, `[together, *shape]`, with the cache's
            shape and type. Due to rounding, the features of an image may depend on the number of images in a call, so
            this number is always the same; they must not depend on the other images.
        together: Number of images per call. If fewer are missing, the call is filled with images that are needed later
            or, without any, by repetition.

    Attributes:
        computed: Number of images that were computed.
        found: Number of times that features were found in the cache.

    Example:
        >>> cache = FeatureCache("features", "means of channels", (3,), "float32")
        >>> features = CachedFeatures(cache, lambda pixels: pixels.mean((1, 2), dtype=np.float32))
        >>> images = ImageDataset("black", ("a", "b"), [0, 1], lambda index, side: np.zeros([8, 8, 3], np.uint8))
        >>> wanted = [FeatureRequest(images, 0, "black", lambda: images.image(0))]
        >>> features.of(wanted).tolist(), features.computed
        ([[0.0, 0.0, 0.0]], 1)
    """

    def __init__(self, cache: FeatureCache, compute: Callable[[np.ndarray], np.ndarray], *, together: int = 1) -> None:
        self._cache, self._compute, self._together = cache, compute, together
        self._lock = threading.Lock()
        self._ahead: dict[bytes, np.ndarray] = {}
        self.computed = self.found = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the features of one image."""
        return self._cache.shape

    @property
    def identity(self) -> str:
        """Text that identifies the network of the features."""
        return self._cache.path.name

    @property
    def dtype(self) -> np.dtype:
        """Type of the features."""
        return self._cache.dtype

    def of(self, wanted: Sequence[FeatureRequest], later: Iterable[FeatureRequest] = ()) -> np.ndarray:
        """Returns the features of images.

        Args:
            wanted: The images.
            later: Images that are needed next, in this order; they may fill the same calls.

        Returns:
            Features `[len(wanted), *shape]`.

        Raises:
            InputError: If an image cannot be read; or if the cache cannot be written.
        """
        keys = [request.key() for request in wanted]
        with self._lock:
            features = {key: self._find(key) for key in dict.fromkeys(keys)}
            missing = {key: request for key, request in zip(keys, wanted, strict=True) if features[key] is None}
            self.found += len(keys) - len(missing)
            features |= self._compute_all({**missing, **self._fill(missing, later)}, set(keys))
            return np.stack([features[key] for key in keys])

    def _find(self, key: bytes) -> np.ndarray | None:
        return self._ahead.pop(key) if key in self._ahead else self._cache.get(key)

    def _fill(self, missing: dict, later: Iterable[FeatureRequest]) -> dict[bytes, FeatureRequest]:
        """Returns uncached images of `later` that fill the free places in the calls for `missing`."""
        places, found = -len(missing) % self._together, {}
        for request in itertools.islice(later, _SEARCHED if places else 0):
            key = request.key()
            if key not in missing and key not in self._ahead and key not in self._cache:
                found[key] = request
            if len(found) == places:
                break
        return found

    def _compute_all(self, requests: dict[bytes, FeatureRequest], wanted: set[bytes]) -> dict[bytes, np.ndarray]:
        """Computes and caches features; those for later that do not fit into the cache wait in memory."""
        results, keys = {}, list(requests)
        for start in range(0, len(keys), self._together):
            call = keys[start : start + self._together]
            pixels = [requests[key].pixels() for key in call]
            images = np.stack([pixels[place % len(call)] for place in range(self._together)])
            for key, features in zip(call, self._compute(images)[: len(call)], strict=True):
                results[key] = features
                if not self._cache.put(key, features) and key not in wanted:
                    self._ahead[key] = features.copy()  # not a view, which would keep the complete call
        for key in list(self._ahead)[: -_MOST_AHEAD * self._together]:  # of batches that were never requested
            del self._ahead[key]
        self.computed += len(results)
        return results


def check_cacheable(augmentation: Augmentation) -> None:
    """Checks that an augmentation makes so few variants of each image that their features can be cached.

    A flipped image is cached as a second entry. A random crop or color change makes a different image each time.

    Raises:
        InputError: If there is a random crop or color change.

    Example:
        >>> check_cacheable(Augmentation(crop=False, flip=True))
    """
    random = [name for name, is_on in (("crop", augmentation.crop), ("color", augmentation.color != "none")) if is_on]
    if random:
        raise InputError(
            f"expected augmentation by flips at most, got {' and '.join(random)}: a random {random[0]} makes another "
            "image each time, and its features cannot be cached; switch it off, or train without cached features"
        )
