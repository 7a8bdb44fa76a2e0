"""Values of whole kernels, for networks in which some kernels are stored as two variables."""

from collections.abc import Iterable, Iterator, Mapping

import keras
import numpy as np

from tinytl_tf.networks.kernel_options import KERNEL_REST

__all__ = ["pair_values", "whole_values"]

_KERNEL = "kernel"


def pair_values(
    variables: Mapping[str, keras.Variable], path: str, value: np.ndarray
) -> Iterator[tuple[keras.Variable, np.ndarray]]:
    """Yields the variables that store a value, each with its part of the value.

    That is the variable with this path; for a kernel of which a share is trained, the variables of its first output
    channels and of the rest.

    Args:
        variables: variables of a network, by path.
        path: path of the variable, or of the kernel.
        value: the value; its shape is not checked.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=2, resolution=64, weights=None, kernels=["block_14:1/4"])
        >>> variables = {variable.path: variable for variable in model.weights}
        >>> value = np.zeros([1, 1, 160, 960])
        >>> [part.shape for _, part in pair_values(variables, "block_14_expand/kernel", value)]
        [(1, 1, 160, 240), (1, 1, 160, 720)]
    """
    variable, rest = variables[path], variables.get(_rest_of(path))
    if rest is None:
        yield variable, value
        return
    first = variable.shape[-1]
    yield variable, value[..., :first]
    yield rest, value[..., first:]


def whole_values(variables: Iterable[keras.Variable]) -> dict[str, np.ndarray]:
    """Returns the values of a network's variables by path, with whole kernels."""
    values = {variable.path: variable.numpy() for variable in variables}
    for path in list(values):
        rest = values.pop(_rest_of(path), None)
        if rest is not None:
            values[path] = np.concatenate([values[path], rest], -1)
    return values


def _rest_of(path: str) -> str:
    layer, _, own = path.rpartition("/")
    return f"{layer}/{KERNEL_REST}" if own == _KERNEL else ""
