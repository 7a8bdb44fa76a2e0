"""`coral.json`: what belongs together of an export for a Coral board, and how the parts fit."""

import dataclasses
import json
import os
import pathlib

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.files import sha256
from tinytl_tf.tflite.manifest import manifest_path, parse_fields

__all__ = ["CORAL_NAME", "PART_NAMES", "CoralManifest", "Quantized", "coral_files"]

CORAL_NAME = "coral.json"
PART_NAMES = {"prefix": "prefix_int8.tflite", "suffix": "suffix_train.tflite", "int8": "model_int8.tflite"}
_FORMAT_VERSION = 1
_LARGEST = 2**20  # bytes


@dataclasses.dataclass(frozen=True)
class Quantized:
    """A tensor of int8: its numbers stand for `scale * (number - zero_point)`.

    Attributes:
        shape: Without the axis of the batch.
        scale: What a step is worth.
        zero_point: The number that stands for 0.
    """

    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclasses.dataclass(frozen=True)
class CoralManifest:
    """What an export for a Coral board consists of.

    Attributes:
        split: Name of the first place of the suffix.
        files: Part -> name of its file, in the folder of this one: `prefix`, `suffix`, `model` (the whole network with
            float kernels, for the CPU) and, where it can be rebaked, `int8` (the whole network for the compiler).
        sha256: Part -> that of its file, in hexadecimal.
        image: Of the prefix's input; raw pixels of 0 to 255 less 128.
        features: Of the prefix's output and the suffix's input.
        calibration_images: Number of photos that the ranges of the integers were measured on.
        snr_db: Of `prefix` and `int8`: signal to noise of their outputs against float, in decibels.
        lint: What is known against compiling the prefix: parts that may run on the CPU.
        rebake: Path of a trained variable -> number of its tensor in the file `int8`.
        format_version: Version of this layout.

    Example:
        >>> CoralManifest.read("boards/coral.json").split  # doctest: +SKIP
        'block_13'
    """

    split: str
    files: dict[str, str]
    sha256: dict[str, str]
    image: Quantized
    features: Quantized
    calibration_images: int
    snr_db: dict[str, float]
    lint: tuple[str, ...]
    rebake: dict[str, int]
    format_version: int = _FORMAT_VERSION

    @classmethod
    def read(cls, path: str | os.PathLike) -> "CoralManifest":
        """Reads the file, not those that it names; see `part`.

        Raises:
            InputError: If it is missing, damaged or of another version.
        """
        path = files.expand(path)
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"{path.stat().st_size} bytes")
            values = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"expected {path}, got: {error.strerror}; check the path") from error
        except (ValueError, RecursionError) as error:
            problem = " ".join(str(error).split())
            raise InputError(f"expected JSON in {path}, got: {problem:.200}; export the model again") from error
        version = values.get("format_version") if isinstance(values, dict) else None
        if type(version) is not int or version != _FORMAT_VERSION:
            raise InputError(
                f"expected format version {_FORMAT_VERSION} in {path}, got {version!r:.80}; export the model again"
            )
        manifest = parse_fields(cls, values, "", path)
        missing = {"prefix", "suffix", "model"} - manifest.files.keys()
        if missing or manifest.files.keys() != manifest.sha256.keys():
            raise InputError(f"expected the files prefix, suffix and model in {path}; export the model again")
        for name in manifest.files.values():
            if pathlib.Path(name).name != name:
                raise InputError(f"expected names of files in the folder of {path}, got {name!r:.80}; export it again")
        sizes = (*manifest.image.shape, *manifest.features.shape)
        if min(sizes, default=0) < 1 or not manifest.image.scale > 0 or not manifest.features.scale > 0:
            raise InputError(f"expected sizes and scales above 0 in {path}; export the model again")
        return manifest

    def part(self, path: str | os.PathLike, name: str) -> pathlib.Path:
        """Returns where a part is, once its checksum is right.

        Args:
            path: The file that this manifest was read from.
            name: A key of `files`.

        Raises:
            InputError: If there is no such part, or its file is missing or another one.
        """
        if name not in self.files:
            raise InputError(f"{path} has no part {name!r}: what this export trains cannot be put into one int8 file")
        file = files.expand(path).with_name(self.files[name])
        try:
            digest = sha256(file)
        except OSError as error:
            raise InputError(
                f"expected {file.name} in the folder of {path}, got: {error.strerror}; copy all files of the export"
            ) from error
        if digest != self.sha256[name]:
            raise InputError(f"{file} is not the file of {path}: its checksum differs; copy all files of one export")
        return file

    def write(self, path: str | os.PathLike) -> None:
        """Writes the file, whole or not at all."""
        text = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        files.atomic_write_bytes(path, text.encode())


def coral_files(path: str | os.PathLike) -> dict[str, pathlib.Path]:
    """Returns the files of an export for a Coral board by what they are.

    Args:
        path: That of the whole file, which gives the folder.

    Example:
        >>> coral_files("boards/flowers.tflite")["prefix"].name
        'prefix_int8.tflite'
    """
    model = files.expand(path)
    parts = {part: model.with_name(name) for part, name in PART_NAMES.items()}
    return {
        **parts,
        "model": model,
        "suffix_manifest": manifest_path(parts["suffix"]),
        "model_manifest": manifest_path(model),
        "coral": model.with_name(CORAL_NAME),
    }
