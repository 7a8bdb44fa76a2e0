"""Checks for exports to TensorFlow Lite Micro, and the field `micro` of their manifests."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from tinytl_tf.errors import InputError
from tinytl_tf.export.micro_lint import resolver_calls
from tinytl_tf.tflite.manifest import Manifest, StateEntry
from tinytl_tf.tflite.micro_contract import COMMANDS, INPUTS, OUTPUTS
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime.micro import import_runtime
from tinytl_tf.tflite.runtime.micro_arena import measure_arena

__all__ = ["TARGETS", "check_shared", "check_target", "micro_facts"]

TARGETS = ("litert", "micro")


def check_target(target: str, frozen_weights: str, state_of: str | os.PathLike | None) -> None:
    """Checks that the arguments of an export fit its target.

    Raises:
        InputError: If the target is unknown, if an argument does not apply to it, or if the package `tflite-micro` is
            not installed for the target `"micro"`.
    """
    if target not in TARGETS:
        raise InputError(f"unknown target {target!r}; choose one of {', '.join(TARGETS)}")
    if target != "micro":
        if state_of is not None:
            raise InputError(f"expected state_of with the target micro, got it for {target}; leave it out")
        return
    if frozen_weights != "float32":
        raise InputError(
            f"expected frozen_weights float32 for TensorFlow Lite Micro, got {frozen_weights}: its convolutions take "
            "no int8 kernels with floats; choose float32"
        )
    import_runtime()


def check_shared(
    state_of: str | os.PathLike,
    labels: Sequence[str],
    spare_classes: int,
    task: str,
    optimizer: str,
    state: Sequence[StateEntry],
    frozen: str,
) -> str:
    """Checks that an exported file and a new one can share state files.

    Args:
        state_of: The exported file, with its manifest in the same folder.
        labels: Labels of the new file.
        spare_classes: Number of spare classes of the new file.
        task: Task of the new file.
        optimizer: Name of the new file's optimizer.
        state: Parts of the new file's state.
        frozen: Digest of the new file's frozen weights.

    Returns:
        The digest in the state files of the exported file.

    Raises:
        InputError: If the exported file cannot be read, or if it differs from the new file in one of these arguments.
    """
    other = Manifest.read(state_of)
    for what, its, own in (
        ("classes", (other.labels, other.spare_classes), (tuple(labels), spare_classes)),
        ("task", other.task, task),
        ("optimizer", other.optimizer, optimizer),
        ("trained variables", other.state, tuple(state)),
        ("frozen weights", other.frozen_sha256, frozen),
    ):
        if its != own:
            raise InputError(
                f"expected a file with the same {what} to share state files with, got other ones in {state_of}; export "
                "both from one network with the same settings"
            )
    return (other.micro.get("state_of") if other.micro else "") or other.sha256


def micro_facts(content: bytes, state_of: str) -> dict[str, Any]:
    """Returns the field `micro` of the manifest.

    Args:
        content: The finished `.tflite`.
        state_of: The digest that `check_shared` returned, or an empty string.

    Raises:
        InputError: If TensorFlow Lite Micro cannot start the file.
    """
    model = Model.from_bytes(content)
    return {
        "inputs": list(INPUTS),
        "outputs": list(OUTPUTS),
        "commands": dict(COMMANDS),
        "arena": dataclasses.asdict(measure_arena(content)),
        "operators": list(resolver_calls(model)),
        "resource_variables": len(model.resource_variables),
        "state_of": state_of,
    }
