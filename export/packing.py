"""How an exported file stores the variables that it trains."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf.networks.schemes import rate_factor
from tinytl_tf.optimizers import STEP, Optimizer
from tinytl_tf.tflite.manifest import StateEntry

__all__ = ["PackedVariables", "state_entries", "state_order"]


_ELEMENT = 4  # bytes


def state_order(variables: Sequence[keras.Variable]) -> list[keras.Variable]:
    """Returns trained variables in the order in which the state of a file holds them: vectors first, then kernels."""
    return sorted(variables, key=lambda variable: len(variable.shape) > 1)


def state_entries(
    variables: Sequence[keras.Variable], optimizer: Optimizer, save_optimizer: bool
) -> tuple[StateEntry, ...]:
    """Lists the parts of the state of an exported file, in order.

    Args:
        variables: The trained variables of the file.
        optimizer: Optimizer of the file.
        save_optimizer: Whether the slots are part of the state.

    Returns:
        The variables in the order of `state_order`; then, if they are saved, the slots as the file stores them: all
        vectors together, each kernel separately, one slot after the other; last the count of steps.
    """
    ordered = state_order(variables)
    parts = [(variable.path, tuple(variable.shape), "") for variable in ordered]
    if save_optimizer and optimizer.slots:
        vectors = [variable for variable in ordered if len(variable.shape) <= 1]
        groups = [vectors, *([variable] for variable in ordered[len(vectors) :])]
        parts += [
            (variable.path, tuple(variable.shape), slot)
            for group in groups
            for slot in optimizer.slots
            for variable in group
        ]
        parts.append((STEP, (1,), STEP))
    offsets = np.cumsum([0, *(math.prod(shape) for _, shape, _ in parts)])
    return tuple(
        StateEntry(name, shape, int(offset), slot)
        for (name, shape, slot), offset in zip(parts, offsets[:-1], strict=True)
    )


class PackedVariables:
    """Trained variables as a file stores them: all biases and scales in one vector, each kernel separately.

    In LiteRT every variable takes operators in each signature: to find, read, sum up, check, update and save it. A
    network has up to a hundred vectors of a few numbers.

    Args:
        variables: the Keras variables to train.
        vector_bytes: largest vector of several biases and scales; `None` for a single one of all.

    Attributes:
        start: the stored arrays of float32; together, in this order, they are the state.
        rate_factors: factor of the learning rate for each of them: a number, or float32 of its shape where the
            variables in it have several.
        vectors: how many of them, the first ones, are vectors.

    Example:
    >>> packed = PackedVariables(model.trainable_variables)  # doctest: +SKIP
    >>> stored = [tf.Variable(value) for value in packed.start]  # doctest: +SKIP
    >>> with keras.StatelessScope(packed.mapping([variable.read_value() for variable in stored])):  # doctest: +SKIP
    ...     logits = model(images)
    """

    def __init__(self, variables: Sequence[keras.Variable], vector_bytes: int | None = None) -> None:
        ordered = state_order(variables)
        self._kernels = [variable for variable in ordered if len(variable.shape) > 1]
        self._groups = _grouped(ordered[: len(ordered) - len(self._kernels)], vector_bytes)
        self.vectors = len(self._groups)
        vectors = [np.concatenate([variable.numpy() for variable in group]) for group in self._groups]
        self.start = vectors + [variable.numpy() for variable in self._kernels]
        self.rate_factors = [_factor_of(group) for group in self._groups]
        self.rate_factors += [rate_factor(variable) for variable in self._kernels]

    def mapping(self, values: Sequence[tf.Tensor]) -> list[tuple[keras.Variable, tf.Tensor]]:
        """Returns the Keras variables with their values, for `keras.StatelessScope`.

        Args:
            values: tensors of the shapes of `start`.
        """
        pairs = []
        for group, value in zip(self._groups, values, strict=False):
            pairs += zip(group, _split(value, [math.prod(variable.shape) for variable in group]), strict=True)
        return pairs + list(zip(self._kernels, values[self.vectors :], strict=True))


def _grouped(vectors: Sequence[keras.Variable], most: int | None) -> list[list[keras.Variable]]:
    """Neighbors together, up to so many bytes."""
    groups: list[list[keras.Variable]] = []
    size = 0
    for vector in vectors:
        own = _ELEMENT * math.prod(vector.shape)
        if not groups or (most is not None and size + own > most):
            groups.append([])
            size = 0
        groups[-1].append(vector)
        size += own
    return groups


def _factor_of(group: Sequence[keras.Variable]) -> float | np.ndarray:
    """One number where all have the same: a constant of the vector's size is only stored where it is needed."""
    factors = [rate_factor(variable) for variable in group]
    if len(set(factors)) == 1:
        return factors[0]
    return np.repeat(np.float32(factors), [math.prod(variable.shape) for variable in group])


def _split(vector: tf.Tensor, sizes: Sequence[int]) -> list[tf.Tensor]:
    """Cuts a vector into slices; their gradient is one concatenation, where TensorFlow's is a sum of padded slices."""
    starts = np.cumsum([0, *sizes[:-1]])

    @tf.custom_gradient
    def op(vector):
        slices = [tf.slice(vector, [start], [size]) for start, size in zip(starts, sizes, strict=True)]
        return slices, lambda *gradients: tf.concat(gradients, 0)

    return op(vector)
