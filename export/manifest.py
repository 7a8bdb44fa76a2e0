"""Creates the `Manifest` of an exported file."""

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any

from tinytl_tf.errors import InputError
from tinytl_tf.export.operator_audit import audit, minimum_runtime
from tinytl_tf.memory import planned_peak
from tinytl_tf.networks.schemes import default_learning_rate
from tinytl_tf.tflite import micro_contract
from tinytl_tf.tflite.graph import Tensor
from tinytl_tf.tflite.inputs import ARRAY, INPUTS
from tinytl_tf.tflite.manifest import InputFacts, InputSettings, Manifest, contract_of
from tinytl_tf.tflite.micro_contract import GRAPH
from tinytl_tf.tflite.model import Model, Signature

__all__ = ["TOLERANCES", "describe"]

_MICRO = ("tflite-micro",)
_TOOLS = ("tinytl_tf", "tensorflow", "keras", "ai-edge-litert")
# Largest relative difference of the loss between two runtimes over 10 steps on real photos, measured with MobileNetV2
# 0.35 on x86-64, on aarch64 and in a browser. At higher rates, the effect of a flipped mask element grows in each step.
TOLERANCES = {
    "float32": {
        "same_kernels": {"learning_rate": 1e-3, "loss": 2e-5},
        "xnnpack_against_none": {"learning_rate": 1e-3, "loss": 2e-4},
        "high_rate": {"learning_rate": 5e-3, "loss": 5e-3},
    },
    "int8": {"any": {"learning_rate": 1e-3, "loss": 4e-2}},
}


def describe(content: bytes, **facts: Any) -> Manifest:
    """Returns the manifest of an exported file.

    Args:
        content: The `.tflite`.
        **facts: The fields of `Manifest` that cannot be read from the file: `labels`, `spare_classes`, `task`, `data`,
            `central_fraction`, `backbone`, `scheme`, `optimizer`, `label_smoothing`, `profile`, `xnnpack`,
            `frozen_weights`, `state`, `frozen_sha256`, `passes`, `parity` and `schedule`. In addition: `learning_rate`
            if it comes from a run; for a file that takes features, `image_size` (height and width of the images); and
            for TensorFlow Lite Micro, `batch_size` and `micro`. For a file that takes arrays, `meaning` and
            `sample_rate` replace `central_fraction`; see `InputFacts`.

    Raises:
        InputError: If the file has an operator that is not a builtin, or if the labels or the state do not fit the
            file.
    """
    model = Model.from_bytes(content)
    signatures = _micro_signature(model) if facts.get("micro") else model.signatures
    kind, taken, classes = _input_and_classes(signatures)
    if "batch_size" not in facts:
        facts["batch_size"] = model.signature("train").inputs["label"].shape[0]
    if len(facts["labels"]) + facts["spare_classes"] != classes:
        raise InputError(f"expected {classes} labels, one for each output of the file, got {len(facts['labels'])}")
    run_rate = facts.pop("learning_rate", None)
    if kind == ARRAY:
        shape = tuple(taken.shape[1:])
        facts["inputs"] = {ARRAY: InputFacts(INPUTS[ARRAY], shape, facts.pop("meaning"), facts.pop("sample_rate"))}
    else:
        facts["input"] = InputSettings(
            dtype=INPUTS["image"],
            size=tuple(facts.pop("image_size", taken.shape[1:3])),
            range=(0, 255),
            color_order="RGB",
            central_fraction=float(facts.pop("central_fraction")),
        )
    manifest = Manifest(
        contract=contract_of(kind, facts["task"]),
        signatures={
            name: {"inputs": _tensors(signature.inputs), "outputs": _tensors(signature.outputs)}
            for name, signature in signatures.items()
        },
        sizes={
            "file_bytes": len(content),
            "state_bytes": next(s.outputs["state"].bytes for s in signatures.values() if "state" in s.outputs),
            "variable_bytes": sum(model.resource_variables.values()),
            "constant_bytes": model.constant_bytes,
        },
        operators=tuple(dataclasses.asdict(count) for count in audit(model)),
        min_runtime_version=minimum_runtime(model),
        planned_peak_bytes=_planned(model, facts),
        sha256=hashlib.sha256(content).hexdigest(),
        tools={name: importlib.metadata.version(name) for name in (*_TOOLS, *(_MICRO if facts.get("micro") else ()))},
        tolerances=TOLERANCES[facts["frozen_weights"]],
        learning_rate=default_learning_rate(facts["scheme"], facts["optimizer"]) if run_rate is None else run_rate,
        learning_rate_from="default" if run_rate is None else "run",
        **facts,
    )
    if 4 * manifest.state_size != manifest.sizes["state_bytes"]:
        raise InputError(
            f"expected state entries of {manifest.sizes['state_bytes']} bytes, got {4 * manifest.state_size}; "
            "list the trained variables"
        )
    return manifest


def _tensors(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    return {name: {"shape": list(tensor.shape), "dtype": tensor.dtype} for name, tensor in tensors.items()}


def _micro_signature(model: Model) -> dict[str, Signature]:
    """Returns the graph of a file for TensorFlow Lite Micro as a signature."""
    graph = model.graphs[0]
    inputs = dict(zip(micro_contract.INPUTS, (graph.tensors[i] for i in graph.inputs), strict=True))
    outputs = dict(zip(micro_contract.OUTPUTS, (graph.tensors[i] for i in graph.outputs), strict=True))
    return {GRAPH: Signature(GRAPH, 0, inputs, outputs)}


def _input_and_classes(signatures: Mapping[str, Signature]) -> tuple[str, Tensor, int]:
    infer = signatures.get("infer") or signatures[GRAPH]
    kind = next(name for name in INPUTS if name in infer.inputs)
    return kind, infer.inputs[kind], infer.outputs["logits"].shape[-1]


def _planned(model: Model, facts: Mapping[str, Any]) -> dict[str, int]:
    if facts.get("micro"):
        return {GRAPH: facts["micro"]["arena"]["bytes"]}
    return {name: planned_peak(model, name).peak_bytes for name in model.signatures}
