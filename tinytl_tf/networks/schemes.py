"""Update schemes: ordered tables that define which variables of a network are trained, and how fast.

A scheme is a list of rows. Each row selects variables and gives them a rate factor. The first row that selects a
variable applies; a variable that no row selects is an error. The rate factor multiplies the learning rate: 0 freezes a
variable, and 1 trains it at the learning rate itself. A `Selector` selects variables by role and place, so the tables
fit any described network. Your own rows can use a regular expression for variable paths instead. Does not use
TensorFlow or Keras.
"""

import dataclasses
import math
import numbers
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from tinytl_tf.errors import InputError
from tinytl_tf.networks.branches import BRANCHES, LITE_RESIDUAL, LORA, BranchChoice
from tinytl_tf.networks.late import LATE, late_places
from tinytl_tf.networks.spec import CLASSIFIER, HEAD, NetworkSpec, VariableSpec
from tinytl_tf.networks.variables import variable_spec
from tinytl_tf.networks.wide_kernels import wide_kernel, wide_kernel_places
from tinytl_tf.optimizers import get_optimizer

__all__ = [
    "SCHEMES",
    "ResolvedScheme",
    "Scheme",
    "Selector",
    "apply_scheme",
    "default_learning_rate",
    "get_scheme",
    "rate_factor",
    "require_branches",
    "restrict",
    "trained_by",
    "useful_rate_factors",
    "with_rate_factors",
]

LEARNING_RATE = 1e-3  # default learning rate of schemes
_MOST_FACTOR = sys.float_info.max

_EXAMPLE = '(("_lite_residual/", 0.1),)'


@dataclasses.dataclass(frozen=True)
class Selector:
    """Selects variables by role, place and branch; each field that is not empty narrows the selection.

    Attributes:
        name: name of the selection in the printed table.
        roles: roles of the variables; see `VariableSpec`.
        places: names of their places.
        but_places: names of excluded places.
        branch: kind of branch that the variables belong to; `False` for the network itself, `None` for any.
        late: only late places; see `late_places`. Depends on the network; see `Scheme.of`.
        wide_kernels: only the kernel of each place that `wide_kernel` names. Depends on the network, too.
        paths: paths of the variables; `None` for any.
    """

    name: str
    roles: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    but_places: tuple[str, ...] = ()
    branch: str | bool | None = None
    late: bool = False
    wide_kernels: bool = False
    paths: frozenset[str] | None = None

    @property
    def depends_on_network(self) -> bool:
        """Whether the selection depends on the structure of the network."""
        return self.late or self.wide_kernels

    def of(self, spec: NetworkSpec) -> "Selector":
        """Returns the selector with places and paths of a network in place of `late` and `wide_kernels`."""
        if not self.depends_on_network:
            return self
        but_places, paths = self.but_places, self.paths
        if self.late:
            but_places = (*but_places, *(place for place in spec.places if place not in late_places(spec)))
        if self.wide_kernels:
            wide = frozenset(wide_kernel(spec, place).path for place in wide_kernel_places(spec))
            paths = wide if paths is None else paths & wide
        return dataclasses.replace(self, but_places=but_places, paths=paths, late=False, wide_kernels=False)

    def selects(self, variable: VariableSpec) -> bool:
        """Returns whether a variable is selected.

        Raises:
            InputError: if the selection depends on the network.
        """
        if self.depends_on_network:
            raise InputError(
                f"expected selectors for a given network, got {self.name!r}, whose variables depend on the network's "
                "structure; call scheme.of(describe(model)) first, or tinytl_tf.apply_scheme(model, scheme)"
            )
        return (
            (self.paths is None or variable.path in self.paths)
            and (not self.roles or variable.role in self.roles)
            and (not self.places or variable.place in self.places)
            and variable.place not in self.but_places
            and (self.branch is None or variable.branch == (self.branch or ""))
        )


