"""An exported model that infers and keeps training with TensorFlow Lite Micro, as on a microcontroller."""

import os

from tinytl_tf.device.trainable_model import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import manifest_path
from tinytl_tf.tflite.runtime import micro

__all__ = ["MicroModel"]


class MicroModel(TrainableModel):
    """A `.tflite` for TensorFlow Lite Micro, with the same methods as `TrainableModel`.

    It runs on the interpreter from the `tflite-micro` package, the same interpreter as on a microcontroller, with
    reference kernels: one thread, one arena, and no allocation after initialization. A training step processes its
    images one at a time and accumulates their gradients.

    If the manifest's `state_of` identifies another exported `.tflite`, the two share state files: a state saved by that
    file in LiteRT can be restored here, and vice versa.

    Args:
        path: The `.tflite` file; its manifest must be in the same folder.
        batch_size: Images per training step, 1 or more. `None` uses the manifest's batch size.

    Raises:
        InputError: If the file cannot be read; if its manifest is missing or belongs to a different file; if the file
            is for LiteRT; or if the package `tflite-micro` is not installed.

    Example:
        >>> model = MicroModel("micro.tflite", batch_size=16)  # doctest: +SKIP
        >>> model.train(images, labels, learning_rate=1e-3).applied  # doctest: +SKIP
        True
    """

    _runtime = "TensorFlow Lite Micro"

    def __init__(self, path: str | os.PathLike, *, batch_size: int | None = None) -> None:
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise InputError(f"expected a batch_size of 1 or more, got {batch_size!r:.80}")
        self._batch_size = batch_size
        # `_load` refuses a file without its manifest.
        super().__init__(path, num_threads=1, xnnpack=False, api="micro", trust=True)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the `.tflite` that state files belong to: the one that `state_of` identifies, or this file."""
        return bytes.fromhex(self._file.manifest.micro["state_of"]) or self._file.fingerprint

    def _load(self) -> None:
        """Loads the file; a previously loaded one is freed first."""
        manifest = self._file.manifest
        if manifest is None:
            raise InputError(
                f"expected {manifest_path(self._file.path)}, which TensorFlow Lite Micro needs to "
                "run the file, got none; copy both files that the export wrote"
            )
        if not manifest.micro:
            raise InputError(
                f"expected a file for TensorFlow Lite Micro, got {self._file.path}, which is for LiteRT; open it with "
                "tinytl_tf.device.TrainableModel, or export the model for that target"
            )
        self._runners = None
        runners = micro.load(self._file.path, manifest, self._batch_size or manifest.batch_size)
        self._check_contract(runners)
        self._runners = runners
