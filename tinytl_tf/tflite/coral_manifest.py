"""`coral.json`: the parts of an export for a Coral board, and their sizes and scales."""

import dataclasses
import json
import math
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.files import sha256
from tinytl_tf.strict_json import read_json
from tinytl_tf.tflite.fields import parse_fields
from tinytl_tf.tflite.manifest import manifest_path

__all__ = ["CORAL_NAME", "PART_NAMES", "CoralManifest", "Quantized", "coral_files"]

CORAL_NAME = "coral.json"
PART_NAMES = {"prefix": "prefix_int8.tflite", "suffix": "suffix_train.tflite", "int8": "model_int8.tflite"}
_FORMAT_VERSION = 1
_LARGEST = 2**20  # bytes
_PARTS = {"prefix", "suffix", "model"}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MOST_ELEMENTS = 2**31 - 1
_LEAST_SCALE, _MOST_SCALE = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
_MOST_NAME = 255  # characters


@dataclasses.dataclass(frozen=True)
class Quantized:
    """An int8 tensor: an integer stands for `scale * (integer - zero_point)`.

    Attributes:
        shape: Shape without the batch axis.
        scale: Scale of the integers.
        zero_point: The integer that stands for 0.
    """

    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclasses.dataclass(frozen=True)
class CoralManifest:
    """The parts of an export for a Coral board.

    Attributes:
        split: Name of the first place of the suffix.
        files: Part -> name of its file, in the same folder: `prefix`, `suffix`, `model` (the complete network with
            float kernels, for the CPU) and, if it can be rebaked, `int8` (the complete network for the compiler).
        sha256: Part -> SHA-256 of its file, in hexadecimal.
        image: Input of the prefix: raw pixels from 0 to 255, minus 128.
        features: Output of the prefix, which is the input of the suffix.
        calibration_images: Number of photos on which the ranges of the integers were measured.
        snr_db: For `prefix` and `int8`: signal-to-noise ratio of their outputs against float outputs, in decibels.
        lint: Known obstacles to compiling the prefix: parts that may run on the CPU.
        rebake: Path of a trained variable -> index of its tensor in the file `int8`.
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
        """Reads the `coral.json`, but not the files that it lists; see `part`.

        Raises:
            InputError: If the file is missing, is damaged, or has a different version.
        """
        path = files.expand(path)
        try:
            values = read_json(path, _LARGEST)
        except OSError as error:
            raise InputError(f"expected {path}, got: {error.strerror}; check the path") from error
        except ValueError as error:
            raise InputError(f"expected JSON in {path}, got: {error}; export the model again") from error
        version = values.get("format_version") if isinstance(values, dict) else None
        if type(version) is not int or version != _FORMAT_VERSION:
            raise InputError(
                f"expected format version {_FORMAT_VERSION} in {path}, got {version!r:.80}; export the model again"
            )
        manifest = parse_fields(cls, values, "", path)
        for expected, is_kept, value in manifest._rules():
            if not is_kept:
                raise InputError(f"expected {expected} in {path}, got {value!r:.80}; export the model again")
        return manifest

    def _rules(self) -> Iterator[tuple[str, bool, Any]]:
        """Rules beyond types: a rule, whether it is kept, and the value."""
        names, parts = list(self.files.values()), self.files.keys()
        yield "files of prefix, suffix, model and perhaps int8", _PARTS <= parts <= {*_PARTS, "int8"}, self.files
        fits = all(_is_line(name) and name == pathlib.Path(name).name and name != ".." for name in names)
        yield "names of files in its own folder", fits and len(set(names)) == len(names), names
        fits = self.sha256.keys() == parts and all(_DIGEST.fullmatch(digest) for digest in self.sha256.values())
        yield "a sha256 of 64 hexadecimal digits for each file", fits, self.sha256
        image, features = self.image.shape, self.features.shape
        yield "an image of height, width and 3 channels", len(image) == 3 == image[-1], image
        yield "features of 1 to 3 sizes", 1 <= len(features) <= 3, features
        for tensor in (self.image, self.features):
            fits = min(tensor.shape) >= 1 and math.prod(tensor.shape) <= _MOST_ELEMENTS
            yield f"sizes of 1 or more and at most {_MOST_ELEMENTS} values", fits, tensor.shape
            yield "a scale above 0 that float32 holds", _LEAST_SCALE <= tensor.scale <= _MOST_SCALE, tensor.scale
            yield "a zero_point from -128 to 127", -128 <= tensor.zero_point <= 127, tensor.zero_point
        yield "calibration_images of 1 or more", self.calibration_images >= 1, self.calibration_images
        yield "lines as split and lint", all(_is_line(text) for text in (self.split, *self.lint)), self.lint
        measured = {"prefix", "int8"} & parts
        yield f"snr_db of {' and '.join(sorted(measured))}", self.snr_db.keys() == measured, self.snr_db
        numbers = list(self.rebake.values())
        yield "rebake with an int8 file, and not without", bool(numbers) == ("int8" in parts), self.rebake
        fits = all(0 <= number <= _MOST_ELEMENTS for number in numbers) and len(set(numbers)) == len(numbers)
        yield (
            "names of variables and numbers of tensors in rebake",
            fits and all(map(_is_line, self.rebake)),
            self.rebake,
        )

    def part(self, path: str | os.PathLike, name: str) -> pathlib.Path:
        """Returns the path of a part, after checking its checksum.

        Args:
            path: The `coral.json` that this manifest was read from.
            name: A key of `files`.

        Raises:
            InputError: If there is no such part; or if its file is missing or differs.
        """
        if name not in self.files:
            raise InputError(f"{path} has no part {name!r}: its trained variables do not fit into one int8 file")
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
        """Writes the file atomically."""
        text = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        files.atomic_write_bytes(path, text.encode())


def _is_line(text: str) -> bool:
    return 1 <= len(text) <= _MOST_NAME and text.isprintable()


def coral_files(path: str | os.PathLike) -> dict[str, pathlib.Path]:
    """Returns the files of an export for a Coral board by part.

    Args:
        path: Path of the complete network's file; all other files are in the same folder.

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