Row = tuple[Selector | str, float]


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A named table that selects the trained variables.

    Attributes:
        name: name of the scheme on the command line.
        rows: `(selector or regular expression, rate factor)` pairs. The first row whose selector selects a variable, or
            whose expression is found in its path, applies: 0.0 freezes it, 1.0 trains it at the learning rate.
        branch: kind of branches that the network needs, a key of `branches.BRANCHES`; "" for none.
        branch_choice: places and settings of these branches as (name, value) pairs; see `branches.BranchChoice`.
        learning_rate: default learning rate of the first step with Adam; see `default_learning_rate`.
        rate_factors: the user's rows, which multiply the factors of trained variables; see `with_rate_factors`.
    """

    name: str
    rows: tuple[Row, ...]
    branch: str = ""
    branch_choice: tuple[tuple[str, object], ...] = ()
    learning_rate: float = LEARNING_RATE
    rate_factors: tuple[tuple[str, float], ...] = ()

    @property
    def biases(self) -> bool:
        """Whether it trains biases that can be restricted to some places."""
        return _BIASES in self.rows or _LATE_BIASES in self.rows

    @property
    def kernels(self) -> bool:
        """Whether it trains kernels that can be restricted to some places."""
        return _LATE_KERNELS in self.rows

    @property
    def depends_on_network(self) -> bool:
        """Whether its selection depends on the structure of the network; see `of`."""
        return any(isinstance(what, Selector) and what.depends_on_network for what, _ in self.rows)

    def of(self, spec: NetworkSpec) -> "Scheme":
        """Returns the scheme with the places and paths of a network in its rows.

        Example:
            >>> from tinytl_tf.networks.from_table import from_table
            >>> scheme = get_scheme("sparse-update").of(from_table("mobilenet_v2", resolution=96, classes=10))
            >>> "block_9" in scheme.rows[1][0].but_places, "block_10" in scheme.rows[1][0].but_places
            (True, False)
        """
        rows = tuple((what if isinstance(what, str) else what.of(spec), factor) for what, factor in self.rows)
        return dataclasses.replace(self, rows=rows)

    @property
    def branches(self) -> dict[str, BranchChoice]:
        """Arguments that make `build` add the scheme's branches: `build(..., **scheme.branches)`."""
        return {self.branch: dict(self.branch_choice) or True} if self.branch else {}

    @property
    def lite_residual(self) -> bool:
        """Whether the network needs lite residual branches."""
        return self.branch == LITE_RESIDUAL

    @property
    def can_restrict(self) -> bool:
        """Whether everything that it trains except the classifier can be restricted to some places; see `restrict`."""
        return self.biases or self.kernels or bool(self.branch) or self.rows == (_HEAD, _REST)


_SHIFTS = ("bias", "shift", "repeated")
_HEAD = (Selector("the classifier", places=(CLASSIFIER,)), 1.0)
_STATE = (Selector("statistics", roles=("statistic",)), 0.0)
_BIASES = (Selector("biases", roles=_SHIFTS, but_places=(CLASSIFIER,)), 1.0)
_LATE_BIASES = (dataclasses.replace(_BIASES[0], late=True), 1.0)
_KERNELS = (Selector("wide kernels", roles=("kernel",), wide_kernels=True), 1.0)
_LATE_KERNELS = (dataclasses.replace(_KERNELS[0], late=True, but_places=(HEAD, CLASSIFIER)), 1.0)
_NORMS = (Selector("norms", roles=("scale", "shift", "repeated")), 1.0)
_BRANCHES = (Selector("lite residuals", branch=LITE_RESIDUAL), 1.0)
_REPEATED = (Selector("their last shifts", roles=("repeated",), branch=LITE_RESIDUAL), 0.0)
_LORA = (Selector("LoRA branches", branch=LORA), 1.0)
_LATE_LORA = (dataclasses.replace(_LORA[0], late=True), 1.0)
_WIDE_AND_LATE = (("places", LATE), ("wide", True), ("rank", 16))
_LATE_BRANCHES = (dataclasses.replace(_BRANCHES[0], late=True), 1.0)
_ANYWHERE = {_LATE_LORA: _LORA, _LATE_BRANCHES: _BRANCHES}  # rows for places that a user chooses
_REST = (Selector("everything else"), 0.0)

SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("last", (_HEAD, _REST), learning_rate=1e-3),
        Scheme("norm+last", (_HEAD, _NORMS, _REST), learning_rate=1e-3),
        # At 1e-3, accuracy stays at chance; see RESULTS.md, flowers.
        Scheme("full", (_STATE, (Selector("everything else"), 1.0)), learning_rate=1e-4),
        Scheme("tinytl-b", (_HEAD, _BIASES, _REST), learning_rate=1e-3),
        Scheme("tinytl-l", (_HEAD, _BRANCHES, _REST), branch=LITE_RESIDUAL, learning_rate=1e-3),
        Scheme("tinytl-lb", (_HEAD, _REPEATED, _BRANCHES, _BIASES, _REST), branch=LITE_RESIDUAL, learning_rate=1e-3),
        Scheme("sparse-update", (_HEAD, _LATE_KERNELS, _LATE_BIASES, _REST), learning_rate=3e-4),
        Scheme(
            "sparse-update-l",
            (_HEAD, _REPEATED, _LATE_KERNELS, _LATE_BRANCHES, _LATE_BIASES, _REST),
            branch=LITE_RESIDUAL,
            branch_choice=(("places", LATE),),
            learning_rate=3e-4,
        ),
        Scheme("sparse-lora", (_HEAD, _LATE_LORA, _LATE_BIASES, _REST), branch=LORA, branch_choice=_WIDE_AND_LATE),
        Scheme("lora", (_HEAD, _LORA, _REST), branch=LORA, learning_rate=1e-3),
        Scheme("lora-b", (_HEAD, _LORA, _BIASES, _REST), branch=LORA, learning_rate=1e-3),
    )
}


_STATES = {0.0: "freeze", 1.0: "train"}


@dataclasses.dataclass(frozen=True)
class ResolvedScheme:
    """A scheme applied to a network.

    Attributes:
        scheme: the scheme.
        rows: `(name, rate factor, number of variables, number of parameters)` for each row of the scheme; a row is
            split if a rate factor of the user applies to only some of its variables.
        variables: trained variables, in the order of the network.
    """

    scheme: Scheme
    rows: tuple[tuple[str, float, int, int], ...]
    variables: tuple[Any, ...]

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return sum(math.prod(variable.shape) for variable in self.variables)

    def __str__(self) -> str:
        """Table that commands print: name, rate factor, number of variables, number of parameters, float32 bytes."""
        lines = [f"scheme {self.scheme.name}: {self.parameters:,} trained parameters"]
        for name, factor, variables, parameters in self.rows:
            state = _STATES.get(factor, f"x{factor:g}")
            counts = f"{variables:4d} variables {parameters:10,d} parameters {4 * parameters:11,d} B"
            lines.append(f"  {name:40s} {state:6s} {counts}")
        return "\n".join(lines)


def default_learning_rate(scheme: str, optimizer: str) -> float:
    """Returns the default learning rate of the first step.

    Args:
        scheme: name of a scheme; a name that is not in `SCHEMES` gets the rate that most schemes have.
        optimizer: a key of `tinytl_tf.optimizers.OPTIMIZERS`.

    Raises:
        InputError: if the optimizer does not exist.

    Example:
        >>> default_learning_rate("tinytl-lb", "adam"), default_learning_rate("full", "sgd")
        (0.001, 0.001)
    """
    rate = SCHEMES[scheme].learning_rate if scheme in SCHEMES else LEARNING_RATE
    return rate * get_optimizer(optimizer).rate_factor


def get_scheme(name: str) -> Scheme:
    """Returns the scheme named `name`.

    Raises:
        InputError: if the name is unknown.
    """
    if name not in SCHEMES:
        raise InputError(f"unknown scheme {name!r}; choose one of {', '.join(SCHEMES)}")
    return SCHEMES[name]


