"""Chooses a plan for a budget: estimates needs, converts a few files, and measures whether they fit."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from ml_collections import ConfigDict

from tinytl_tf.errors import InputError
from tinytl_tf.experiment import network_of
from tinytl_tf.networks import schemes
from tinytl_tf.networks.branches import branch_places, with_branches
from tinytl_tf.planning.account import Account, Needs, Parts, total
from tinytl_tf.planning.costs import Costs
from tinytl_tf.planning.plan import BIASES, KERNELS, KINDS, LITE_RESIDUALS, Plan, Target, all_targets, complete
from tinytl_tf.planning.probe import Probe
from tinytl_tf.training import Experiment

__all__ = ["NothingFits", "Outcome", "Planner", "Trial"]

_KINDS_OF_PLANS = (KINDS, (BIASES, LITE_RESIDUALS))  # of equal losses, the first one is chosen
TRIALS = 4  # most conversions at a resolution, unless no plan has fitted yet


class NothingFits(InputError):
    """Not even the smallest plan is within the budget."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A plan with its converted file.

    Attributes:
        plan: the plan.
        resolved: resolved scheme of the plan.
        parts: planned needs of its file; see `Account.plan`.
        measured: measured needs of its file; see `Account.measure`.
    """

    plan: Plan
    resolved: schemes.ResolvedScheme
    parts: Parts
    measured: Needs

    @property
    def planned(self) -> Needs:
        """Sum of the parts of each resource."""
        return total(self.parts)

    @property
    def needs(self) -> Needs:
        """Planned or measured bytes of each resource, whichever is larger."""
        return {name: max(size, self.measured.get(name, 0)) for name, size in self.planned.items()}

    def fits(self, budget: Needs) -> bool:
        """Returns whether the needs are within a budget for every resource."""
        return all(size <= budget[name] for name, size in self.needs.items())


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The chosen plan, and how it was chosen.

    Attributes:
        config: configuration that trains the plan.
        trial: the plan with its needs.
        trials: all plans tried by the search, in order.
        losses: by resolution, the loss on held-out images with only the classifier fitted, and the loss after a short
            training of the better one of two estimated plans; see `Planner`.
        contributions: contribution of each target at the chosen resolution: loss per unit of the learning rate; see
            `Probe`.
        costs: for each target, the amount of each resource by which the estimate would change if the target were added
            to the plan or, if the plan has it, removed.
    """

    config: ConfigDict
    trial: Trial
    trials: tuple[Trial, ...]
    losses: Mapping[int, tuple[float, float]]
    contributions: Mapping[Target, float]
    costs: Mapping[Target, Mapping[str, float]]

    @property
    def loss(self) -> float:
        """The loss on held-out images after a short training at the chosen resolution."""
        return self.losses[self.trial.plan.resolution][1]


