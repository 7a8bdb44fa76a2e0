"""An export for a Coral board: an int8 prefix that an Edge TPU can run, and a suffix that is trained on the CPU."""

import contextlib
import ctypes.util
import math
import os
import pathlib
import threading
from collections.abc import Sequence

import numpy as np

from tinytl_tf import data, files
from tinytl_tf.device.prefix_process import PrefixProcess
from tinytl_tf.device.prefix_runner import PrefixRunner
from tinytl_tf.device.results import InferResult
from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.files import sha256
from tinytl_tf.tflite.coral_manifest import CORAL_NAME, CoralManifest, Quantized
from tinytl_tf.tflite.runtime import THREADS

__all__ = ["COMPILED_NAME", "CoralModel", "is_coral"]

COMPILED_NAME = "prefix_int8_edgetpu.tflite"  # the compiler's name for the compiled prefix_int8.tflite
_LIBRARY = "libedgetpu.so.1"
_CLOSE = 1e-3  # maximum relative difference of one scale in two float formats


def is_coral(path: str | os.PathLike) -> bool:
    """Whether a path names a `coral.json`."""
    return pathlib.Path(path).name == CORAL_NAME


class CoralModel:
    """The prefix and the suffix of one export.

    The prefix runs on the Edge TPU if its compiled file is in the folder and the accelerator's library is installed,
    and on the CPU otherwise. It is frozen, so each image passes it only once; `features` caches the results. The suffix
    is a `TrainableModel` that takes these features and has state files of its own.

    Args:
        path: The `coral.json` of the export. The files it lists must be in the same folder.
        prefix_command: A program that runs the prefix instead of this process; see `tinytl_tf.device.prefix_runner`.
            None runs the prefix in this process.
        num_threads: Number of threads for the CPU's kernels.
        xnnpack: The argument `xnnpack` of `TrainableModel`, for the suffix.
        api: The argument `api` of `TrainableModel`, for the suffix.

    Attributes:
        manifest: Content of the `coral.json`.
        suffix: The trainable model.
        on_accelerator: Whether this process runs the prefix on an Edge TPU.

    Raises:
        InputError: If a file is missing or belongs to a different export; or if the prefix cannot be run.

    Example:
        >>> model = CoralModel("boards/coral.json")  # doctest: +SKIP
        >>> with model.features("features") as features:  # doctest: +SKIP
        ...     adapt(model.suffix, data.load("photos/"), features=features, state_path="mine.tinytl")
        >>> model.infer(image).probabilities  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        prefix_command: Sequence[str] | None = None,
        num_threads: int = THREADS,
        xnnpack: bool | None = None,
        api: str = "interpreter",
    ) -> None:
        self.path = files.expand(path)
        self.manifest = CoralManifest.read(self.path)
        prefix = self.manifest.part(self.path, "prefix")
        suffix = self.manifest.part(self.path, "suffix")
        self.suffix = TrainableModel(suffix, num_threads=num_threads, xnnpack=xnnpack, api=api)
        self.on_accelerator = False
        self._lock = threading.Lock()
        if prefix_command is not None:
            self._prefix = PrefixProcess(prefix_command)
            made_by = " ".join(map(str, prefix_command))
        else:
            self._prefix = self._load_prefix(prefix, num_threads)
            made_by = sha256(prefix.with_name(COMPILED_NAME) if self.on_accelerator else prefix)
        # The accelerator rounds differently, so its features are not mixed with a CPU's.
        self._depends_on = f"{self.manifest.sha256['prefix']} {made_by}"
        self._check()

    def infer(self, image: np.ndarray) -> InferResult:
        """Classifies one image, uint8 `[H, W, 3]`, with the prefix and the suffix.

        Raises:
            InputError: If the image has the wrong type or shape.
        """
        return self.suffix.infer(self.featurize(image))

    def featurize(self, image: np.ndarray) -> np.ndarray:
        """Returns the features of one image.

        Args:
            image: uint8 `[H, W, 3]`, raw RGB pixels from 0 to 255.

        Returns:
            The features, int8 with the shape `manifest.features.shape`.

        Raises:
            InputError: If the image has the wrong type or shape.
        """
        shape = self.manifest.image.shape
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape != shape:
            got = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
            raise InputError(f"expected image: uint8 {list(shape)}, got {got}")
        with self._lock:
            return self._prefix(image)

    @contextlib.contextmanager
    def features(self, folder: str | os.PathLike | None = None, *, limit_bytes: int = data.CACHE_BYTES):
        """Returns a context manager for the features of images, which are computed only once for each image.

        Args:
            folder: Folder of the cache. None uses a folder that is removed afterwards.
            limit_bytes: Maximum size of the folder in bytes; see `tinytl_tf.data.FeatureCache`.

        Returns:
            A context manager that returns the argument `features` for `tinytl_tf.device.adapt`.

        Raises:
            InputError: If the folder cannot be written; or if another process uses it for this prefix.
        """
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(files.temporary_folder()) if folder is None else folder
            cache = data.FeatureCache(
                folder, self._depends_on, self.manifest.features.shape, "int8", limit_bytes=limit_bytes
            )
            stack.callback(cache.close)
            yield data.CachedFeatures(cache, lambda images: self.featurize(images[0])[np.newaxis])

    def close(self) -> None:
        """Ends the process of the prefix, if any."""
        if isinstance(self._prefix, PrefixProcess):
            self._prefix.close()

    def _load_prefix(self, path: pathlib.Path, num_threads: int) -> PrefixRunner:
        compiled = path.with_name(COMPILED_NAME)
        try:
            if compiled.exists() and ctypes.util.find_library("edgetpu"):
                self.on_accelerator = True
                return PrefixRunner(compiled, _LIBRARY, num_threads)
            return PrefixRunner(path, "", num_threads)
        except ValueError as error:
            raise InputError(f"{error}; without {compiled.name} in the folder the CPU is used") from error

    def _check(self) -> None:
        """Checks that prefix and suffix fit the manifest: shapes, scales and zero points."""
        pairs = ((self._prefix.input, self.manifest.image), (self._prefix.output, self.manifest.features))
        for given, wanted in pairs:
            got = Quantized(tuple(given["shape"]), given["scale"], given["zero_point"])
            close = math.isclose(got.scale, wanted.scale, rel_tol=_CLOSE)
            if got.shape != wanted.shape or got.zero_point != wanted.zero_point or not close:
                self.close()
                raise InputError(f"expected a prefix with {wanted}, got {got}; compile the prefix of this export again")
        features = self.suffix.input_name == "features" and self.suffix.input_shape == self.manifest.features.shape
        if not features or self.suffix.image_size != self.manifest.image.shape[:2]:
            self.close()
            raise InputError(
                f"expected a suffix for {self.manifest.features} of images {self.manifest.image.shape} in {self.path}, "
                f"got one for {self.suffix.input_name} {self.suffix.input_shape}; export the model again"
            )
