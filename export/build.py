"""From a `TrainableModule` to the content of a file: conversion, audit, passes, int8 kernels."""

from tinytl_tf.export.audit import audit
from tinytl_tf.export.convert import convert
from tinytl_tf.export.passes import pass_names, run_passes
from tinytl_tf.export.passes.quantize_kernels import quantize_kernels
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.tflite.model import Model

__all__ = ["build_file", "with_int8_kernels"]


def build_file(module: TrainableModule) -> tuple[bytes, dict[str, int]]:
    """Makes the file of a module with float32 kernels, by the passes of its profile.

    Returns:
        The content of the `.tflite`, and what `run_passes` reports.

    Raises:
        InputError: for an operator that is no builtin; it names the layer.
    """
    content = convert(module)
    audit(Model.from_bytes(content))  # before the passes: it names layers, whose names they drop
    return run_passes(content, pass_names(delegate=module.profile.xnnpack))


def with_int8_kernels(content: bytes) -> bytes:
    """Returns the same file with int8 kernels, see `quantize_kernels`."""
    model = Model.from_bytes(content)
    quantize_kernels(model)
    return model.to_bytes()