class Planner:
    """Finds the best plan within a budget.

    The account defines the resources of the budget: `GrowthAccount` for a process with LiteRT, `MicroAccount` for a
    microcontroller.

    Targets are added to a plan by contribution per byte; see `Probe` and `Costs`. For each resolution, two estimated
    plans are trained briefly, with and without kernels: kernels take a lower learning rate, at which biases learn less.
    The search starts with the one that has the lowest loss on held-out images. That plan is converted and
    measured, and the error of the estimate corrects the next estimate, until the budget is used up. If nothing fits,
    the search continues with the next resolution.

    Args:
        config: configuration with the backbone, weights and data; its scheme and places are ignored.
        account: creates the files and computes their needs.
        resolutions: heights and widths of images to choose from, in pixels.
        say: prints a progress message.

    Example:
    >>> outcome = Planner(config, GrowthAccount(), resolutions=[96, 128]).find({"growth": 16_000_000})  # doctest: +SKIP
    >>> outcome.trial.measured  # doctest: +SKIP
    {'growth': 15724544}
    """

    def __init__(
        self,
        config: ConfigDict,
        account: Account,
        *,
        resolutions: Sequence[int],
        say: Callable[[str], None] = print,
    ) -> None:
        self._config = config
        self._account = account
        spec = network_of(config)
        self._spec = with_branches(spec, branch_places(spec))
        self._targets = all_targets(spec)
        self._resolutions = sorted(set(resolutions))
        self._say = say
        # Refuses an invalid config, even if a plan would replace the invalid fields.
        self._check_rate_factors(Experiment(config).scheme().rate_factors)
        everything = Experiment(Plan(self._resolutions[0], frozenset(self._targets)).configure(config))
        model, _ = everything.build_model(classes=2)
        say(everything.describe_branches(model).rstrip())
        splits = everything.load_data()
        say(splits.describe())
        self._train = splits.train
        self._drafts: dict[Plan, tuple[bytes, schemes.ResolvedScheme, Parts]] = {}
        self._trials: dict[Plan, Trial] = {}
        self._probes: dict[int, Probe] = {}
        self._kinds: dict[int, tuple[str, ...]] = {}  # by resolution, the kinds of targets with the lowest loss

    def find(self, budget: Needs) -> Outcome:
        """Returns the best plan within a budget.

        Args:
            budget: bytes of each resource of the account.

        Raises:
            NothingFits: if not even the classifier fits at the smallest resolution; the message says by how much.
        """
        smallest = self._try(Plan(self._resolutions[0], frozenset()))
        if not smallest.fits(budget):
            excess = self._account.excess_text(smallest.planned, smallest.measured, budget)
            raise NothingFits(
                f"nothing fits into {self._account.budget_text(budget)}: the smallest plan, "
                f"{_describe(smallest.plan)}, {excess}; raise the budget or try smaller resolutions"
            )
        costs = self._estimate_costs()
        possible = [r for r in self._resolutions if _is_within(costs.needs(r, ()), budget)]
        losses = {resolution: self._judge(resolution, costs, budget) for resolution in possible}
        trials: list[Trial] = []
        for resolution in sorted(possible, key=lambda resolution: losses[resolution][1]):
            best = self._search(resolution, costs, budget, trials)
            if best is not None:
                break
        plan = best.plan
        now = costs.needs(plan.resolution, plan.targets)
        others = {
            target: costs.needs(
                plan.resolution,
                plan.targets - {target} if target in plan.targets else complete(plan.targets | {target}),
            )
            for target in self._targets
        }
        return Outcome(
            config=plan.configure(self._config),
            trial=best,
            trials=tuple(trials),
            losses=losses,
            contributions=self._probes[plan.resolution].contributions,
            costs={
                target: {name: abs(size - now[name]) for name, size in other.items()}
                for target, other in others.items()
            },
        )

    def _check_rate_factors(self, given: Sequence[tuple[str, float]]) -> None:
        """Refuses rate factors that no plan would use; each plan uses only those of its targets."""
        everything = Plan(self._resolutions[0], frozenset(self._targets)).configure(self._config)
        unused = [pattern for pattern, factor in given if (pattern, factor) not in everything.training.rate_factors]
        if unused:
            raise InputError(
                f"expected rate_factors of variables that a plan may train, got {unused[0]!r}, which is found "
                "first in the path of no such variable; leave it out"
            )

    def _estimate_costs(self) -> Costs:
        """Converts the four files for `Costs` at the smallest and the largest resolution."""
        kinds = ((), (BIASES,), (BIASES, LITE_RESIDUALS), (BIASES, KERNELS))
        steps = [frozenset(target for target in self._targets if target.kind in own) for own in kinds]
        anchors = {self._resolutions[0], self._resolutions[-1]}
        return Costs(self._spec, {r: tuple(self._draft(Plan(r, step))[2] for step in steps) for r in sorted(anchors)})

    def _judge(self, resolution: int, costs: Costs, budget: Needs) -> tuple[float, float]:
        """Returns the held-out loss with only the classifier fitted, and after training an affordable plan briefly."""
        if resolution not in self._probes:
            self._probes[resolution] = Probe(self._config, self._train, resolution)
        probe, plans = self._probes[resolution], {}
        for kinds in _KINDS_OF_PLANS:
            plans.setdefault(fill(resolution, _only(kinds, probe.contributions), costs, budget), kinds)
        losses = {kinds: probe.loss_after_training(targets) for targets, kinds in plans.items()}
        self._kinds[resolution] = min(losses, key=losses.get)
        after = losses[self._kinds[resolution]]
        self._say(
            f"{resolution} px: loss on held-out images {probe.loss:.4f}, after a short training of a plan {after:.4f}"
        )
        return probe.loss, after

    def _search(self, resolution: int, costs: Costs, budget: Needs, trials: list[Trial]) -> Trial | None:
        """Returns the best plan that fits at a resolution, or None; appends all plans that it tries to `trials`."""
        contributions = _only(self._kinds[resolution], self._probes[resolution].contributions)
        best, worth, seen, limits = None, (), set(), dict(budget)
        enough: dict[str, float] | None = None  # limits of the last plan that fitted
        too_much: dict[str, float] | None = None  # and of the last one that did not
        while best is None or len(seen) < TRIALS:
            targets = fill(resolution, contributions, costs, limits)
            if targets in seen and enough and too_much:  # the corrections go back and forth: look between the two
                limits = {name: (enough[name] + too_much[name]) / 2 for name in limits}
                targets = fill(resolution, contributions, costs, limits)
            if targets in seen:
                break
            seen.add(targets)
            trial = self._try(Plan(resolution, targets))
            trials.append(trial)
            its_worth = (sum(contributions[target] for target in targets), len(targets))
            fits = trial.fits(budget)
            enough, too_much = (limits, too_much) if fits else (enough, limits)
            if fits and its_worth >= worth:
                best, worth = trial, its_worth
            estimate = costs.needs(resolution, targets)
            corrected = {name: budget[name] - (size - estimate[name]) for name, size in trial.needs.items()}
            # A correction for one resource must not undo that for another, which would lead to the same plan again.
            limits = corrected if fits else {name: min(limits[name], size) for name, size in corrected.items()}
        return best

    def _try(self, plan: Plan) -> Trial:
        """Converts and measures a plan, at most once per plan."""
        if plan not in self._trials:
            content, resolved, parts = self._draft(plan)
            self._trials[plan] = Trial(plan, resolved, parts, self._account.measure(content))
            if self._trials[plan].measured:
                self._say(f"  measured {self._account.needs_text(self._trials[plan].measured)}: {_describe(plan)}")
        return self._trials[plan]

    def _draft(self, plan: Plan) -> tuple[bytes, schemes.ResolvedScheme, Parts]:
        """Creates the file that `tinytl export` would write, without its checks, at most once per plan."""
        if plan not in self._drafts:
            experiment = Experiment(plan.configure(self._config))
            model, resolved = experiment.build_model(len(self._train.class_names))
            content = self._account.build(model, self._train)
            parts = self._account.plan(content)
            self._drafts[plan] = (content, resolved, parts)
            self._say(f"  planned {self._account.needs_text(total(parts))}: {_describe(plan)}")
        return self._drafts[plan]


