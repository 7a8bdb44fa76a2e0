"""An exported model that infers and goes on training with LiteRT."""

import mmap
import numbers
import os
import pathlib
import threading
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tinytl_tf.device.results import InferResult, TrainResult
from tinytl_tf.device.state_file import check_finite, read_state, write_state
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import Manifest, manifest_path, sha256
from tinytl_tf.tflite.mapped_file import give_back_pages
from tinytl_tf.tflite.runtime import load_signatures

__all__ = ["TrainableModel"]

_LARGEST = float(np.finfo(np.float32).max)

# Signature -> inputs and outputs: name -> (type, shape). Equal letters are equal sizes.
_IMAGE = ("H", "W", 3)
_CONTRACT = {
    "infer": (
        {"image": ("uint8", (1, *_IMAGE))},
        {"logits": ("float32", (1, "C")), "probabilities": ("float32", (1, "C"))},
    ),
    "train": (
        {"image": ("uint8", ("B", *_IMAGE)), "label": ("int32", ("B",)), "learning_rate": ("float32", (1,))},
        {"loss": ("float32", (1,)), "accuracy": ("float32", (1,)), "applied": ("int32", (1,))},
    ),
    "save": ({}, {"state": ("float32", ("N",))}),
    "restore": ({"state": ("float32", ("N",))}, {"restored": ("int32", (1,))}),
}


