"""Loads on-device training results into a Keras model, or averages the results of several devices.

A `.tinytl` file holds an array of numbers; the manifest of the file that it was saved from names its parts. This module
does not import TensorFlow, so averaging also runs on a server without it.
"""

import math
import numbers
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tinytl_tf.device.state_check import check_state
from tinytl_tf.device.state_file import read_state, write_state
from tinytl_tf.errors import InputError
from tinytl_tf.networks.spec import is_of_classifier
from tinytl_tf.networks.variables import describe_variable
from tinytl_tf.tflite.manifest import Manifest, find_twice, frozen_sha256

__all__ = ["average_states", "load_state", "read_class_names", "read_variables"]


def read_variables(path: str | os.PathLike, tflite: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the trained variables of a state file by name.

    Args:
        path: The `.tinytl`.
        tflite: The `.tflite` that it was saved from, with its manifest in the same folder.

    Returns:
        Path of each trained variable -> its value, float32. Optimizer slots and unused spare outputs are left out.

    Raises:
        InputError: If a file cannot be read or is damaged; or if the state was saved from a different `.tflite`.

    Example:
        >>> read_variables("mine.tinytl", "flowers.tflite")["classifier/bias"].shape  # doctest: +SKIP
        (5,)
    """
    manifest = Manifest.read(tflite)
    return _used(*_read(path, manifest), manifest)


def read_class_names(path: str | os.PathLike, tflite: str | os.PathLike) -> tuple[str, ...]:
    """Returns the class names of a state file: the exported classes, then the classes added on the device.

    Args:
        path: The `.tinytl`.
        tflite: The `.tflite` that it was saved from, with its manifest in the same folder.

    Raises:
        InputError: As for `read_variables`.
    """
    manifest = Manifest.read(tflite)
    return manifest.labels + _read(path, manifest)[1]


def load_state(model: Any, path: str | os.PathLike, tflite: str | os.PathLike) -> None:
    """Loads the values learned on a device into the Keras model that the device's file was exported from.

    The state has only the trained variables. The frozen variables in `model` are not changed, so it must be the model
    of the export, not the same architecture with different weights; the manifest has their digest to check this. The
    model may have additional lite residuals that the file lacks.

    Args:
        model: The `keras.Model`; only the variables of the state are changed.
        path: The `.tinytl` saved on the device.
        tflite: The `.tflite` that it was saved from, with its manifest in the same folder.

    Raises:
        InputError: If a file cannot be read or is damaged; if the state was saved from a different `.tflite`; if the
            model lacks a variable of the state or has it in a different shape; or if the model has different frozen
            weights. The model is then unchanged.

    Example:
        >>> load_state(model, "mine.tinytl", "flowers.tflite")  # doctest: +SKIP
        >>> model.save("flowers.keras")  # doctest: +SKIP
    """
    manifest = Manifest.read(tflite)
    values = _used(*_read(path, manifest), manifest)
    twice = find_twice(variable.path for variable in model.weights)
    if twice:
        raise InputError(
            f"expected variables of different paths, got {twice!r} twice in the model; give its layers other names"
        )
    variables = {variable.path: variable for variable in model.weights}
    for name, value in values.items():
        if name not in variables:
            remedy = "build it with its branches" if describe_variable(name).branch else "give the model of the export"
            raise InputError(f"expected a model with the variable {name!r} of {path}, got none; {remedy}")
        shape = tuple(variables[name].shape)
        if shape != value.shape:
            raise InputError(
                f"expected {name!r} of shape {list(value.shape)} as {path} has it, got {list(shape)} in the model; "
                "give the model of the export, with an output for each class of the state"
            )
    if manifest.frozen_sha256 and manifest.frozen_sha256 not in _frozen_digests(variables, values):
        raise InputError(
            f"expected the frozen weights of the network that {tflite} was exported from, got other ones in the model; "
            "give the model of the export, with its weights"
        )
    for name, value in values.items():
        variables[name].assign(value)


def average_states(
    states: Sequence[str | os.PathLike | tuple[str | os.PathLike, str | os.PathLike]],
    tflite: str | os.PathLike,
    output: str | os.PathLike,
    *,
    weights: Sequence[float] | None = None,
) -> None:
    """Averages the states of several devices, variable by variable, and writes the result as a state file for `tflite`.

    The devices may run different exports of the same model, for example float32 on one and int8 on another, or with
    different batch sizes. Variables are matched by name. Optimizer slots are not averaged: they are zero in the result,
    as after a reset.

    Args:
        states: State files saved from `tflite`, or pairs of a state file and the `.tflite` that it was saved from.
        tflite: The `.tflite` that the result is for, with its manifest in the same folder.
        output: The `.tinytl` to write; an existing file is replaced.
        weights: Weight of each state, for example its number of images. By default, all states have the same weight.

    Raises:
        InputError: If there is no state; if a file cannot be read; if a state does not belong to its `.tflite`; if the
            classes, frozen weights or variables differ from those of `tflite`; if a weight is not a finite number of 0
            or more, or all weights are 0; or if the result could not be restored.

    Example:
        >>> average_states(["ann.tinytl", "bob.tinytl"], "m.tflite", "all.tinytl", weights=[80, 20])  # doctest: +SKIP
    """
    if isinstance(states, str | os.PathLike) or not states:
        raise InputError(f"expected a list of state files, got {states!r:.80}; give at least one")
    shares = _shares(weights, len(states))
    target = Manifest.read(tflite)
    manifests = {os.fspath(tflite): target}
    first: dict[str, np.ndarray] = {}
    totals = {entry.name: np.zeros(entry.shape) for entry in target.state if not entry.slot}
    added = None
    for state, share in zip(states, shares, strict=True):
        path, source = state if isinstance(state, tuple) else (state, tflite)
        if os.fspath(source) not in manifests:
            manifests[os.fspath(source)] = Manifest.read(source)
        manifest = manifests[os.fspath(source)]
        if (manifest.labels, manifest.task) != (target.labels, target.task):
            raise InputError(
                f"expected the classes {', '.join(target.labels)} of {tflite} in this order, got "
                f"{', '.join(manifest.labels)} in {source}; average states of the same classes"
            )
        if "" not in (manifest.frozen_sha256, target.frozen_sha256) and manifest.frozen_sha256 != target.frozen_sha256:
            raise InputError(
                f"expected a file of the network of {tflite}, got one with other frozen weights in {source}; average "
                "states of files of one network"
            )
        values, classes = _read(path, manifest)
        added = classes if added is None else added
        if classes != added:
            raise InputError(
                f"expected the added classes {', '.join(added) or '(none)'} of the first state in this order, got "
                f"{', '.join(classes) or '(none)'} in {path}; average states of the same classes"
            )
        shapes = {name: value.shape for name, value in values.items()}
        odd = sorted(set(shapes.items()) ^ {(name, total.shape) for name, total in totals.items()})
        if odd:
            raise InputError(
                f"expected the trained variables of {tflite} in {path}, got a difference at {odd[0][0]!r}; "
                "average states of one model and update scheme"
            )
        for name, value in values.items():
            # Sums are relative to the first state, so that equal values stay the same bit for bit.
            totals[name] += share * (value.astype(np.float64) - first.setdefault(name, value))
    average = np.zeros(target.state_size, np.float32)
    for entry in target.state:
        if not entry.slot:
            total = (first[entry.name] + totals[entry.name]).ravel()
            average[entry.offset : entry.offset + math.prod(entry.shape)] = total
    check_state(average, target, len(added), f"cannot write {output}")
    write_state(output, average, bytes.fromhex(target.sha256), added)


def _frozen_digests(variables: Mapping[str, Any], trained: Collection[str]) -> list[str]:
    """Returns digests of a model's frozen weights: of all, and without branches, which may be newer than the export."""
    frozen = {name: variable.numpy() for name, variable in variables.items() if name not in trained}
    bare = {name: value for name, value in frozen.items() if not describe_variable(name).branch}
    return [frozen_sha256(frozen), frozen_sha256(bare)]


def _read(path: str | os.PathLike, manifest: Manifest) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns the variables, with all outputs of the classifier, and the names of the added classes."""
    saved = read_state(path, bytes.fromhex(manifest.sha256), manifest.state_size)
    if len(saved.added_classes) > manifest.spare_classes:
        raise InputError(
            f"{path} has {len(saved.added_classes)} added classes, expected at most {manifest.spare_classes}, the "
            "spare ones of the model; use another copy"
        )
    values = {
        entry.name: saved.values[entry.offset : entry.offset + math.prod(entry.shape)].reshape(entry.shape)
        for entry in manifest.state
        if not entry.slot
    }
    return values, saved.added_classes


def _used(values: Mapping[str, np.ndarray], added: Sequence[str], manifest: Manifest) -> dict[str, np.ndarray]:
    """Drops the values of classifier outputs that have no class."""
    used = len(manifest.labels) + len(added)
    return {name: value[..., :used] if is_of_classifier(name) else value for name, value in values.items()}


def _shares(weights: Sequence[float] | None, count: int) -> list[float]:
    """Returns weights that add up to 1."""
    weights = [1.0] * count if weights is None else list(weights)
    if len(weights) != count:
        raise InputError(f"expected {count} weights, one for each state, got {len(weights)}")
    bad = [w for w in weights if isinstance(w, bool) or not isinstance(w, numbers.Real) or not 0 <= w < math.inf]
    if bad or not any(weights):
        raise InputError(f"expected finite weights of 0 or more, not all 0, got {weights!r:.80}")
    scaled = [float(weight) / float(max(weights)) for weight in weights]  # the sum of large weights could be infinite
    return [weight / math.fsum(scaled) for weight in scaled]
