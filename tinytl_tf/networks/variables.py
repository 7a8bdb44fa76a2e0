"""Describes a variable by its path: its role, its place and its branch."""

from collections.abc import Sequence
from typing import Any

from tinytl_tf.networks.branches import BRANCHES
from tinytl_tf.networks.spec import VariableSpec, place_of

__all__ = ["branch_of", "describe_variable", "variable_spec"]

_ROLES = {
    "bias": "bias",
    "gamma": "scale",
    "beta": "shift",
    "moving_mean": "statistic",
    "moving_variance": "statistic",
    "seed_generator_state": "statistic",
}


def describe_variable(path: str, shape: Sequence[int] = ()) -> VariableSpec:
    """Returns the description of a variable in a network that this package built.

    Args:
        path: path of the variable; if the last part is not a known name, the variable is a kernel.
        shape: shape of the variable.

    Example:
        >>> describe_variable("block_3_expand/norm/beta").role, describe_variable("head/kernel").place
        ('shift', 'head')
    """
    layer, _, own = path.partition("/")
    branch = branch_of(layer)
    role = _ROLES.get(path.rpartition("/")[2], "kernel")
    if branch and own in BRANCHES[branch].repeated:
        role = "repeated"
    return VariableSpec(path, tuple(shape), role, place_of(layer), branch)


def branch_of(layer: str) -> str:
    """Returns the kind of branch that a layer is, by its name; "" if it is not a branch.

    Example:
        >>> branch_of("block_3_lite_residual"), branch_of("block_3_expand")
        ('lite_residual', '')
    """
    return next((kind for kind in BRANCHES if layer.endswith(f"_{kind}")), "")


def variable_spec(variable: Any) -> VariableSpec:
    """Returns the description of an object with `path` and `shape`, such as a `keras.Variable`."""
    return describe_variable(variable.path, variable.shape)