def restrict(
    scheme: Scheme,
    *,
    biases: Collection[str] = (),
    kernels: Collection[str] = (),
    branches: Collection[str] = (),
    lite_residuals: Collection[str] = (),
) -> Scheme:
    """Returns a scheme that trains biases, kernels and branches at chosen places only.

    Args:
        scheme: scheme to restrict.
        biases: places (see `NetworkSpec.places`) at which biases are trained; empty for the scheme's own places.
        kernels: places whose wide kernel (see `wide_kernel`) is trained; empty for the scheme's own places.
        branches: places at which the scheme's kind of branch is trained; empty for all places.
        lite_residuals: same as `branches`, for a scheme that trains lite residuals.

    Returns:
        The scheme, with rows added at the top that freeze all other places.

    Raises:
        InputError: if places are given for biases, kernels or branches that the scheme does not train; or if both
            `branches` and `lite_residuals` are given.

    Example:
        >>> restrict(get_scheme("tinytl-b"), biases=["block_16", "head"]).rows[0][0].but_places
        ('block_16', 'head', 'classifier')
    """
    rows, own = [], scheme.rows
    if branches and lite_residuals:
        raise InputError(
            f"expected branches or lite_residuals, which name the same places, got {branches} and {lite_residuals}; "
            "leave one of them empty"
        )
    if biases:
        if not scheme.biases:
            raise InputError(f"scheme {scheme.name} trains no biases to choose from; leave biases empty, got {biases}")
        # If the scheme trains branches, `branches` restricts their biases as well.
        branch = False if scheme.branch else None
        rows.append((Selector("biases elsewhere", _SHIFTS, but_places=(*biases, CLASSIFIER), branch=branch), 0.0))
        own = tuple(_BIASES if row == _LATE_BIASES else row for row in own)
    if kernels:
        if not scheme.kernels:
            raise InputError(
                f"scheme {scheme.name} trains no kernels to choose from; leave kernels empty, got {kernels}"
            )
        chosen = (dataclasses.replace(_KERNELS[0], places=tuple(kernels)), 1.0)
        own = tuple(chosen if row == _LATE_KERNELS else row for row in own)
    for key, places, what in (
        ("branches", branches, scheme.branch),
        ("lite_residuals", lite_residuals, scheme.lite_residual),
    ):
        if not places:
            continue
        if not what:
            name = key.replace("_", " ")
            raise InputError(f"scheme {scheme.name} trains no {name} to choose from; leave {key} empty, got {places}")
        elsewhere = f"{BRANCHES[scheme.branch].title} elsewhere"
        rows.append((Selector(elsewhere, but_places=tuple(places), branch=scheme.branch), 0.0))
        own = tuple(_ANYWHERE.get(row, row) for row in own)
    return dataclasses.replace(scheme, rows=(*rows, *own))


