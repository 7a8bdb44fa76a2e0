"""Checks whether a state can be restored: one rule for models, files and averages."""

import math

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.networks.spec import is_of_classifier
from tinytl_tf.optimizers import NOT_NEGATIVE
from tinytl_tf.tasks import UNUSED
from tinytl_tf.tflite.manifest import Manifest

__all__ = ["check_finite", "check_state", "classifier_parts"]

_LARGEST = 1e15  # limit for the sum of all magnitudes; the signature `restore` refuses more


def check_finite(state: np.ndarray, what: str) -> None:
    """Refuses a state with values that are not finite, which would ruin a model.

    Args:
        state: float32 `[N]`.
        what: Beginning of the error message, for example "cannot set the state".

    Raises:
        InputError: If a value is not finite.
    """
    bad = np.flatnonzero(~np.isfinite(state))
    if bad.size:
        raise InputError(
            f"{what}: expected finite values, got {state[bad[0]]} at index {bad[0]} ({bad.size} in all); "
            "reset the model and train with a lower learning rate"
        )


def check_state(state: np.ndarray, manifest: Manifest, added: int, what: str) -> None:
    """Refuses a state that the signature `restore` would refuse, or that training of the file cannot have produced.

    Args:
        state: float32 `[N]`.
        manifest: Manifest of the file.
        added: Number of classes that were added on the device.
        what: Beginning of the error message, for example "cannot set the state".

    Raises:
        InputError: If a value is not finite; if a value that cannot be negative is negative; if the magnitudes add up
            to 1e15 or more; or if the outputs in use differ from the outputs with names.
    """
    check_finite(state, what)
    total = float(np.abs(state.astype(np.float64)).sum())
    if total >= _LARGEST:
        raise InputError(
            f"{what}: expected magnitudes that add up to less than {_LARGEST:g}, got {total:g}; use another copy, or "
            "reset the model and train with a lower learning rate"
        )
    for entry in manifest.state:
        values = state[entry.offset : entry.offset + math.prod(entry.shape)]
        if entry.slot in NOT_NEGATIVE and values.size and values.min() < 0:
            raise InputError(
                f"{what}: expected {entry.slot} of {entry.name} of 0 or more, got {values.min()}; use another copy"
            )
    if manifest.spare_classes:
        _check_outputs(state, manifest, added, what)


def classifier_parts(state: np.ndarray, manifest: Manifest) -> list[tuple[str, np.ndarray]]:
    """Returns views of the classifier's kernel and bias in a state, with their names; the last axis is the outputs."""
    return [
        (entry.name, state[entry.offset : entry.offset + math.prod(entry.shape)].reshape(entry.shape))
        for entry in manifest.state
        if is_of_classifier(entry.name) and not entry.slot
    ]


def _check_outputs(state: np.ndarray, manifest: Manifest, added: int, what: str) -> None:
    """Refuses a state in which an output without a name is in use, or vice versa."""
    bias = next(weights for name, weights in classifier_parts(state, manifest) if name.endswith("/bias"))
    used, expected = int(np.sum(bias > UNUSED / 2)), len(manifest.labels) + added
    if used != expected or (bias[expected:] != UNUSED).any():
        raise InputError(
            f"{what}: expected {expected} outputs in use, got {used}; restore it from its file, which has the names of "
            "the added classes"
        )
