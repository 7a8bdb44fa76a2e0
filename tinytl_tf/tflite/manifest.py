"""The manifest that travels with an exported file: `model.manifest.json` next to `model.tflite`."""

import dataclasses
import hashlib
import json
import math
import os
import pathlib
import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import LEARNING_RATE
from tinytl_tf.schedules import DEFAULT_SCHEDULE, SCHEDULES
from tinytl_tf.strict_json import read_json
from tinytl_tf.tasks import TASKS
from tinytl_tf.tflite.fields import parse_fields
from tinytl_tf.tflite.inputs import ARRAY, INPUTS
from tinytl_tf.tflite.manifest_rules import OperatorFacts, SignatureFacts, broken_rule
from tinytl_tf.tflite.micro_contract import MicroFacts

__all__ = [
    "ARRAY",
    "ARRAY_CONTRACT",
    "CONTRACT",
    "CONTRACTS",
    "DataSettings",
    "IMAGE_DATA",
    "INPUTS",
    "InputFacts",
    "InputSettings",
    "Manifest",
    "LABELS_ENTRY",
    "StateEntry",
    "OPTIONAL",
    "contract_of",
    "embedded_labels",
    "frozen_sha256",
    "manifest_path",
]

FORMAT_VERSION = 2  # version of the JSON layout
CONTRACT = 2  # version of the signatures; 1 had inputs and outputs of rank 0, which crash clients on ARM
ARRAY_CONTRACT = 3  # for a file that takes arrays or predicts numbers; readers of contract 2 do not support it
CONTRACTS = (CONTRACT, ARRAY_CONTRACT)
# Fields of `DataSettings` that change photos; the manifest of a file that takes arrays lacks them and `input`.
IMAGE_DATA = ("crop", "crop_area", "crop_aspect", "flip", "color")
LABELS_ENTRY = "TINYTL"  # name of the metadata in the `.tflite`
# Fields that are missing from manifests of older exports or of one kind of input.
OPTIONAL = frozenset(
    ["frozen_sha256", "learning_rate", "learning_rate_from", "micro", "schedule", "split"]
    + ["input", "inputs", "sample_rate", *IMAGE_DATA]
)
RATES_FROM = ("default", "run")
SPLITS = ("", "content")
_LARGEST = 16 * 2**20  # bytes of a manifest; it lists each operator and variable once
_MOST_RANK = 8  # of a variable


@dataclasses.dataclass(frozen=True)
class InputSettings:
    """Requirements for an image.

    Attributes:
        dtype: Type of a pixel.
        size: Height and width in pixels.
        range: Smallest and largest value of a pixel.
        color_order: Order of the channels.
        central_fraction: Part of a photo's side, around its center, that the model was evaluated on, in (0, 1].
    """

    dtype: str
    size: tuple[int, int]
    range: tuple[int, int]
    color_order: str
    central_fraction: float


