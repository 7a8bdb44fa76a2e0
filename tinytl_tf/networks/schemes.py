"""Update schemes: which variables of a network are trained, and how fast, as ordered tables of patterns.

A scheme is a list of `(regular expression, rate factor)`. The first expression found in a variable's path decides; a
variable that no row covers is an error. The factor is of the learning rate: 0 freezes, 1 is the rate itself. The tables
work on paths alone and know no framework.
"""

import dataclasses
import math
import numbers
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from tinytl_tf.errors import InputError
from tinytl_tf.optimizers import get_optimizer

__all__ = [
    "SCHEMES",
    "ResolvedScheme",
    "Scheme",
    "apply_scheme",
    "default_learning_rate",
    "get_scheme",
    "place_of",
    "rate_factor",
    "restrict",
    "trained_by",
    "useful_rate_factors",
    "with_rate_factors",
]

LEARNING_RATE = 1e-3  # of what no scheme names
_MOST_FACTOR = sys.float_info.max

_EXAMPLE = '(("_lite_residual/", 0.1),)'


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A named table of what is trained.

    Attributes:
        name: the name on the command line.
        rows: `(regular expression, rate factor)`, the first that is found in a path decides: 0.0 freezes, 1.0 trains at
            the learning rate.
        lite_residual: whether the network needs lite residual branches.
        learning_rate: of the first step with Adam where nobody gives one, see `default_learning_rate`.
        rate_factors: rows of a user, by which the factor of what `rows` train is multiplied, see `with_rate_factors`.
    """

    name: str
    rows: tuple[tuple[str, float], ...]
    lite_residual: bool = False
    learning_rate: float = LEARNING_RATE
    rate_factors: tuple[tuple[str, float], ...] = ()

    @property
    def biases(self) -> bool:
        """Whether it trains biases that can be kept to some places."""
        return _BIASES in self.rows

    @property
    def can_restrict(self) -> bool:
        """Whether all that it trains beside the classifier can be kept to some places, see `restrict`."""
        return self.biases or self.lite_residual or self.rows == (_HEAD, _REST)


_HEAD = (r"^classifier/", 1.0)
# What no optimizer may touch, wherever it is: statistics, and the seed of dropout among `model.variables`.
_STATE = (r"/(moving_mean|moving_variance|seed_generator_state)$", 0.0)
_BIASES = (r"/beta$", 1.0)
_REST = (r"", 0.0)

SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("last", (_HEAD, _REST), learning_rate=1e-3),
        Scheme("norm+last", (_HEAD, _STATE, (r"/(gamma|beta)$", 1.0), _REST), learning_rate=1e-3),
        # At 1e-3 it stays at chance: RESULTS.md, flowers.
        Scheme("full", (_STATE, (r"", 1.0)), learning_rate=1e-4),
        Scheme("tinytl-b", (_HEAD, _BIASES, _REST), learning_rate=1e-3),
        Scheme("tinytl-l", (_HEAD, (r"_lite_residual/", 1.0), _REST), lite_residual=True, learning_rate=1e-3),
        Scheme(
            "tinytl-lb",
            (
                _HEAD,
                # It would repeat the last beta of the block: both are added to the same tensor.
                (r"_lite_residual/final_norm/beta$", 0.0),
                (r"_lite_residual/", 1.0),
                _BIASES,
                _REST,
            ),
            lite_residual=True,
            learning_rate=1e-3,
        ),
    )
}


_STATES = {0.0: "freeze", 1.0: "train"}


@dataclasses.dataclass(frozen=True)
class ResolvedScheme:
    """What a scheme came to on one network.

    Attributes:
        scheme: the scheme.
        rows: for each row of the scheme, in parts where a rate factor of the user covers a part of it,
            `(regular expression, rate factor, variables, parameters)`.
        variables: the variables that are trained, in the order of the network.
    """

    scheme: Scheme
    rows: tuple[tuple[str, float, int, int], ...]
    variables: tuple[Any, ...]

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(math.prod(variable.shape) for variable in self.variables)

    def __str__(self) -> str:
        """The table that a command prints once: pattern, rate factor, variables, parameters, float32 bytes."""
        lines = [f"scheme {self.scheme.name}: {self.parameters:,} trained parameters"]
        for pattern, factor, variables, parameters in self.rows:
            state = _STATES.get(factor, f"x{factor:g}")
            name = pattern or "(everything else)"
            counts = f"{variables:4d} variables {parameters:10,d} parameters {4 * parameters:11,d} B"
            lines.append(f"  {name:40s} {state:6s} {counts}")
        return "\n".join(lines)


def default_learning_rate(scheme: str, optimizer: str) -> float:
    """Returns the learning rate of the first step where nobody gives one.

    Args:
        scheme: name of a scheme; one that is not in `SCHEMES` has the rate of most of them.
        optimizer: a key of `tinytl_tf.optimizers.OPTIMIZERS`.

    Raises:
        InputError: if there is no such optimizer.

    Example:
        >>> default_learning_rate("tinytl-lb", "adam"), default_learning_rate("full", "sgd")
        (0.001, 0.001)
    """
    rate = SCHEMES[scheme].learning_rate if scheme in SCHEMES else LEARNING_RATE
    return rate * get_optimizer(optimizer).rate_factor


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
    ('^(?!(block_16|head)[_/]).*/beta$', 0.0)
    """
    rows = []
    if biases:
        if not scheme.biases:
            raise InputError(f"scheme {scheme.name} trains no biases to choose from; leave biases empty, got {biases}")
        # Those of branches are a matter of `lite_residuals`, where the scheme has them.
        others = r"(?!.*_lite_residual/)" if scheme.lite_residual else ""
        rows.append((rf"^(?!({'|'.join(biases)})[_/]){others}.*/beta$", 0.0))
    if lite_residuals:
        if not scheme.lite_residual:
            raise InputError(
                f"scheme {scheme.name} trains no lite residuals to choose from; leave lite_residuals empty, got "
                f"{lite_residuals}"
            )
        rows.append((rf"^(?!({'|'.join(lite_residuals)})_).*_lite_residual/", 0.0))
    return dataclasses.replace(scheme, rows=(*rows, *scheme.rows))


