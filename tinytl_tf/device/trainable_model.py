"""An exported model that infers and keeps training with LiteRT."""

import math
import numbers
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from tinytl_tf.data import CENTRAL_FRACTION, Augmentation, ImageDataset, Splits, photo
from tinytl_tf.data.classes import check_names
from tinytl_tf.device.contract import Contract, augmentation_of, check_contract, check_manifest
from tinytl_tf.device.examples import as_dataset, as_examples
from tinytl_tf.device.opening import open_file
from tinytl_tf.device.results import InferResult, TrainResult
from tinytl_tf.device.state_check import check_finite, check_state, classifier_parts
from tinytl_tf.device.state_file import check_added, read_state, write_state
from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import LEARNING_RATE
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.schedules import DEFAULT_SCHEDULE
from tinytl_tf.tasks import Task, get_task
from tinytl_tf.tflite.manifest import INPUTS, Manifest
from tinytl_tf.tflite.mapped_file import give_back_pages
from tinytl_tf.tflite.runtime import THREADS, check_threads, load_signatures

if TYPE_CHECKING:
    from tinytl_tf.device.adaptation import AdaptResult
    from tinytl_tf.figures import EvaluateResult

__all__ = ["TrainableModel"]

_LARGEST = float(np.finfo(np.float32).max)


