"""Rules for the values of a manifest that no type expresses."""

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tinytl_tf.networks.spec import CLASSIFIER_BIAS, CLASSIFIER_KERNEL
from tinytl_tf.optimizers import OPTIMIZERS, STEP
from tinytl_tf.profiles import FROZEN_WEIGHTS, PROFILES
from tinytl_tf.tasks import get_task
from tinytl_tf.tflite.inputs import ARRAY, INPUTS
from tinytl_tf.tflite.micro_contract import COMMANDS, GRAPH, OUTPUTS
from tinytl_tf.tflite.micro_contract import INPUTS as MICRO_INPUTS

if TYPE_CHECKING:
    from tinytl_tf.tflite.manifest import Manifest

__all__ = ["OperatorFacts", "SignatureFacts", "TensorFacts", "broken_rule"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_DTYPES = ("float32", "int32", "uint8", "int8")
_MOST_SIDE = 2**16 - 1  # pixels
_MOST_SEED = 2**53 - 1  # the largest integer that all clients can read
_MOST_BATCH = 2**16
_MOST_RATE = 2**24  # samples per second
_MOST_TEXT = 255  # characters
_MOST_ELEMENTS = 2**31 - 1  # of a tensor, and of the state
_MOST_ARENA = 2**30  # bytes
_LARGEST_RATE = float(np.finfo(np.float32).max)
_SLOTS = ("", STEP, *(slot for optimizer in OPTIMIZERS.values() for slot in optimizer.slots))


@dataclasses.dataclass(frozen=True)
class TensorFacts:
    """An input or output of a signature."""

    shape: tuple[int, ...]
    dtype: str


@dataclasses.dataclass(frozen=True)
class SignatureFacts:
    """A signature."""

    inputs: dict[str, TensorFacts]
    outputs: dict[str, TensorFacts]


@dataclasses.dataclass(frozen=True)
class OperatorFacts:
    """An operator of the file."""

    name: str
    version: int
    count: int


def broken_rule(manifest: "Manifest") -> str | None:
    """Returns the first rule that a manifest breaks, with the wrong value, or None.

    Args:
        manifest: A manifest with checked types, including those in the parts about signatures and Micro.
    """
    # In order: a rule may rely on the rules before it.
    rules = itertools.chain(
        _settings(manifest), _input(manifest), _tensors(manifest), _state(manifest), _micro(manifest)
    )
    for expected, is_kept, value in rules:
        if not is_kept:
            return f"{expected}, got {value!r:.80}"
    return None


def _settings(manifest: "Manifest") -> Iterator[tuple[str, bool, Any]]:
    rate = manifest.learning_rate
    texts = [
        manifest.backbone,
        manifest.scheme,
        manifest.min_runtime_version,
        *manifest.tools,
        *manifest.tools.values(),
    ]
    texts += [entry.name for entry in manifest.state] + [operator["name"] for operator in manifest.operators]
    for text in texts:
        yield f"names of 1 to {_MOST_TEXT} printable characters", _is_line(text), text
    tables = {"optimizer": OPTIMIZERS, "profile": PROFILES, "frozen_weights": FROZEN_WEIGHTS}
    for field, table in tables.items():
        value = getattr(manifest, field)
        yield f"{field} of {', '.join(table)}", value in table, value
    seed, batch, smoothing = manifest.data.split_seed, manifest.batch_size, manifest.label_smoothing
    yield f"data.split_seed from 0 to {_MOST_SEED}", 0 <= seed <= _MOST_SEED, seed
    yield f"batch_size from 1 to {_MOST_BATCH}", 1 <= batch <= _MOST_BATCH, batch
    yield "label_smoothing of 0 to below 1", 0 <= smoothing < 1, smoothing
    yield "label_smoothing of 0 for regression", not smoothing or manifest.task != "regression", smoothing
    yield "a learning_rate that float32 holds", rate <= _LARGEST_RATE, rate
    yield "a sha256 of 64 hexadecimal digits", bool(_DIGEST.fullmatch(manifest.sha256)), manifest.sha256
    frozen = manifest.frozen_sha256
    yield "a frozen_sha256 of 64 hexadecimal digits", not frozen or bool(_DIGEST.fullmatch(frozen)), frozen
    for field in ("sizes", "planned_peak_bytes"):
        value = getattr(manifest, field)
        yield f"{field} of 0 or more", min(value.values(), default=0) >= 0, value
    for operator in manifest.operators:
        yield "operators of version and count 1 or more", min(operator["version"], operator["count"]) >= 1, operator


def _input(manifest: "Manifest") -> Iterator[tuple[str, bool, Any]]:
    image = manifest.input
    if image is not None:
        yield "input.dtype uint8", image.dtype == "uint8", image.dtype
        yield f"input.size from 1 to {_MOST_SIDE}", all(1 <= side <= _MOST_SIDE for side in image.size), image.size
        yield "input.range of 0 to 255", image.range == (0, 255), image.range
        yield "input.color_order RGB", image.color_order == "RGB", image.color_order
    yield f"inputs of one name of {', '.join(INPUTS)}", len(manifest.inputs) <= 1, list(manifest.inputs)
    for name, facts in manifest.inputs.items():
        yield f"inputs of {', '.join(INPUTS)}", name in INPUTS, name
        yield f"{INPUTS[name]} as inputs.{name}.dtype", facts.dtype == INPUTS[name], facts.dtype
        shape, meaning, rate = facts.shape, facts.meaning, facts.sample_rate
        fits = 1 <= len(shape) <= 3 and min(shape) >= 1 and math.prod(shape) <= _MOST_ELEMENTS
        yield f"1 to 3 sizes above 0 as inputs.{name}.shape", fits, shape
        is_text = not meaning or _is_line(meaning)
        yield f"at most {_MOST_TEXT} printable characters as inputs.{name}.meaning", is_text, meaning
        yield f"inputs.{name}.sample_rate of 0 to {_MOST_RATE}", 0 <= rate <= _MOST_RATE, rate
        is_waveform = name == ARRAY and len(shape) == 1
        yield f"inputs.{name}.sample_rate of waveforms alone, of one size", not rate or is_waveform, rate


def _is_line(text: str) -> bool:
    return 1 <= len(text) <= _MOST_TEXT and text.isprintable()


def _tensors(manifest: "Manifest") -> Iterator[tuple[str, bool, Any]]:
    for signature, sides in manifest.signatures.items():
        for tensors in sides.values():
            for name, tensor in tensors.items():
                where = f"{signature:.20}.{name:.20}"
                shape, dtype = tensor["shape"], tensor["dtype"]
                yield f"a type of {', '.join(_DTYPES)} for {where!r}", dtype in _DTYPES, dtype
                fits = 1 <= len(shape) <= 4 and min(shape) >= 1 and math.prod(shape) <= _MOST_ELEMENTS
                yield f"a shape of 1 to 4 sizes above 0 for {where!r}", fits, shape


def _state(manifest: "Manifest") -> Iterator[tuple[str, bool, Any]]:
    names = [(entry.name, entry.slot) for entry in manifest.state]
    yield f"slots of {', '.join(_SLOTS[1:])}", {slot for _, slot in names} <= set(_SLOTS), [slot for _, slot in names]
    yield f"a state of 1 to {_MOST_ELEMENTS} values", 1 <= manifest.state_size <= _MOST_ELEMENTS, manifest.state_size
    if manifest.spare_classes:  # clients put new classes there
        shapes = {entry.name: entry.shape for entry in manifest.state if not entry.slot}
        classes = len(manifest.labels) + manifest.spare_classes
        bias, kernel = shapes.get(CLASSIFIER_BIAS, ()), shapes.get(CLASSIFIER_KERNEL, ())
        fits = bias == (classes,) and len(kernel) == 2 and kernel[1] == classes
        yield f"{CLASSIFIER_KERNEL} and {CLASSIFIER_BIAS} of {classes} outputs in the state", fits, (kernel, bias)


def _micro(manifest: "Manifest") -> Iterator[tuple[str, bool, Any]]:
    facts = manifest.micro
    if not facts:
        return
    yield "images as the input of a file for TensorFlow Lite Micro", manifest.input is not None, list(manifest.inputs)
    for field, value in (("inputs", list(MICRO_INPUTS)), ("outputs", list(OUTPUTS)), ("commands", COMMANDS)):
        yield f"micro.{field} of {value}", facts[field] == value, facts[field]
    graph, classes = manifest.signatures.get(GRAPH), len(manifest.labels) + manifest.spare_classes
    yield f"the signature {GRAPH} alone", manifest.signatures.keys() == {GRAPH}, list(manifest.signatures)
    expected = _micro_signature(manifest, classes)
    for side, tensors in expected.items():
        yield f"{GRAPH}.{side} of {', '.join(tensors)}", graph[side].keys() == tensors.keys(), list(graph[side])
        for name, tensor in tensors.items():
            yield f"{tensor} for {GRAPH}.{side}.{name}", graph[side][name] == tensor, graph[side][name]
    # With an arena that is too small, the runtime ends the process.
    arena = facts["arena"]
    yield "micro.arena of bytes, head_bytes, tail_bytes", arena.keys() == {"bytes", "head_bytes", "tail_bytes"}, arena
    least = (arena["head_bytes"], arena["tail_bytes"], manifest.sizes.get("variable_bytes", 0))
    fits = min(least) >= 1 and arena["tail_bytes"] >= least[2] and sum(least[:2]) <= arena["bytes"] <= _MOST_ARENA
    yield "a micro.arena with room for head and tail, and a tail with room for the variables", fits, arena
    planned = manifest.planned_peak_bytes.get(GRAPH)
    yield f"planned_peak_bytes.{GRAPH} of {arena['bytes']}, as micro.arena", planned == arena["bytes"], planned
    variables, state_of = facts["resource_variables"], facts["state_of"]
    yield "micro.resource_variables of 1 or more", variables >= 1, variables
    yield "micro.operators that differ", len(set(facts["operators"])) == len(facts["operators"]), facts["operators"]
    digest = not state_of or bool(_DIGEST.fullmatch(state_of))
    yield "a micro.state_of of 64 hexadecimal digits", digest, state_of


def _micro_signature(manifest: "Manifest", classes: int) -> dict[str, dict[str, dict[str, Any]]]:
    task, state = get_task(manifest.task), {"shape": [manifest.state_size], "dtype": "float32"}
    number = {"shape": [1], "dtype": "float32"}
    integer = {"shape": [1], "dtype": "int32"}
    label = {"shape": list(task.label_shape(1, classes)), "dtype": task.label_dtype}
    image = {"shape": [1, *manifest.input.size, 3], "dtype": "uint8"}
    inputs = (image, label, number, integer, state)
    outputs = (number, number, integer, {"shape": [1, classes], "dtype": "float32"}, state)
    return {"inputs": dict(zip(MICRO_INPUTS, inputs, strict=True)), "outputs": dict(zip(OUTPUTS, outputs, strict=True))}
