"""The manifest that travels with an exported file: `model.manifest.json` beside `model.tflite`."""

import functools
import hashlib
import json
import os
import pathlib
from typing import Any

from tinytl_tf.errors import InputError

__all__ = ["FORMAT_VERSION", "manifest_path", "read_manifest", "sha256"]

FORMAT_VERSION = 1


def manifest_path(tflite_path: str | os.PathLike) -> pathlib.Path:
    """Where the manifest of a `.tflite` lies."""
    return pathlib.Path(tflite_path).with_suffix(".manifest.json")


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal; read in parts, so that the file never counts towards the peak memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for part in iter(functools.partial(stream.read, 1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def read_manifest(tflite_path: str | os.PathLike) -> dict[str, Any]:
    """Reads the manifest of a `.tflite` and checks that it belongs to it.

    Args:
        tflite_path: The `.tflite` file, not the manifest.

    Returns:
        The manifest: `format_version`, `labels` (names of the classes), `input`, `signatures`, `scheme`, `backbone`,
        `optimizer`, `profile`, `xnnpack` (whether clients use it by default), `frozen_weights`, `sizes`, `operators`,
        `min_runtime_version`, `planned_peak_bytes`, `passes`, `sha256`, `tools`, `parity`.

    Raises:
        InputError: If either file is missing, or the manifest is damaged, of another version, or of another file.
    """
    path = manifest_path(tflite_path)
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        digest = sha256(tflite_path)
    except OSError as error:
        raise InputError(
            f"expected {tflite_path} with its manifest {path.name} beside it, got: {error.strerror}: {error.filename}; "
            "copy both files that the export wrote"
        ) from error
    except ValueError as error:
        raise InputError(f"expected JSON in {path}, got: {error}; export the model again") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            f"expected a manifest of format version {FORMAT_VERSION} in {path}, got {version!r}; "
            "export the model again with this version of tinytl_tf"
        )
    labels = manifest.get("labels")
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise InputError(f"expected a list of names as `labels` in {path}, got {labels!r}; export the model again")
    if not isinstance(manifest.get("input", {}), dict):
        raise InputError(f"expected an object as `input` in {path}, got {manifest['input']!r}; export the model again")
    fraction = manifest.get("input", {}).get("central_fraction", 1)
    if not isinstance(fraction, int | float) or not 0 < fraction <= 1:
        raise InputError(
            f"expected a number above 0 and at most 1 as `central_fraction` in {path}, got {fraction!r}; "
            "export the model again"
        )
    if manifest.get("sha256") != digest:
        raise InputError(
            f"expected the manifest of {tflite_path} (sha256 {digest[:12]}...), got that of another file in {path}; "
            "copy both files of one export"
        )
    return manifest
