"""Features of images from a frozen prefix. They do not change between epochs and are computed once."""

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

_SEARCHED = 512  # later images that are searched to fill up a call
_MOST_AHEAD = 4  # calls with results that wait in memory if the cache is full


@dataclasses.dataclass(frozen=True)
class FeatureRequest:
    """An image to compute the features of.

    Attributes:
        dataset: The set.
        index: Position of the image in it.
        variant: Preparation of the image before the features are computed: size, part, mirrored or not.
        pixels: Reads and prepares the image; is called only if its features are not cached.
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
    """Features of the images of data sets, from a cache or computed and put there.

    An image is known by the digest of its file, so that a file that was changed or replaced is computed again, and the
    same photo in two sets is computed once.

    Args:
        cache: Features that were computed before.
        compute: Pixels, uint8 `[together, height, width, 3]` -> features of these, `[together, *shape]` of the cache's
            shape and type. Features of an image may depend on the number of images in a call, by rounding, so this
            number is always the same; they must not depend on the other images.
        together: Images that are computed in a call. If fewer are missing the call is filled up with images that
            are wanted later, and by repetition without such images.

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
        """Identifies the network of the features."""
        return self._cache.path.name

    @property
    def dtype(self) -> np.dtype:
        """Their type."""
        return self._cache.dtype

    def of(self, wanted: Sequence[FeatureRequest], later: Iterable[FeatureRequest] = ()) -> np.ndarray:
        """Returns the features of images.

        Args:
            wanted: The images.
            later: Images that are needed next, in this order, to compute them in the same calls.

        Returns:
            Features `[len(wanted), *shape]`.

        Raises:
            InputError: If an image cannot be read, or the cache cannot be written.
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
        """Images of `later` that are not known either, for the places that calls for `missing` have left."""
        places, found = -len(missing) % self._together, {}
        for request in itertools.islice(later, _SEARCHED if places else 0):
            key = request.key()
            if key not in missing and key not in self._ahead and key not in self._cache:
                found[key] = request
            if len(found) == places:
                break
        return found

    def _compute_all(self, requests: dict[bytes, FeatureRequest], wanted: set[bytes]) -> dict[bytes, np.ndarray]:
        """Computes and caches; features for later that do not fit the cache wait in memory."""
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
            "image each time, and its features cannot be cached; switch it off, or train without cached features"
        )
