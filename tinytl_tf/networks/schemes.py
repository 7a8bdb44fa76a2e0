"""Update schemes: which variables of a network are trained, as ordered tables of patterns.

A scheme is a list of `(regular expression, trained)`. The first expression found in a variable's path decides; a
variable that no row covers is an error. The tables work on paths alone and know no framework.
"""

import dataclasses
import math
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from tinytl_tf.errors import InputError

__all__ = ["SCHEMES", "ResolvedScheme", "Scheme", "apply_scheme", "get_scheme", "place_of", "restrict", "trained_by"]


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A named table of what is trained.

    Attributes:
        name: the name on the command line.
        rows: `(regular expression, trained)`, the first that is found in a path decides.
        lite_residual: whether the network needs lite residual branches.
    """

    name: str
    rows: tuple[tuple[str, bool], ...]
    lite_residual: bool = False

    @property
    def biases(self) -> bool:
        """Whether it trains biases that can be kept to some places."""
        return _BIASES in self.rows

    @property
    def can_restrict(self) -> bool:
        """Whether all that it trains beside the classifier can be kept to some places, see `restrict`."""
        return self.biases or self.lite_residual or self.rows == (_HEAD, _REST)


_HEAD = (r"^classifier/", True)
# What no optimizer may touch, wherever it is: statistics, and the seed of dropout among `model.variables`.
_STATE = (r"/(moving_mean|moving_variance|seed_generator_state)$", False)
_BIASES = (r"/beta$", True)
_REST = (r"", False)

SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("last", (_HEAD, _REST)),
        Scheme("norm+last", (_HEAD, _STATE, (r"/(gamma|beta)$", True), _REST)),
        Scheme("full", (_STATE, (r"", True))),
        Scheme("tinytl-b", (_HEAD, _BIASES, _REST)),
        Scheme("tinytl-l", (_HEAD, (r"_lite_residual/", True), _REST), lite_residual=True),
        Scheme(
            "tinytl-lb",
            (
                _HEAD,
                # It would repeat the last beta of the block: both are added to the same tensor.
                (r"_lite_residual/final_norm/beta$", False),
                (r"_lite_residual/", True),
                _BIASES,
                _REST,
            ),
            lite_residual=True,
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class ResolvedScheme:
    """What a scheme came to on one network.

    Attributes:
        scheme: the scheme.
        rows: for each row of the scheme `(regular expression, trained, variables, parameters)`.
        variables: the variables that are trained, in the order of the network.
    """

    scheme: Scheme
    rows: tuple[tuple[str, bool, int, int], ...]
    variables: tuple[Any, ...]

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(math.prod(variable.shape) for variable in self.variables)

    def __str__(self) -> str:
        """The table that a command prints once: pattern, trained or frozen, variables, parameters, float32 bytes."""
        lines = [f"scheme {self.scheme.name}: {self.parameters:,} trained parameters"]
        for pattern, trained, variables, parameters in self.rows:
            state = "train" if trained else "freeze"
            name = pattern or "(everything else)"
            counts = f"{variables:4d} variables {parameters:10,d} parameters {4 * parameters:11,d} B"
            lines.append(f"  {name:40s} {state:6s} {counts}")
        return "\n".join(lines)


def get_scheme(name: str) -> Scheme:
    """Returns the scheme called `name`.

    Raises:
        InputError: if there is none.
    """
    if name not in SCHEMES:
        raise InputError(f"unknown scheme {name!r}; choose one of {', '.join(SCHEMES)}")
    return SCHEMES[name]


def restrict(scheme: Scheme, *, biases: Collection[str] = (), lite_residuals: Collection[str] = ()) -> Scheme:
    """Returns a scheme that trains biases and lite residual branches at some places only.

    Args:
        scheme: the scheme.
        biases: places whose biases it trains: `"stem"`, `"block_<number>"`, `"head"`; none for all of its places.
        lite_residuals: blocks whose branches it trains; none for all.

    Returns:
        The scheme with rows at its head that freeze the other places.

    Raises:
        InputError: if the scheme trains no biases or no branches that could be chosen from.

    Example:
    >>> restrict(get_scheme("tinytl-b"), biases=["block_16", "head"]).rows[0]
    ('^(?!(block_16|head)[_/]).*/beta$', False)
    """
    rows = []
    if biases:
        if not scheme.biases:
            raise InputError(f"scheme {scheme.name} trains no biases to choose from; leave biases empty, got {biases}")
        # Those of branches are a matter of `lite_residuals`, where the scheme has them.
        others = r"(?!.*_lite_residual/)" if scheme.lite_residual else ""
        rows.append((rf"^(?!({'|'.join(biases)})[_/]){others}.*/beta$", False))
    if lite_residuals:
        if not scheme.lite_residual:
            raise InputError(
                f"scheme {scheme.name} trains no lite residuals to choose from; leave lite_residuals empty, got "
                f"{lite_residuals}"
            )
        rows.append((rf"^(?!({'|'.join(lite_residuals)})_).*_lite_residual/", False))
    return dataclasses.replace(scheme, rows=(*rows, *scheme.rows))


def apply_scheme(variables: Iterable[Any], scheme: Scheme) -> ResolvedScheme:
    """Sets `trainable` of each variable as the scheme says.

    Args:
        variables: objects with `path`, `shape` and a settable `trainable`, for example `model.weights`.
        scheme: the scheme.

    Returns:
        The resolved table and the list of trained variables.

    Raises:
        InputError: if a variable is covered by no row, or the scheme trains branches and the network has none.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=64, width=0.35, weights=None)
        >>> print(apply_scheme(model.weights, get_scheme("last")))
        scheme last: 12,810 trained parameters...
    """
    variables = list(variables)
    decided = [_first_match(scheme.rows, variable.path) for variable in variables]
    if scheme.lite_residual and not any("_lite_residual/" in variable.path for variable in variables):
        raise InputError(
            f"scheme {scheme.name} trains lite residual branches and this network has none; "
            "build it with lite_residual=True"
        )
    if not any(re.search(_HEAD[0], variable.path) for variable in variables):
        raise InputError(
            "expected a network with a layer called 'classifier', which every scheme trains, got none; "
            "give the last layer that name"
        )
    for variable, index in zip(variables, decided, strict=True):
        variable.trainable = scheme.rows[index][1]
    rows = []
    for index, (pattern, trained) in enumerate(scheme.rows):
        covered = [variable for variable, row in zip(variables, decided, strict=True) if row == index]
        rows.append((pattern, trained, len(covered), sum(math.prod(variable.shape) for variable in covered)))
    trained = tuple(variable for variable in variables if variable.trainable)
    return ResolvedScheme(scheme, tuple(rows), trained)


def trained_by(scheme: Scheme, paths: Iterable[str]) -> set[str]:
    """Returns those of the paths of a network's variables that a scheme trains.

    Raises:
        InputError: if a path is covered by no row.

    Example:
        >>> trained_by(get_scheme("tinytl-b"), ["head/norm/beta", "head/kernel"])
        {'head/norm/beta'}
    """
    return {path for path in paths if scheme.rows[_first_match(scheme.rows, path)][1]}


def place_of(path: str) -> str:
    """Returns the name of the place of a variable or layer, as `Layout.places` has it; `"classifier"` for that.

    Example:
        >>> place_of("block_3_expand/norm/beta"), place_of("head_activation")
        ('block_3', 'head')
    """
    layer = path.partition("/")[0]
    return "_".join(layer.split("_")[:2]) if layer.startswith("block_") else layer.partition("_")[0]


def _first_match(rows: Sequence[tuple[str, bool]], path: str) -> int:
    for index, (pattern, _) in enumerate(rows):
        if re.search(pattern, path):
            return index
    raise InputError(f"no row of the scheme covers variable {path!r}; end the table with a row for everything else")
