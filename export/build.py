"""Builds the content of a file from a `TrainableModule`: conversion, audit, passes, int8 kernels."""

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
    """Builds the file of a module with float32 kernels, and runs the passes of its profile.

    Args:
        module: The network with its signatures.

    Returns:
        The content of the `.tflite`, and the report of `run_passes`.

    Raises:
        InputError: If an operator is not a builtin. The message names the layer.
    """
    content = convert(module)
    audit(Model.from_bytes(content))  # before the passes, which drop the names of layers
    content, report = run_passes(content, pass_names(delegate=module.profile.xnnpack))
    return _with_minimum_runtime(content), report


def build_micro_file(module: MicroModule) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """Builds the file of a module for TensorFlow Lite Micro.

    Args:
        module: The network with its single graph.

    Returns:
        The result of `finish_micro_file`.

    Raises:
        InputError: If TensorFlow Lite Micro lacks an operator. The message names the layer.
    """
    return finish_micro_file(convert(module))


def finish_micro_file(content: bytes) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """Prepares a converted `MicroModule` for TensorFlow Lite Micro.

    Args:
        content: Result of `convert`.

    Returns:
        The content of the `.tflite`, and a report. The report has an entry for `"converted"` and for each pass: a
        dictionary with `planned_peak_bytes`, the size of the tensors in the arena after the stage, and for passes with
        `changed`.

    Raises:
        InputError: If TensorFlow Lite Micro lacks an operator. The message names the layer.
    """
    model = Model.from_bytes(content)
    audit(model)
    report: dict[str, dict[str, Any]] = {"converted": {"planned_peak_bytes": arena_plan(model)}}
    for name, run in MICRO_PASSES.items():
        if name == "drop_names":  # the check needs the names to find layers
            check_operators(model)
        changed = run(model)
        model = Model(model.schema)
        report[name] = {"planned_peak_bytes": arena_plan(model), "changed": changed}
    return _with_minimum_runtime(model.to_bytes()), report


def with_int8_kernels(content: bytes) -> bytes:
    """Returns the same file with int8 kernels; see `quantize_kernels`.

    Args:
        content: A `.tflite` with the signature `train`.

    Raises:
        InputError: If all kernels are trained or small, so that none can become int8.
    """
    content, report = run_passes(content, [QUANTIZE_KERNELS.name])
    if not report[QUANTIZE_KERNELS.name]["changed"]:
        raise InputError(NO_INT8)
    return _with_minimum_runtime(content)


def _with_minimum_runtime(content: bytes) -> bytes:
    model = Model.from_bytes(content)
    write_minimum_runtime(model)
    return model.to_bytes()
