"""How an exported file stores its trained variables."""

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
    """Returns trained variables in the order of a file's state: vectors first, then kernels."""
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
        The variables in the order of `state_order`. If slots are saved, the slots follow in the order in which the file
        stores them (all vectors together, then each kernel, with one slot after another), and then the step count.
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
    """Trained variables as stored in a file: biases and scales are joined into vectors, kernels are separate.

    In LiteRT, every variable needs operators in each signature, to find, read, add up, check, update and save it. A
    network has up to a hundred vectors of a few numbers each, so joining them saves many operators.

    Args:
        variables: the Keras variables to train.
        vector_bytes: maximum size of a joined vector; `None` for one vector with all biases and scales.

    Attributes:
        start: the stored float32 arrays. Concatenated in this order, they are the state.
        rate_factors: factor of the learning rate for each stored array: a number, or a float32 array of the same shape
            if its variables have different factors.
        vectors: number of joined vectors; they are the first of the stored arrays.

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
        """Returns pairs of a Keras variable and its value, for `keras.StatelessScope`.

        Args:
            values: tensors with the shapes of `start`.
        """
        pairs = []
        for group, value in zip(self._groups, values, strict=False):
            pairs += zip(group, _split(value, [math.prod(variable.shape) for variable in group]), strict=True)
        return pairs + list(zip(self._kernels, values[self.vectors :], strict=True))


def _grouped(vectors: Sequence[keras.Variable], most: int | None) -> list[list[keras.Variable]]:
    """Groups adjacent vectors, up to a size of `most` bytes."""
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
    """Returns one number if all factors are equal, so that the file stores a vector of factors only when needed."""
    factors = [rate_factor(variable) for variable in group]
    if len(set(factors)) == 1:
        return factors[0]
    return np.repeat(np.float32(factors), [math.prod(variable.shape) for variable in group])


def _split(vector: tf.Tensor, sizes: Sequence[int]) -> list[tf.Tensor]:
    """Splits a vector into slices, with one concatenation as the gradient. TensorFlow would add up padded slices."""
    starts = np.cumsum([0, *sizes[:-1]])

    @tf.custom_gradient
    def op(vector):
        slices = [tf.slice(vector, [start], [size]) for start, size in zip(starts, sizes, strict=True)]
        return slices, lambda *gradients: tf.concat(gradients, 0)

    return op(vector)