def with_rate_factors(scheme: Scheme, rate_factors: Iterable[tuple[str, float]]) -> Scheme:
    """Returns a scheme some of whose variables learn at a multiple of the learning rate.

    Args:
        scheme: the scheme.
        rate_factors: `(regular expression, factor)`. Of what the scheme trains, each variable takes the factor of the
            first expression that is found in its path: 0.1 is a tenth of the rate, 0 freezes. What the scheme
            freezes stays frozen.

    Raises:
        InputError: if a factor is no finite number of 0 or more, or an expression is none.

    Example:
        >>> slow = with_rate_factors(get_scheme("tinytl-lb"), [("_lite_residual/", 0.1)])
        >>> slow.rate_factors
        (('_lite_residual/', 0.1),)
    """
    given = rate_factors
    if not isinstance(given, tuple | list) or not all(isinstance(row, tuple | list) and len(row) == 2 for row in given):
        raise InputError(
            f"expected rate_factors as pairs of a regular expression and a factor, {_EXAMPLE} for example, got "
            f"{given!r}"
        )
    for pattern, factor in given:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise InputError(
                f"expected a regular expression in rate_factors, got {pattern!r} ({error}); give a part of the path of "
                f"a variable, as in {_EXAMPLE}"
            ) from error
        if isinstance(factor, bool) or not isinstance(factor, numbers.Real) or not 0 <= factor <= _MOST_FACTOR:
            raise InputError(
                f"expected a finite factor of 0 or more in rate_factors, got {factor!r:.80} for {pattern!r}; 0.1 is a "
                "tenth of the rate"
            )
    return dataclasses.replace(scheme, rate_factors=tuple((pattern, float(factor)) for pattern, factor in given))


def useful_rate_factors(scheme: Scheme, paths: Iterable[str]) -> tuple[tuple[str, float], ...]:
    """Returns those of a scheme's `rate_factors` that decide about a variable which the scheme's rows train.

    Args:
        scheme: the scheme.
        paths: those of the network's variables.

    Raises:
        InputError: if a path is covered by no row.

    Example:
        >>> slow = with_rate_factors(get_scheme("tinytl-b"), [("_lite_residual/", 0.1), ("^head/", 2)])
        >>> useful_rate_factors(slow, ["head/norm/beta", "classifier/kernel"])
        (('^head/', 2.0),)
    """
    found = {_decide(scheme, path)[1] for path in paths}
    return tuple(row for index, row in enumerate(scheme.rate_factors) if index in found)


