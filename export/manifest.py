"""Writes the manifest of an exported file."""

import dataclasses
import importlib.metadata
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.export.audit import audit, minimum_runtime
from tinytl_tf.memory import planned_peak
from tinytl_tf.profiles import Profile
from tinytl_tf.tflite.graph import Tensor
from tinytl_tf.tflite.manifest import FORMAT_VERSION, manifest_path, sha256
from tinytl_tf.tflite.model import Model

__all__ = ["write_manifest"]

_TOOLS = ("tinytl_tf", "tensorflow", "keras", "ai-edge-litert")


def write_manifest(
    tflite_path: str | os.PathLike,
    *,
    backbone: str,
    scheme: str,
    optimizer: str,
    labels: Sequence[str],
    central_fraction: float,
    profile: Profile,
    frozen_weights: str,
    passes: Mapping[str, int],
    parity: Mapping[str, Any],
) -> dict[str, Any]:
    """Looks at an exported file and writes `<stem>.manifest.json` beside it, whole or not at all.

    Args:
        tflite_path: The `.tflite`; its `infer` signature says the size of the images.
        backbone: Name of the network.
        scheme: Name of the update scheme.
        optimizer: Name of the optimizer in the file.
        labels: Names of the classes, in the order of the outputs.
        central_fraction: Part of an image's side that the model was evaluated on.
        profile: The memory profile.
        frozen_weights: Type of the frozen kernels.
        passes: Planned peak of `train` before and after each pass, in bytes.
        parity: Figures of the parity check, of JSON's types.

    Returns:
        The manifest, as `tinytl_tf.tflite.manifest.read_manifest` gives it.

    Raises:
        InputError: If the file can not be read, has an operator that is not builtin, or has not as many outputs as
            there are labels.
    """
    model = Model.read(tflite_path)
    infer = model.signature("infer")
    image, classes = infer.inputs["image"], infer.outputs["logits"].shape[-1]
    if len(labels) != classes:
        raise InputError(f"expected {classes} labels, one for each output of {tflite_path}, got {len(labels)}")
    state = model.signatures["save"].outputs["state"].bytes if "save" in model.signatures else 0
    manifest = {
        "format_version": FORMAT_VERSION,
        "labels": list(labels),
        "input": {
            "range": [0, 255],
            "dtype": image.dtype,
            "size": list(image.shape[1:3]),
            "color_order": "RGB",
            "central_fraction": central_fraction,
        },
        "signatures": {
            name: {"inputs": _describe(signature.inputs), "outputs": _describe(signature.outputs)}
            for name, signature in model.signatures.items()
        },
        "scheme": scheme,
        "backbone": backbone,
        "optimizer": optimizer,
        "profile": profile.name,
        "xnnpack": profile.xnnpack,
        "frozen_weights": frozen_weights,
        "sizes": {
            "file_bytes": pathlib.Path(tflite_path).stat().st_size,
            "state_bytes": state,
            "variable_bytes": sum(model.resource_variables.values()),
            "constant_bytes": model.constant_bytes,
        },
        "operators": [dataclasses.asdict(count) for count in audit(model)],
        "min_runtime_version": minimum_runtime(model),
        "planned_peak_bytes": {name: planned_peak(model, name).peak_bytes for name in model.signatures},
        "passes": dict(passes),
        "sha256": sha256(tflite_path),
        "tools": {name: importlib.metadata.version(name) for name in _TOOLS},
        "parity": dict(parity),
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    files.atomic_write_bytes(manifest_path(tflite_path), text.encode())
    return manifest


def _describe(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    return {name: {"shape": list(tensor.shape), "dtype": tensor.dtype} for name, tensor in tensors.items()}