def _only(kinds: Sequence[str], contributions: Mapping[Target, float]) -> dict[Target, float]:
    return {target: value for target, value in contributions.items() if target.kind in kinds}


def fill(
    resolution: int, contributions: Mapping[Target, float], costs: Costs, limits: Mapping[str, float]
) -> frozenset[Target]:
    """Selects targets greedily by contribution per byte until no remaining target fits within the limits.

    A kernel comes with the biases of its place, and a larger share of a kernel replaces a smaller one; see `complete`.
    If there are several resources, the bytes of each are divided by its limit and then summed.

    Args:
        resolution: height and width of the images, in pixels.
        contributions: contribution of each target.
        costs: estimates the needs of a plan.
        limits: limits for the estimated bytes of each resource.

    Returns:
        The selected targets.
    """
    chosen, now = frozenset(), costs.needs(resolution, ())
    while True:
        steps = dict.fromkeys(complete(chosen | {target}) for target in contributions)
        needs = {step: costs.needs(resolution, step) for step in steps if step != chosen}
        worth = {
            step: sum(contributions[target] for target in step - chosen)
            - sum(contributions[target] for target in chosen - step)
            for step in needs
        }
        fitting = [step for step, own in needs.items() if _is_within(own, limits)]
        if not fitting:
            return chosen
        chosen = max(fitting, key=lambda step: worth[step] / _share(needs[step], now, limits))
        now = needs[chosen]


def _share(needs: Mapping[str, float], now: Mapping[str, float], limits: Mapping[str, float]) -> float:
    """Returns the sum over resources of the bytes above `now`, at least 1, divided by the resource's limit."""
    return sum(max(size - now[name], 1) / limits[name] for name, size in needs.items())


def _is_within(needs: Mapping[str, float], limits: Mapping[str, float]) -> bool:
    return all(size <= limits[name] for name, size in needs.items())


def _describe(plan: Plan) -> str:
    biases, branches, kernels = (len(plan.places(kind)) for kind in KINDS)
    return (
        f"{plan.scheme} at {plan.resolution} px, biases at {biases}, lite residuals at {branches} and kernels at "
        f"{kernels} places"
    )