def rate_factor(variable: Any) -> float:
    """Returns the factor of the learning rate at which a variable is trained, as `apply_scheme` has set it; 1.0 if not.

    Example:
        >>> from tinytl_tf.memory.leaf_ops import Parameter
        >>> kernel = Parameter("classifier/kernel", (8, 4))
        >>> slow = with_rate_factors(get_scheme("last"), [("kernel$", 0.5)])
        >>> _ = apply_scheme([kernel], slow)
        >>> rate_factor(kernel)
        0.5
    """
    return getattr(variable, "rate_factor", 1.0)


def apply_scheme(variables: Iterable[Any], scheme: Scheme) -> ResolvedScheme:
    """Sets `trainable` and `rate_factor` of each variable as the scheme says.

    `make_train_step` and exported files follow the factors. `model.fit` knows one rate for all, and Keras does not keep
    them in a model that is saved or cloned: apply the scheme to it again.

    Args:
        variables: objects with `path`, `shape` and a settable `trainable`, for example `model.weights`.
        scheme: the scheme.

    Returns:
        The resolved table and the list of trained variables.

    Raises:
        InputError: if a variable is covered by no row, the scheme trains branches and the network has none, or one of
            its `rate_factors` is of nothing that it trains.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=64, width=0.35, weights=None)
        >>> print(apply_scheme(model.weights, get_scheme("last")))
        scheme last: 12,810 trained parameters...
    """
    variables = list(variables)
    decided = [_decide(scheme, variable.path) for variable in variables]
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
    useful = useful_rate_factors(scheme, (variable.path for variable in variables))
    for pattern, factor in scheme.rate_factors:
        if (pattern, factor) not in useful:
            raise InputError(
                f"expected rate_factors of what scheme {scheme.name} trains, got {pattern!r}, which is found first in "
                "the path of no such variable; leave it out, or look up the paths in model.weights"
            )
    groups: dict[tuple[int, int | None], list[Any]] = {}
    for variable, place in zip(variables, decided, strict=True):
        variable.rate_factor = _factor(scheme, place)
        variable.trainable = variable.rate_factor > 0
        groups.setdefault(place, []).append(variable)
    for index in set(range(len(scheme.rows))).difference(row for row, _ in groups):
        groups[index, None] = []
    rows = [
        (_name(scheme, place), _factor(scheme, place), len(group), sum(math.prod(v.shape) for v in group))
        for place, group in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] is None, item[0][1]))
    ]
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
    return {path for path in paths if _factor(scheme, _decide(scheme, path)) > 0}


def place_of(path: str) -> str:
    """Returns the name of the place of a variable or layer, as `Layout.places` has it; `"classifier"` for that.

    Example:
        >>> place_of("block_3_expand/norm/beta"), place_of("head_activation")
        ('block_3', 'head')
    """
    layer = path.partition("/")[0]
    return "_".join(layer.split("_")[:2]) if layer.startswith("block_") else layer.partition("_")[0]


def _decide(scheme: Scheme, path: str) -> tuple[int, int | None]:
    """Which row of a scheme covers a path, and which of its rate factors: None of what is frozen, and where none is."""
    row = _first_match(scheme.rows, path)
    if row is None:
        raise InputError(f"no row of the scheme covers variable {path!r}; end the table with a row for everything else")
    return row, _first_match(scheme.rate_factors, path) if scheme.rows[row][1] > 0 else None


def _first_match(rows: Sequence[tuple[str, float]], path: str) -> int | None:
    return next((index for index, (pattern, _) in enumerate(rows) if re.search(pattern, path)), None)


def _factor(scheme: Scheme, place: tuple[int, int | None]) -> float:
    row, own = place
    return scheme.rows[row][1] * (1.0 if own is None else scheme.rate_factors[own][1])


def _name(scheme: Scheme, place: tuple[int, int | None]) -> str:
    """The pattern of a row, or of the part of it that a rate factor covers."""
    row, own = scheme.rows[place[0]][0], None if place[1] is None else scheme.rate_factors[place[1]][0]
    return row if own in (None, row) else f"{own} of {row}" if row else own
