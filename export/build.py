"""From a `TrainableModule` to the content of a file: conversion, audit, passes, int8 kernels."""

from typing import Any

from tinytl_tf.errors import InputError
from tinytl_tf.export.contract import NO_INT8
from tinytl_tf.export.convert import convert
from tinytl_tf.export.micro_lint import check_operators
from tinytl_tf.export.micro_module import MicroModule
from tinytl_tf.export.operator_audit import audit, write_minimum_runtime
from tinytl_tf.export.passes import MICRO_PASSES, QUANTIZE_KERNELS, pass_names, run_passes
from tinytl_tf.export.passes.place_tensors import arena_plan
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.tflite.model import Model

__all__ = ["build_file", "build_micro_file", "finish_micro_file", "with_int8_kernels"]


def build_file(module: TrainableModule) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """Makes the file of a module with float32 kernels, by the passes of its profile.

    Args:
        module: The network with its signatures.

    Returns:
        The content of the `.tflite`, and the report of `run_passes`.

    Raises:
        InputError: For an operator that is not a builtin; it names the layer.
    """
    content = convert(module)
    audit(Model.from_bytes(content))  # before the passes: it names layers, and they drop the names
    content, report = run_passes(content, pass_names(delegate=module.profile.xnnpack))
    return _with_minimum_runtime(content), report


def build_micro_file(module: MicroModule) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """Makes the file of a module for TensorFlow Lite Micro.

    Args:
        module: The network with its one graph.

    Returns:
        As `finish_micro_file`.

    Raises:
        InputError: For an operator that TensorFlow Lite Micro lacks; it names the layer.
    """
    return finish_micro_file(convert(module))


def finish_micro_file(content: bytes) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """Makes a converted `MicroModule` ready for TensorFlow Lite Micro.

    Args:
        content: Result of `convert`.

    Returns:
        The content of the `.tflite`, and by `"converted"` and the name of each pass a dictionary with
        `planned_peak_bytes`, of the tensors in the arena after it, and for a pass with `changed`.

    Raises:
        InputError: For an operator that TensorFlow Lite Micro lacks; it names the layer.
    """
    model = Model.from_bytes(content)
    audit(model)
    report: dict[str, dict[str, Any]] = {"converted": {"planned_peak_bytes": arena_plan(model)}}
    for name, run in MICRO_PASSES.items():
        if name == "drop_names":  # by which the lint finds the layers
            check_operators(model)
        changed = run(model)
        model = Model(model.schema)
        report[name] = {"planned_peak_bytes": arena_plan(model), "changed": changed}
    return _with_minimum_runtime(model.to_bytes()), report


def with_int8_kernels(content: bytes) -> bytes:
    """Returns the same file with int8 kernels, see `quantize_kernels`.

    Args:
        content: A `.tflite` with the signature `train`.

    Raises:
        InputError: If no kernel became int8: all are trained, or small.
    """
    content, report = run_passes(content, [QUANTIZE_KERNELS.name])
    if not report[QUANTIZE_KERNELS.name]["changed"]:
        raise InputError(NO_INT8)
    return _with_minimum_runtime(content)


def _with_minimum_runtime(content: bytes) -> bytes:
    model = Model.from_bytes(content)
    write_minimum_runtime(model)
    return model.to_bytes()