def with_rate_factors(scheme: Scheme, rate_factors: Iterable[tuple[str, float]]) -> Scheme:
    """Returns a scheme that trains some variables at a multiple of the learning rate.

    Args:
        scheme: scheme to change.
        rate_factors: `(regular expression, factor)` pairs. Each variable that the scheme trains gets the factor of the
            first expression found in its path: 0.1 is a tenth of the learning rate, and 0 freezes the variable. Frozen
            variables stay frozen.

    Raises:
        InputError: if `rate_factors` is not a sequence of pairs; if a factor is not a finite number of 0 or more; or if
            an expression is not a valid regular expression.

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


def useful_rate_factors(scheme: Scheme, variables: Iterable[VariableSpec]) -> tuple[tuple[str, float], ...]:
    """Returns those `rate_factors` of a scheme that apply to at least one variable trained by the scheme's rows.

    Args:
        scheme: the scheme.
        variables: variables of the network.

    Raises:
        InputError: if no row of the scheme selects one of the variables.

    Example:
        >>> from tinytl_tf.networks.variables import describe_variable
        >>> slow = with_rate_factors(get_scheme("tinytl-b"), [("_lite_residual/", 0.1), ("^head/", 2)])
        >>> useful_rate_factors(slow, map(describe_variable, ["head/norm/beta", "classifier/kernel"]))
        (('^head/', 2.0),)
    """
    found = {_decide(scheme, variable)[1] for variable in variables}
    return tuple(row for index, row in enumerate(scheme.rate_factors) if index in found)


def rate_factor(variable: Any) -> float:
    """Returns the learning-rate factor that `apply_scheme` set for a variable, or 1.0 if it was not set.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mcunet_5fps", classes=2, resolution=64, weights=None)
        >>> slow = with_rate_factors(get_scheme("last"), [("kernel$", 0.5)])
        >>> _ = apply_scheme(model.weights, slow)
        >>> rate_factor(model.get_layer("classifier").kernel)
        0.5
    """
    return getattr(variable, "rate_factor", 1.0)


def apply_scheme(variables: Iterable[Any], scheme: Scheme) -> ResolvedScheme:
    """Sets `trainable` and `rate_factor` of each variable according to the scheme.

    `make_train_step` and exported files use the factors; `model.fit` uses one learning rate for all variables. Keras
    does not save or clone the factors with a model, so apply the scheme again to a loaded or cloned model.

    Args:
        variables: objects with `path`, `shape` and a settable `trainable`, for example `model.weights`.
        scheme: the scheme.

    Returns:
        The resolved scheme: a table that can be printed, and the trained variables.

    Raises:
        InputError: if no row of the scheme selects one of the variables; if the scheme trains branches and the network
            has no branches of that kind; if the network has no layer called `"classifier"`; or if one of the scheme's
            `rate_factors` applies to no trained variable.

    Example:
        >>> from tinytl_tf.backbones import build
        >>> model = build("mobilenet_v2", classes=10, resolution=64, width=0.35, weights=None)
        >>> print(apply_scheme(model.weights, get_scheme("last")))
        scheme last: 12,810 trained parameters...
    """
    variables = list(variables)
    described = [variable_spec(variable) for variable in variables]
    decided = [_decide(scheme, variable) for variable in described]
    require_branches(scheme, described)
    if not any(variable.place == CLASSIFIER for variable in described):
        raise InputError(
            f"expected a network with a layer called {CLASSIFIER!r}, which every scheme trains, got none; "
            "give the last layer that name"
        )
    useful = useful_rate_factors(scheme, described)
    for pattern, factor in scheme.rate_factors:
        if (pattern, factor) not in useful:
            raise InputError(
                f"expected rate_factors of variables that scheme {scheme.name} trains, got {pattern!r}, "
                "which is found first in the path of no such variable; leave it out, or look up the paths in "
                "model.weights"
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


def require_branches(scheme: Scheme, variables: Iterable[VariableSpec]) -> None:
    """Raises `InputError` if a scheme trains branches and the network has no branches of that kind."""
    if scheme.branch and not any(variable.branch == scheme.branch for variable in variables):
        kind = scheme.branch.replace("_", " ")
        raise InputError(
            f"scheme {scheme.name} trains {kind} branches and this network has none; build it with {scheme.branch}=True"
        )


def trained_by(scheme: Scheme, variables: Iterable[VariableSpec]) -> set[str]:
    """Returns the paths of those variables of a network that a scheme trains.

    Raises:
        InputError: if no row of the scheme selects one of the variables.

    Example:
        >>> from tinytl_tf.networks.variables import describe_variable
        >>> trained_by(get_scheme("tinytl-b"), map(describe_variable, ["head/norm/beta", "head/kernel"]))
        {'head/norm/beta'}
    """
    return {variable.path for variable in variables if _factor(scheme, _decide(scheme, variable)) > 0}


def _decide(scheme: Scheme, variable: VariableSpec) -> tuple[int, int | None]:
    """Returns the indices of the row and the rate factor that apply to a variable.

    The index of the rate factor is None if the row freezes the variable or no rate factor applies.
    """
    row = _first_match(scheme.rows, variable)
    if row is None:
        raise InputError(
            f"no row of the scheme covers variable {variable.path!r}; end the table with a row for everything else"
        )
    return row, _first_match(scheme.rate_factors, variable) if scheme.rows[row][1] > 0 else None


def _first_match(rows: Sequence[Row], variable: VariableSpec) -> int | None:
    return next((index for index, (what, _) in enumerate(rows) if _selects(what, variable)), None)


def _selects(what: Selector | str, variable: VariableSpec) -> bool:
    return bool(re.search(what, variable.path)) if isinstance(what, str) else what.selects(variable)


def _factor(scheme: Scheme, place: tuple[int, int | None]) -> float:
    row, own = place
    return scheme.rows[row][1] * (1.0 if own is None else scheme.rate_factors[own][1])


def _name(scheme: Scheme, place: tuple[int, int | None]) -> str:
    """Returns the name of a row, or of the part of it that a rate factor applies to."""
    what, own = scheme.rows[place[0]][0], None if place[1] is None else scheme.rate_factors[place[1]][0]
    row = what.name if isinstance(what, Selector) else what or "everything else"
    return row if own in (None, row) else f"{own} of {row}"