@dataclasses.dataclass(frozen=True)
class InputFacts:
    """Description of a file's input.

    Attributes:
        dtype: Type of an element, as in `INPUTS`.
        shape: Shape of one image, one array or the features of one image, without the batch; 1 to 3 sizes.
        meaning: Meaning of the axes and the numbers, for people; may be empty.
        sample_rate: Samples per second of a waveform, which has one size and values from -1 to 1; 0 for all other
            inputs.
    """

    dtype: str
    shape: tuple[int, ...]
    meaning: str
    sample_rate: int = 0


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """How the data of the run was split and augmented; clients do the same by default.

    Attributes:
        split_seed: Chooses the test images of a folder without splits.
        crop: Whether training images are cropped at random.
        crop_area: Smallest and largest part of an image's area.
        crop_aspect: Smallest and largest aspect ratio, width divided by height.
        flip: Whether training images are flipped at random.
        color: Name of the color changes.
        split: How the test images of a folder without splits were chosen: `"content"` for
            `tinytl_tf.data.splits.is_held_out`; empty if unknown, as for older exports. Clients may then hold out
            images that the file was trained on.
    """

    split_seed: int = 0
    crop: bool = True
    crop_area: tuple[float, float] = (0.22, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    color: str = "none"
    split: str = ""


@dataclasses.dataclass(frozen=True)
class StateEntry:
    """A part of the state: a trained variable, one of its optimizer's slots, or the count of steps.

    Attributes:
        name: Path of the Keras variable; `"step"` for the count of steps.
        shape: Its shape; the elements are in row-major order.
        offset: Index of its first element in the state.
        slot: Name of the slot; see `tinytl_tf.optimizers`. Empty for the variable itself.
    """

    name: str
    shape: tuple[int, ...]
    offset: int
    slot: str = ""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Description of an exported file, for clients and people.

    Attributes:
        labels: Names of the classes or attributes, in the order of the outputs; Unicode NFC, all different.
        spare_classes: Number of outputs after `labels` that have no class.
        task: A key of `tinytl_tf.tasks.TASKS`.
        input: Requirements for an image; None for a file that takes arrays.
        data: How the data was split and augmented.
        backbone: Name of the network.
        scheme: Name of the update scheme.
        optimizer: A key of `tinytl_tf.optimizers.OPTIMIZERS`.
        batch_size: Images per training step.
        label_smoothing: Label smoothing of the file's loss.
        profile: A key of `tinytl_tf.profiles.PROFILES`.
        xnnpack: Whether clients use XNNPACK by default.
        frozen_weights: Type of the frozen kernels.
        signatures: Name -> `inputs` and `outputs`: name -> `shape` and `dtype`.
        state: The parts of the state, in order.
        sizes: `file_bytes`, `state_bytes`, `variable_bytes`, `constant_bytes`.
        operators: `name`, `version` and `count` of each operator.
        min_runtime_version: Oldest version of TensorFlow Lite that supports all operators.
        planned_peak_bytes: Name of a signature -> bytes of its arenas without a delegate.
        passes: Planned peak of `train` after each pass, in bytes.
        sha256: SHA-256 of the `.tflite`, in hexadecimal.
        tools: Name of a package -> its version when it made the file.
        parity: Figures from the exporter's checks.
        tolerances: How far losses may differ between runtimes.
        learning_rate: Default learning rate of the first step. Manifests of older exports lack it.
        learning_rate_from: `"run"` if it is the rate of the exported run, times the factor between the two optimizers;
            `"default"` if it is the default of the scheme and optimizer; see
            `tinytl_tf.networks.schemes.default_learning_rate`.
        schedule: Default schedule of the learning rate over the steps: a key of `tinytl_tf.schedules.SCHEDULES`.
        frozen_sha256: SHA-256 of the network's frozen weights; see the function `frozen_sha256`. Empty in manifests of
            older exports.
        micro: Empty, except for a file for TensorFlow Lite Micro: `inputs` and `outputs` in order; `commands` with
            their numbers; `arena`, the fields of `Arena`; `operators`, the methods of `MicroMutableOpResolver` that add
            them; `resource_variables`, the number of variables; and `state_of`, the SHA-256 of the file with which it
            shares state files, or empty.
        inputs: Name of the input (a key of `INPUTS`) -> its description. May be empty for a file that takes images.
        contract: Version of the signatures; see `contract_of`.
        format_version: Version of this layout.

    Example:
        >>> Manifest.read("photos.tflite").labels  # doctest: +SKIP
        ('daisy', 'rose')
    """

    labels: tuple[str, ...]
    spare_classes: int
    task: str
    input: InputSettings | None = dataclasses.field(default=None, kw_only=True)
    data: DataSettings
    backbone: str
    scheme: str
    optimizer: str
    batch_size: int
    label_smoothing: float
    profile: str
    xnnpack: bool
    frozen_weights: str
    signatures: dict[str, Any]
    state: tuple[StateEntry, ...]
    sizes: dict[str, int]
    operators: tuple[dict[str, Any], ...]
    min_runtime_version: str
    planned_peak_bytes: dict[str, int]
    passes: dict[str, Any]
    sha256: str
    tools: dict[str, str]
    parity: dict[str, Any]
    tolerances: dict[str, Any]
    learning_rate: float = LEARNING_RATE
    learning_rate_from: str = "default"
    schedule: str = DEFAULT_SCHEDULE
    frozen_sha256: str = ""
    micro: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: dict[str, InputFacts] = dataclasses.field(default_factory=dict)
    contract: int = CONTRACT
    format_version: int = FORMAT_VERSION

    @classmethod
    def read(cls, tflite_path: str | os.PathLike, *, digest: str | None = None) -> "Manifest":
        """Reads the manifest of a `.tflite` and checks that it belongs to it.

        Args:
            tflite_path: The `.tflite` file, not the manifest.
            digest: The file's SHA-256 in hexadecimal, if the caller already has it.

        Raises:
            InputError: If either file is missing; or if the manifest is damaged, has a different version, or belongs to
                a different file.
        """
        path = manifest_path(tflite_path)
        try:
            values = read_json(path, _LARGEST)
            digest = digest or files.sha256(tflite_path)
        except OSError as error:
            raise InputError(
                f"expected {tflite_path} with its manifest {path.name} in the same folder, got: {error.strerror}: "
                f"{error.filename}; copy both files that the export wrote"
            ) from error
        except ValueError as error:
            raise InputError(f"expected JSON in {path}, got: {error}; export the model again") from error
        return cls.from_json(values, path, digest)

    @classmethod
    def from_json(cls, values: Any, path: str | os.PathLike, digest: str | None = None) -> "Manifest":
        """Returns the manifest with checked content.

        Args:
            values: Result of `json.loads`.
            path: Source of the values, for error messages.
            digest: SHA-256 of the `.tflite` that the manifest must belong to; None for any file.

        Raises:
            InputError: If a field is missing, is unknown, or has the wrong type; if a value is invalid; or if the
                digest differs.
        """
        version = values.get("format_version") if isinstance(values, dict) else None
        if type(version) is not int or version != FORMAT_VERSION:
            raise InputError(
                f"expected a manifest of format version {FORMAT_VERSION} in {path}, got {version!r:.80}; "
                "export the model again with this version of tinytl_tf"
            )
        manifest = parse_fields(cls, values, "", path, OPTIONAL)
        _check_kind(values, manifest, path)
        if manifest.takes_arrays:
            manifest = dataclasses.replace(manifest, data=dataclasses.replace(manifest.data, crop=False, flip=False))
        for kind, field in ((dict[str, SignatureFacts], "signatures"), (tuple[OperatorFacts, ...], "operators")):
            parse_fields(kind, values[field], f"{field}.", path)
        if manifest.micro:
            parse_fields(MicroFacts, manifest.micro, "micro.", path)
        problem = manifest._problem() or broken_rule(manifest)
        if problem:
            raise InputError(f"expected {problem} in {path}; export the model again")
        if digest is not None and manifest.sha256 != digest:
            raise InputError(
                f"expected the manifest of the .tflite with sha256 {digest[:12]}..., got another file's in "
                f"{path}; copy both files of one export"
            )
        return manifest

    def to_json(self) -> str:
        """Returns the JSON text of the manifest."""
        values = dataclasses.asdict(self)
        for field in ("micro", "inputs"):  # most clients do not need them
            if not values[field]:
                del values[field]
        for facts in values.get("inputs", {}).values():
            if not facts["sample_rate"]:
                del facts["sample_rate"]
        if self.takes_arrays:
            del values["input"]
            values["data"] = {name: value for name, value in values["data"].items() if name not in IMAGE_DATA}
        return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, tflite_path: str | os.PathLike) -> None:
        """Writes the manifest of a `.tflite` into its folder, atomically."""
        files.atomic_write_bytes(manifest_path(tflite_path), self.to_json().encode())

    @property
    def state_size(self) -> int:
        """Number of float32 values of the state."""
        return sum(math.prod(entry.shape) for entry in self.state)

    @property
    def takes_arrays(self) -> bool:
        """Whether the file takes float arrays instead of images."""
        return ARRAY in self.inputs

    def _problem(self) -> str | None:
        """Returns the first broken rule beyond types, or None."""
        if self.contract not in CONTRACTS:
            return f"signatures of contract {' or '.join(map(str, CONTRACTS))}, got {self.contract}"
        least = contract_of(ARRAY if self.takes_arrays else "image", self.task)
        if self.contract < least:
            return f"signatures of contract {least} for arrays and for regression, got {self.contract}"
        if self.task not in TASKS:
            return f"a task of {', '.join(TASKS)}, got {self.task!r:.80}"
        normal = [unicodedata.normalize("NFC", label) for label in self.labels]
        if len(normal) < 1 or len(set(normal)) != len(normal) or "" in normal:
            return f"labels that are names, none twice, got {list(self.labels)!r:.200}"
        if self.spare_classes < 0 or (self.spare_classes and self.task != "classification"):
            return f"spare_classes of 0 or more, of a classification, got {self.spare_classes}"
        if self.input is not None and not 0 < self.input.central_fraction <= 1:
            return f"a central_fraction above 0 and at most 1, got {self.input.central_fraction!r}"
        if not 0 < self.learning_rate < math.inf:
            return f"a learning_rate above 0, got {self.learning_rate!r}"
        if self.learning_rate_from not in RATES_FROM:
            return f"learning_rate_from of {', '.join(RATES_FROM)}, got {self.learning_rate_from!r:.80}"
        if self.schedule not in SCHEDULES:
            return f"a schedule of {', '.join(SCHEDULES)}, got {self.schedule!r:.80}"
        if self.data.split not in SPLITS:
            return f"a data.split of {', '.join(map(repr, SPLITS))}, got {self.data.split!r:.80}"
        twice = find_twice((entry.name, entry.slot) for entry in self.state)
        if twice:
            return f"state entries of different names, got {twice[0]!r:.80} twice"
        offset = 0
        for entry in self.state:
            if entry.offset != offset or len(entry.shape) > _MOST_RANK or any(size < 1 for size in entry.shape):
                return f"state entries without gaps, got {entry.name!r:.80} at {entry.offset} for {offset}"
            offset += math.prod(entry.shape)
        return None


def find_twice(values: Iterable[Hashable]) -> Any:
    """Returns the first repeated value, or None.

    Example:
        >>> find_twice(["a/kernel", "b/kernel", "a/kernel"])
        'a/kernel'
    """
    seen = set()
    return next((value for value in values if value in seen or seen.add(value)), None)


def contract_of(inputs: str, task: str) -> int:
    """Returns the version of a file's signatures, the oldest version that its clients must support.

    Args:
        inputs: A key of `INPUTS`.
        task: A key of `tinytl_tf.tasks.TASKS`.

    Example:
        >>> contract_of("image", "multilabel"), contract_of("array", "classification")
        (2, 3)
    """
    return ARRAY_CONTRACT if inputs == ARRAY or task == "regression" else CONTRACT


def embedded_labels(task: str, labels: Sequence[str], spare_classes: int = 0, *, inputs: str = "image") -> bytes:
    """Returns the content of the metadata `TINYTL`, which describes a `.tflite` inside the file itself.

    Args:
        task: A key of `tinytl_tf.tasks.TASKS`.
        labels: Names of the outputs.
        spare_classes: Number of outputs after `labels` that have no class yet.
        inputs: A key of `INPUTS`.
    """
    contract = contract_of(inputs, task)
    content = {"contract": contract, "task": task, "labels": list(labels), "spare_classes": spare_classes}
    return json.dumps(content, ensure_ascii=False).encode()


def manifest_path(tflite_path: str | os.PathLike) -> pathlib.Path:
    """Returns the path of the manifest of a `.tflite`."""
    return files.expand(tflite_path).with_suffix(".manifest.json")


def _check_kind(values: dict[str, Any], manifest: Manifest, path: str | os.PathLike) -> None:
    """Raises `InputError` if a manifest for images lacks a field for images, or a manifest for arrays has one."""
    fields = {"input": "input" in values, **{f"data.{name}": name in values["data"] for name in IMAGE_DATA}}
    for name, is_there in fields.items():
        if is_there and manifest.takes_arrays:
            raise InputError(
                f"expected none of the fields of images in a manifest of arrays, got {name!r} in {path}; export the "
                "model again"
            )
        if not is_there and not manifest.takes_arrays:
            raise InputError(f"{path} has no field {name!r}; export the model again")


def frozen_sha256(values: Mapping[str, np.ndarray]) -> str:
    """Returns the SHA-256 of a network's frozen weights, in hexadecimal, which identifies the network.

    The hashed bytes are, for each variable in the order of the names: its name in UTF-8, a zero byte, its shape as
    decimal numbers separated by commas, a zero byte, and its elements in row-major order as little-endian float32.

    Args:
        values: Path of each frozen Keras variable -> its value, floats from before any quantization.

    Example:
        >>> frozen_sha256({"stem/kernel": np.zeros([1, 2])})[:8]
        '5f6e6655'
    """
    digest = hashlib.sha256()
    for name, value in sorted(values.items()):
        shape = ",".join(map(str, np.shape(value)))
        digest.update(f"{name}\0{shape}\0".encode())
        digest.update(np.ascontiguousarray(value, "<f4").data)
    return digest.hexdigest()