class TrainableModel:
    """A `.tflite` with the signatures `infer`, `train`, `save` and `restore`, run by LiteRT alone.

    Any number of threads may use one model: a lock lets one call at a time into the runtime. A call that
    raises leaves the model as it was.

    Loading a model sets the process' allocator: see `give_back` of `tinytl_tf.tflite.runtime.load_signatures`.

    Args:
        path: The `.tflite` file. `<stem>.manifest.json` beside it is read when it is there.
        num_threads: Threads of the runtime's kernels, 1 or more.
        xnnpack: Whether to use XNNPACK: faster, and more memory. `None` for what the manifest says, and yes without
            a manifest.
        api: `"interpreter"`; or `"compiled_model"`, with which XNNPACK takes less memory: see
            `tinytl_tf.tflite.runtime.load_signatures`. What is computed is the same.

    Raises:
        InputError: If the file cannot be read, is no `.tflite`, needs operators that LiteRT lacks, or has not
            the signatures above with their types and shapes; or if the manifest does not fit the file.

    Example:
        model = TrainableModel("model.tflite")
        for images, labels in batches:  # uint8 [B, H, W, 3], int32 [B]
            result = model.train(images, labels, learning_rate=1e-3)
        model.save("mine.tinytl")
        print(model.infer(image).probabilities)  # uint8 [H, W, 3] -> float32 [C]
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        num_threads: int = 1,
        xnnpack: bool | None = None,
        api: str = "interpreter",
    ):
        if num_threads < 1:
            raise InputError(f"expected num_threads of 1 or more, got {num_threads}")
        self._path = pathlib.Path(path)
        self._num_threads = num_threads
        self._xnnpack = _uses_xnnpack(self._path) if xnnpack is None else xnnpack
        self._api = api
        self._lock = threading.Lock()
        self._fingerprint = _sha256(self._path)
        self._load()
        _refuse_custom_operators(self._path)
        self._sizes = _check_contract(self._path, self._runners)
        self._manifest = _read_manifest(self._path, self.num_classes)

    @property
    def batch_size(self) -> int:
        """B: images in each training step."""
        return self._sizes["B"]

    @property
    def xnnpack(self) -> bool:
        """Whether XNNPACK is used."""
        return self._xnnpack

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) of an image in pixels."""
        return self._sizes["H"], self._sizes["W"]

    @property
    def num_classes(self) -> int:
        """C: number of classes."""
        return self._sizes["C"]

    @property
    def state_size(self) -> int:
        """N: number of float32 values in the state."""
        return self._sizes["N"]

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the `.tflite` file; a state file belongs to it."""
        return self._fingerprint

    @property
    def manifest(self) -> Manifest | None:
        """Content of the manifest beside the file, or None without one."""
        return self._manifest

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The manifest's labels, or None."""
        return None if self._manifest is None else self._manifest.labels

    @property
    def central_fraction(self) -> float | None:
        """The manifest's: part of a photo's side, about its center, that the model was evaluated on. Or None."""
        return None if self._manifest is None else self._manifest.input.central_fraction

    def train(self, images: np.ndarray, labels: np.ndarray, learning_rate: float) -> TrainResult:
        """Takes one training step.

        Args:
            images: uint8 `[B, H, W, 3]`, raw RGB pixels from 0 to 255.
            labels: integers `[B]` in `[0, C)`.
            learning_rate: Finite, not negative.

        Returns:
            Loss and accuracy of the batch before the step, and whether the step was applied.

        Raises:
            InputError: If an argument has another type, shape or range.
        """
        _check_array("images", images, "uint8", (self.batch_size, *self.image_size, 3))
        self.check_labels(labels, self.batch_size)
        if not isinstance(learning_rate, numbers.Real) or not 0.0 <= learning_rate <= _LARGEST:
            raise InputError(f"expected a learning rate that is finite and not negative, got {learning_rate!r}")
        outputs = self._run(
            "train", image=images, label=labels.astype(np.int32), learning_rate=np.float32([learning_rate])
        )
        return TrainResult(
            loss=outputs["loss"].item(), accuracy=outputs["accuracy"].item(), applied=bool(outputs["applied"].item())
        )

    def infer(self, image: np.ndarray) -> InferResult:
        """Classifies one image.

        Args:
            image: uint8 `[H, W, 3]`, raw RGB pixels from 0 to 255.

        Returns:
            Logits and probabilities, float32 `[C]`.

        Raises:
            InputError: If the image has another type or shape.
        """
        _check_array("image", image, "uint8", (*self.image_size, 3))
        outputs = self._run("infer", image=image[np.newaxis])
        return InferResult(logits=outputs["logits"][0], probabilities=outputs["probabilities"][0])

    def state(self) -> np.ndarray:
        """Returns a copy of all that training changes, float32 `[N]`."""
        return self._run("save")["state"]

    def set_state(self, state: np.ndarray) -> None:
        """Replaces all that training changes.

        Args:
            state: float32 `[N]`, finite, as `state` returned it.

        Raises:
            InputError: If it has another type or shape, or a value is not finite; the model goes on unchanged.
        """
        _check_array("state", state, "float32", (self.state_size,))
        check_finite(state, "cannot set the state")
        if not self._run("restore", state=state)["restored"].item():
            raise InputError(
                "cannot set the state: its values are too large to sum up; reset the model and train with a lower "
                "learning rate"
            )

    def save(self, path: str | os.PathLike) -> None:
        """Writes the state to a `.tinytl` file, whole or not at all; an existing file is replaced.

        Args:
            path: The file to write.

        Raises:
            InputError: If the file cannot be written.
        """
        write_state(path, self.state(), self._fingerprint)

    def restore(self, path: str | os.PathLike) -> None:
        """Sets the state from a `.tinytl` file that this model, or another copy of its file, has saved.

        Args:
            path: The file to read.

        Raises:
            InputError: If the file is damaged or belongs to another model; the model goes on unchanged.
        """
        self.set_state(read_state(path, self._fingerprint, self.state_size))

    def reset(self) -> None:
        """Puts the exported state back, through the signature `reset` or by loading the file again.

        Raises:
            InputError: If the file has to be loaded again and has changed; the model goes on unchanged.
        """
        with self._lock:
            if "reset" in self._runners:
                self._runners["reset"]()
                give_back_pages(self._path)
            elif _sha256(self._path) == self._fingerprint:
                self._load()
            else:
                raise InputError(f"{self._path} has changed since it was loaded; load it as a new model")

    def check_labels(self, labels: np.ndarray, count: int) -> None:
        """Checks `count` labels against the model's classes.

        Args:
            labels: What should be integers `[count]` in `[0, C)`.
            count: Number of labels.

        Raises:
            InputError: If they are something else.
        """
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != (count,):
            raise InputError(f"expected labels: integers {[count]}, got {_describe(labels)}")
        outside = labels[(labels < 0) | (labels >= self.num_classes)]
        if outside.size:
            raise InputError(f"expected labels from 0 to {self.num_classes - 1}, got {outside[0]}")

    def _run(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        with self._lock:
            return self._runners[signature](**inputs)

    def _load(self) -> None:
        """Loads the file; what was loaded before, if anything, is freed first, since two may not fit a board."""
        self._runners = None
        self._runners = load_signatures(self._path, num_threads=self._num_threads, xnnpack=self._xnnpack, api=self._api)


def _sha256(path: pathlib.Path) -> bytes:
    try:
        return bytes.fromhex(sha256(path))
    except OSError as error:
        raise InputError(f"expected a .tflite file at {path}, got: {error.strerror}; check the path") from error


def _refuse_custom_operators(path: pathlib.Path) -> None:
    """Looks at the file itself: the runtime would tell only when such an operator is about to run."""
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        model = schema.Model.GetRootAs(content, 0)
        codes = [model.OperatorCodes(i).CustomCode() for i in range(model.OperatorCodesLength())]
    names = sorted(code.decode() for code in codes if code)
    if names:
        raise InputError(
            f"{path} needs the operators {', '.join(names)}, expected LiteRT's builtin operators only; "
            "export it with `tinytl export`"
        )


def _check_contract(path: pathlib.Path, runners: dict[str, Any]) -> dict[str, int]:
    """Checks signatures, names, types and shapes; returns the sizes that the letters of the contract stand for."""
    missing = [name for name in _CONTRACT if name not in runners]
    if missing:
        raise InputError(
            f"{path} has the signatures {sorted(runners)}, expected {', '.join(missing)} too; "
            "export it with `tinytl export`"
        )
    sizes = {}
    for signature, (inputs, outputs) in _CONTRACT.items():
        runner = runners[signature]
        for expected, actual in ((inputs, runner.get_input_details()), (outputs, runner.get_output_details())):
            for name in sorted(expected.keys() | actual.keys()):
                _check_tensor(f"{path}: {signature}.{name}", expected.get(name), actual.get(name), sizes)
    return sizes


def _check_tensor(where: str, expected: tuple | None, actual: dict | None, sizes: dict[str, int]) -> None:
    if expected is None or actual is None:
        raise InputError(f"{where} is {'missing' if actual is None else 'unknown'}; export it with `tinytl export`")
    dtype, letters = expected
    shape = tuple(int(size) for size in actual["shape_signature"])
    fits = len(shape) == len(letters) and all(
        size > 0 and size == (sizes.setdefault(letter, size) if isinstance(letter, str) else letter)
        for letter, size in zip(letters, shape, strict=True)
    )
    if not fits or actual["dtype"] != np.dtype(dtype):
        wanted = [sizes.get(letter, letter) for letter in letters]
        got = f"{np.dtype(actual['dtype'])} {list(shape)}"
        raise InputError(f"{where}: expected {dtype} {wanted}, got {got}; export it with `tinytl export`")


def _uses_xnnpack(path: pathlib.Path) -> bool:
    """What the exporter chose for the file."""
    return not manifest_path(path).exists() or Manifest.read(path).xnnpack


def _read_manifest(path: pathlib.Path, num_classes: int) -> Manifest | None:
    """Reads the manifest if there is one."""
    if not manifest_path(path).exists():
        return None
    manifest = Manifest.read(path)
    labels = manifest.labels
    if len(labels) != num_classes:
        raise InputError(
            f"expected {num_classes} labels in {manifest_path(path)}, got {labels!r:.80}; export the model again"
        )
    return manifest


def _check_array(what: str, value: Any, dtype: str, shape: tuple[int, ...]) -> None:
    if not isinstance(value, np.ndarray) or value.dtype != np.dtype(dtype) or value.shape != shape:
        raise InputError(f"expected {what}: {dtype} {list(shape)}, got {_describe(value)}")


def _describe(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