class TrainableModel:
    """A `.tflite` with the signatures `infer`, `train`, `save` and `restore`, run by LiteRT only.

    Any number of threads may share a model: a lock admits one call at a time to the runtime. A call that raises an
    error leaves the model unchanged.

    The file stays mapped while the model exists: truncating it in place, instead of replacing it, ends the process.

    Loading a model changes a setting of the process's memory allocator; see `give_back` of
    `tinytl_tf.tflite.runtime.load_signatures`.

    Args:
        path: The `.tflite` file, with its manifest `<stem>.manifest.json` in the same folder.
        num_threads: Number of threads for the runtime's kernels, 1 or more.
        xnnpack: Whether to use XNNPACK, which is faster and takes more memory. `None` uses the manifest's setting, or
            True without a manifest.
        api: `"interpreter"` or `"compiled_model"`. With the latter, XNNPACK takes less memory; see
            `tinytl_tf.tflite.runtime.load_signatures`. The results are the same.
        trust: Whether to load a file without its manifest. Damage is then not detected, and a damaged file can end the
            process.

    Raises:
        InputError: If the file cannot be read or is not a `.tflite`; if it needs operators that LiteRT lacks; if it
            does not have the signatures above with their types and shapes; or if the manifest does not match the file.

    Example:
        >>> model = TrainableModel("model.tflite")  # doctest: +SKIP
        >>> for images, labels in batches:  # doctest: +SKIP
        ...     result = model.train(images, labels, learning_rate=1e-3)  # uint8 [B, H, W, 3], int32 [B]
        >>> model.save("mine.tinytl")  # doctest: +SKIP
        >>> model.infer(image).probabilities  # doctest: +SKIP
    """

    _runtime = "LiteRT"  # for messages

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        num_threads: int = THREADS,
        xnnpack: bool | None = None,
        api: str = "interpreter",
        trust: bool = False,
    ):
        check_threads(num_threads)
        if xnnpack is not None and type(xnnpack) is not bool:
            raise InputError(f"expected xnnpack of True, False or None, got {xnnpack!r:.80}")
        self._file = open_file(path, trust=trust)
        self._num_threads = num_threads
        manifest = self._file.manifest
        self._xnnpack = self._file.xnnpack if xnnpack is None else xnnpack
        self._api = api
        self._lock = threading.RLock()
        self._added: tuple[str, ...] = ()
        self._contract: Contract
        self._load()
        labels = self._file.labels
        if labels is not None and len(labels) + self._file.spare_classes != self.num_outputs:
            spare = f" and {self._file.spare_classes} spare" if self._file.spare_classes else ""
            raise InputError(
                f"expected {self.num_outputs} labels of {self._file.path}, got {labels!r:.80}{spare}; export the model "
                "again"
            )
        if manifest is not None:
            check_manifest(self._file.path, manifest, self._contract)

    @property
    def batch_size(self) -> int:
        """B: images per training step."""
        return self._contract.batch_size

    @property
    def task(self) -> Task:
        """Task of the labels: `classification`, `multilabel` or `regression` of `tinytl_tf.tasks`."""
        return get_task(self._contract.task)

    @property
    def num_threads(self) -> int:
        """Number of threads for the runtime's kernels."""
        return self._num_threads

    @property
    def api(self) -> str:
        """The LiteRT interface in use."""
        return self._api

    @property
    def xnnpack(self) -> bool:
        """Whether XNNPACK is used."""
        return self._xnnpack

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of an image in pixels; for a file that takes features, of their source images.

        Raises:
            InputError: If the file takes arrays; or if it takes features and has no manifest with the size.
        """
        self._require_images("image_size")
        if self._contract.input == "image":
            return self._contract.shape[:2]
        if self._file.manifest is None:
            raise InputError(
                f"without its manifest the size of the images of {self._file.path} is unknown; put the manifest next "
                "to the file"
            )
        return self._file.manifest.input.size

    @property
    def input_name(self) -> str:
        """Kind of input: `"image"`, `"features"` (see `tinytl_tf.device.coral`) or `"array"`.

        An array is float32 with the shape `input_shape`, for example a spectrogram, a window of sensor data or a
        waveform.
        """
        return self._contract.input

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: `(H, W, 3)` for an image, or the shape of an image's features or of an array."""
        return self._contract.shape

    @property
    def sample_rate(self) -> int:
        """Samples per second of a waveform, from the manifest; 0 for all other inputs."""
        facts = {} if self._file.manifest is None else self._file.manifest.inputs
        return max((facts.sample_rate for facts in facts.values()), default=0)

    @property
    def num_classes(self) -> int:
        """Number of classes or attributes in use: the outputs that are not spare."""
        return self.num_outputs - self.spare_classes

    @property
    def num_outputs(self) -> int:
        """C: number of outputs of the file."""
        return self._contract.outputs

    @property
    def spare_classes(self) -> int:
        """Number of classes that `add_class` can still add."""
        return self._file.spare_classes - len(self._added)

    @property
    def state_size(self) -> int:
        """N: number of float32 values in the state."""
        return self._contract.state_size

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the `.tflite` file, by which its state files are recognized."""
        return self._file.fingerprint

    @property
    def manifest(self) -> Manifest | None:
        """Content of the file's manifest, or None without a manifest."""
        return self._file.manifest

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of the classes or attributes, from the manifest or the file itself, and added ones; or None."""
        return None if self._file.labels is None else self._file.labels + self._added

    @property
    def central_fraction(self) -> float:
        """Part of a photo's side, around its center, that is evaluated, from the manifest; 0.875 without a manifest.

        Raises:
            InputError: If the file takes arrays.
        """
        self._require_images("central_fraction")
        return CENTRAL_FRACTION if self._file.manifest is None else self._file.manifest.input.central_fraction

    @property
    def split_seed(self) -> int:
        """Seed that chose the test images of a folder without splits, from the manifest; 0 without a manifest."""
        return 0 if self._file.manifest is None else self._file.manifest.data.split_seed

    @property
    def split(self) -> str:
        """How training chose the test images of a folder without splits, from the manifest; empty if unknown."""
        return "" if self._file.manifest is None else self._file.manifest.data.split

    @property
    def default_learning_rate(self) -> float:
        """Default learning rate of the first step, from the manifest; 1e-3 without a manifest."""
        return LEARNING_RATE if self._file.manifest is None else self._file.manifest.learning_rate

    @property
    def added_classes(self) -> tuple[str, ...]:
        """Names of the classes that were added to the exported ones."""
        return self._added

    @property
    def schedule(self) -> str:
        """Default schedule of the learning rate over the steps, from the manifest; `"cosine"` without a manifest."""
        return DEFAULT_SCHEDULE if self._file.manifest is None else self._file.manifest.schedule

    @property
    def augmentation(self) -> Augmentation:
        """Augmentation of training images, from the manifest; no augmentation without a manifest.

        Raises:
            InputError: If the file takes arrays.
        """
        self._require_images("augmentation")
        if self._file.manifest is None:
            return Augmentation(crop=False, flip=False)
        return augmentation_of(self._file.manifest)

    @property
    def saves_optimizer(self) -> bool:
        """Whether the state is enough to continue training: the optimizer has no slots, or the state includes them."""
        manifest = self._file.manifest
        if manifest is None:
            return False
        return not get_optimizer(manifest.optimizer).slots or any(entry.slot for entry in manifest.state)

    def train(self, images: np.ndarray, labels: np.ndarray, learning_rate: float) -> TrainResult:
        """Takes one training step.

        Args:
            images: uint8 `[B, H, W, 3]`, raw RGB pixels from 0 to 255. If `input_name` is `"features"`, features, int8
                `[B, *input_shape]`; if it is `"array"`, arrays of finite numbers, float32 `[B, *input_shape]`.
            labels: integers `[B]` in `[0, num_classes)`; for several attributes, numbers `[B, C]` in `[0, 1]`; for a
                regression, finite numbers `[B, C]`.
            learning_rate: Learning rate of this step, finite and not negative.

        Returns:
            Loss and accuracy of the batch before the step, and whether the step was applied.

        Raises:
            InputError: If an argument has the wrong type or shape or is out of range.
        """
        name = self.input_name
        what = {"image": "images", "array": "arrays"}.get(name, name)
        _check_array(what, images, INPUTS[name], (self.batch_size, *self.input_shape))
        self.check_labels(labels, self.batch_size)
        if not isinstance(learning_rate, numbers.Real) or not 0.0 <= learning_rate <= _LARGEST:
            raise InputError(f"expected a learning rate that is finite and not negative, got {learning_rate!r}")
        outputs = self._run(
            "train",
            **{name: images},
            label=labels.astype(self.task.label_dtype),
            learning_rate=np.float32([learning_rate]),
        )
        return TrainResult(
            loss=outputs["loss"].item(), accuracy=outputs["accuracy"].item(), applied=bool(outputs["applied"].item())
        )

    def infer(self, image: np.ndarray | str | os.PathLike) -> InferResult:
        """Runs inference on one image or array.

        Args:
            image: The path of a photo, which is read by `tinytl_tf.data.photo`; or uint8 `[H, W, 3]`, raw RGB pixels
                from 0 to 255. If `input_name` is `"features"`, features, int8 `input_shape`; if it is `"array"`, an
                array of finite numbers, float32 `input_shape`.

        Returns:
            Logits and probabilities, float32 `[num_classes]`. For a regression, both are the predicted numbers.

        Raises:
            InputError: If the image has the wrong type or shape; or if the photo cannot be read.
        """
        if self.input_name == "image" and isinstance(image, str | os.PathLike):
            image = photo(image, self)
        _check_array(self.input_name, image, INPUTS[self.input_name], self.input_shape)
        with self._lock:
            outputs, used = self._run("infer", **{self.input_name: image[np.newaxis]}), self.num_classes
        return InferResult(logits=outputs["logits"][0, :used], probabilities=outputs["probabilities"][0, :used])

    def fit(self, examples: Any, labels: Any = None, *, validation_data: Any = None, **settings: Any) -> "AdaptResult":
        """Trains on examples in memory or on a data set, like `fit` in Keras.

        Every step takes `batch_size` examples. Each epoch leaves out the examples that do not fill a batch, different
        ones each time; fewer examples than a batch are repeated to fill it. Examples in memory are used unchanged,
        without crops or flips.

        Args:
            examples: uint8 `[n, H, W, 3]`; arrays `[n, *input_shape]`; a list of paths of photos; a data set from
                `tinytl_tf.data`; or `Splits` from there.
            labels: integers or class names `[n]`, or labels for several attributes or numbers, as for `train`; None for
                a data set.
            validation_data: a pair of examples and labels, or a data set, on which the model is evaluated before and
                after the training.
            **settings: fields of `tinytl_tf.device.AdaptSettings`, such as `epochs` and `learning_rate`.

        Returns:
            The result; its `history` has the loss and accuracy of each epoch.

        Raises:
            InputError: If an argument is out of range or does not fit the model.
            TrainingDiverged: See `tinytl_tf.device.adapt`.

        Example:
            >>> result = model.fit(photos, ["rose", "tulip"], epochs=10)  # doctest: +SKIP
            >>> result.history["loss"]  # doctest: +SKIP
        """
        from tinytl_tf.device.adaptation import adapt

        if isinstance(examples, Splits):
            splits = examples
            if labels is not None or validation_data is not None:
                raise InputError("expected only splits, got labels or validation_data too; leave them out")
        else:
            test = validation_data if isinstance(validation_data, tuple) else (validation_data, None)
            test = None if test[0] is None else as_dataset(self, *test)
            splits = Splits(as_dataset(self, examples, labels), test)
        if not isinstance(examples, Splits | ImageDataset) and self.input_name == "image":
            settings = {"augmentation": Augmentation(crop=False, flip=False), "central_fraction": 1.0, **settings}
        return adapt(self, splits, **settings)

    def evaluate(self, examples: Any, labels: Any = None) -> "EvaluateResult":
        """Returns loss, accuracy and figures for each class; accepts the examples of `fit`, except `Splits`."""
        from tinytl_tf.device.evaluation import evaluate_dataset

        as_they_are = not isinstance(examples, ImageDataset) and self.input_name == "image"
        dataset = as_dataset(self, examples, labels)
        return evaluate_dataset(self, dataset, central_fraction=1.0 if as_they_are else None)

    def predict(self, examples: Any) -> np.ndarray:
        """Returns the probabilities of examples, or the numbers that a regression predicts, float32 `[n, num_classes]`.

        Args:
            examples: uint8 `[n, H, W, 3]`, arrays `[n, *input_shape]`, or a list of paths of photos.

        Raises:
            InputError: If the examples do not fit the model.
        """
        return np.stack([self.infer(example).probabilities for example in as_examples(self, examples)])

    def variables(self) -> dict[str, np.ndarray]:
        """Returns copies of the trained variables by their paths in Keras.

        Raises:
            InputError: If the manifest, which has the paths, is missing.
        """
        if self._file.manifest is None:
            raise InputError(f"without its manifest {self._file.path} has no names; put the manifest next to the file")
        state = self.state()
        return {
            entry.name: state[entry.offset : entry.offset + math.prod(entry.shape)].reshape(entry.shape)
            for entry in self._file.manifest.state
            if not entry.slot and entry.name != "step"
        }

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.input_shape))
        facts = (
            f"{self.input_name} ({shape}) -> {self.num_classes} outputs",
            self.task.name,
            f"batches of {self.batch_size}",
            f"state of {self.state_size:,} numbers",
        )
        return f"<{type(self).__name__} {self._file.path.name}: {', '.join(facts)}>"

    def add_class(self, name: str) -> int:
        """Assigns a spare output to a new class, which then trains like all other classes.

        Its weights start as the mean of the other classes' weights, so it is neither the most likely class nor the
        least likely. If the optimizer's slots are not part of the state, they are reset.

        Args:
            name: Name of the class, not one of `class_names`.

        Returns:
            The label of the new class.

        Raises:
            InputError: If there is no spare output left; if the name is taken or invalid; or if the manifest is
                missing. The model stays unchanged.

        Example:
            >>> model.add_class("tulip")  # doctest: +SKIP
            5
        """
        with self._lock:
            if self.spare_classes < 1:
                raise InputError(
                    f"expected a spare output for another class, got none: {self._file.path} was exported with "
                    f"{self._file.spare_classes}; export it with more spare_classes"
                )
            added = (*self._added, *check_names([name], taken=(*self._file.labels, *self._added)))
            check_added(added)
            if self._file.manifest is None:
                raise InputError(
                    f"without its manifest the place of the classifier in the state of {self._file.path} is unknown; "
                    "put the manifest next to the file"
                )
            state, label = self.state(), self.num_classes
            for _, weights in classifier_parts(state, self._file.manifest):
                weights[..., label] = weights[..., :label].mean(axis=-1, dtype=np.float64)
            self._set(state, added)
            return label

    def state(self) -> np.ndarray:
        """Returns a copy of everything that training changes, float32 `[N]`."""
        return self._run("save")["state"]

    def set_state(self, state: np.ndarray) -> None:
        """Replaces everything that training changes.

        Args:
            state: float32 `[N]`, finite, as `state` returned it.

        Raises:
            InputError: If the state has the wrong type or shape; if a value is not finite; or if the state has a
                different number of classes. The model stays unchanged.
        """
        with self._lock:
            self._set(state, self._added)

    def _set(self, state: np.ndarray, added: tuple[str, ...]) -> None:
        """Replaces the state, and the classes that it was trained for."""
        _check_array("state", state, "float32", (self.state_size,))
        if self._file.manifest is None:
            check_finite(state, "cannot set the state")
        else:
            check_state(state, self._file.manifest, len(added), "cannot set the state")
        if not self._run("restore", state=state)["restored"].item():
            raise InputError(
                "cannot set the state: no training leads to it (its values add up to over 1e15, or a second moment or "
                "the count of steps is negative); use another copy, or reset the model and train with a lower learning "
                "rate"
            )
        self._added = added

    def save(self, path: str | os.PathLike) -> None:
        """Writes the state to a `.tinytl` file atomically; an existing file is replaced.

        Args:
            path: The file to write.

        Raises:
            InputError: If the file cannot be written.
        """
        with self._lock:
            state, added = self.state(), self._added
        write_state(path, state, self.fingerprint, added)

    def restore(self, path: str | os.PathLike) -> None:
        """Restores the state from a `.tinytl` file that was saved by this model or by another copy of its file.

        Args:
            path: The file to read.

        Raises:
            InputError: If the file is damaged or belongs to a different model. The model stays unchanged.
        """
        saved = read_state(path, self.fingerprint, self.state_size)
        if len(saved.added_classes) > self._file.spare_classes:
            raise InputError(
                f"{path} has {len(saved.added_classes)} added classes, expected at most {self._file.spare_classes}, "
                "the spare ones of the model; use another copy"
            )
        taken = set(self._file.labels or ()).intersection(saved.added_classes)
        if taken:
            raise InputError(
                f"{path} has names of classes that cannot be used ({min(taken)!r} is one of the model's own); use "
                "another copy"
            )
        with self._lock:
            self._set(saved.values, saved.added_classes)

    def reset(self) -> None:
        """Restores the exported state and classes, with the signature `reset` or by loading the file again.

        Raises:
            InputError: If the file must be loaded again and has changed. The model stays unchanged.
        """
        with self._lock:
            if "reset" in self._runners:
                self._runners["reset"]()
                give_back_pages(self._file.path)
            elif open_file(self._file.path, trust=True).fingerprint == self._file.fingerprint:
                self._load()
            else:
                raise InputError(f"{self._file.path} has changed since it was loaded; load it as a new model")
            self._added = ()

    def check_labels(self, labels: np.ndarray, count: int) -> None:
        """Checks `count` labels against the model's classes.

        Args:
            labels: Labels that must be integers `[count]` in `[0, num_classes)`; for several attributes, numbers
                `[count, C]` in `[0, 1]`; for a regression, finite numbers `[count, C]`.
            count: Number of images.

        Raises:
            InputError: If the labels are anything else.
        """
        self.task.check_labels(labels, count, self.num_classes)

    def _require_images(self, what: str) -> None:
        """Raises `InputError` for a file that takes arrays: image settings do not apply to it."""
        if self._contract.input == "array":
            raise InputError(
                f"expected a model of images for {what}, got {self._file.path} of arrays "
                f"{list(self._contract.shape)}; leave {what} out"
            )

    def _run(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        with self._lock:
            try:
                return self._runners[signature](**inputs)
            except (RuntimeError, ValueError, MemoryError) as error:
                raise InputError(
                    f"{self._runtime} cannot run {signature} of {self._file.path}: "
                    f"{' '.join(str(error).split()):.300}; load the model again, or export it again with this version"
                ) from error

    def _load(self) -> None:
        """Loads the file; a previously loaded one is freed first, because two may not fit into a board's memory."""
        if self._file.manifest is not None and self._file.manifest.micro:
            raise InputError(
                f"expected a file for LiteRT, got {self._file.path}, which is for TensorFlow Lite Micro; open it with "
                "tinytl_tf.device.MicroModel"
            )
        self._runners = None
        self._runners = load_signatures(
            self._file.path,
            num_threads=self._num_threads,
            xnnpack=self._xnnpack,
            api=self._api,
            check=self._check_contract,
        )

    def _check_contract(self, runners: dict[str, Any]) -> None:
        self._contract = check_contract(self._file.path, runners, self._file.task)


def _check_array(what: str, value: Any, dtype: str, shape: tuple[int, ...]) -> None:
    if not isinstance(value, np.ndarray) or value.dtype != np.dtype(dtype) or value.shape != shape:
        raise InputError(f"expected {what}: {dtype} {list(shape)}, got {_describe(value)}")
    if what in ("array", "arrays") and not np.isfinite(value).all():
        place = np.argwhere(~np.isfinite(value))[0]
        raise InputError(
            f"expected finite numbers in {what}, got {value[tuple(place)]} at {place.tolist()}; leave that one out"
        )


def _describe(value: Any) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
