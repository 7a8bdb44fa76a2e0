"""Chooses a plan for a budget: estimates, converts few files, and checks the promise by measuring."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from ml_collections import ConfigDict

from tinytl_tf.errors import InputError
from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.files import atomic_write_bytes, temporary_folder
from tinytl_tf.memory import PlannedGrowth, measure, planned_growth
from tinytl_tf.networks import schemes
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.planning.costs import Costs
from tinytl_tf.planning.plan import BIASES, Plan, Target, all_targets, layout_of
from tinytl_tf.planning.probe import Probe
from tinytl_tf.profiles import get_profile
from tinytl_tf.tflite.model import Model
from tinytl_tf.training import Experiment

__all__ = ["PROFILE", "Outcome", "Planner", "Trial"]

PROFILE = "min-memory"
TRIALS = 4  # conversions at a resolution once one has fitted
MEASUREMENTS = 3  # of a file; they differ by up to 0.3 MB, and the largest counts


@dataclasses.dataclass(frozen=True)
class Trial:
    """A plan whose file was converted.

    Attributes:
        plan: the plan.
        resolved: the table of what it trains.
        planned: growth of a process without a delegate and with `THREADS` threads, from the file.
        measured_bytes: the same growth, measured in several processes; the largest.
    """

    plan: Plan
    resolved: schemes.ResolvedScheme
    planned: PlannedGrowth
    measured_bytes: int

    @property
    def growth_bytes(self) -> int:
        """The larger of the two."""
        return max(self.planned.growth_bytes, self.measured_bytes)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The plan that was chosen, and how.

    Attributes:
        config: the configuration that trains it.
        trial: the plan with its planned and measured growth.
        trials: all that were measured while choosing it, in this order.
        losses: by resolution, the loss on held-out images with the classifier fitted, and after some steps of
            the best plan there.
        contributions: of each target at the chosen resolution; loss per unit of the learning rate, see `Probe`.
        costs: by how many bytes the estimated growth would change if the plan had the target, or had it not.
    """

    config: ConfigDict
    trial: Trial
    trials: tuple[Trial, ...]
    losses: Mapping[int, tuple[float, float]]
    contributions: Mapping[Target, float]
    costs: Mapping[Target, float]


class Planner:
    """Finds what can be trained within a budget of memory.

    The budget is for the growth of a process that loads the exported file and trains, without a delegate and with
    `THREADS` threads (`tinytl_tf.tflite.runtime`): file, runtime, variables and arena. The file has the
    profile `min-memory`.

    A plan is filled by contribution per byte, see `Probe` and `Costs`. The most promising resolution is the one
    with the least loss on held-out images after some steps of its plan. Its plan is converted and measured; what the
    estimate missed corrects the next one, until the budget is used. Where nothing fits, the next resolution follows.

    Args:
        config: backbone, weights and data; its scheme and places do not matter.
        resolutions: heights and widths of images to choose from, in pixels.
        optimizer: the device's.
        batch_size: images of a step on the device.
        frozen_weights: `"float32"` or `"int8"`.
        say: gets a line of progress.

    Example:
    >>> outcome = Planner(config, resolutions=[96, 128]).find(budget_bytes=16_000_000)  # doctest: +SKIP
    >>> outcome.trial.measured_bytes  # doctest: +SKIP
    15724544
    """

    def __init__(
        self,
        config: ConfigDict,
        *,
        resolutions: Sequence[int],
        optimizer: str = "sgd",
        batch_size: int = 8,
        frozen_weights: str = "int8",
        say: Callable[[str], None] = print,
    ) -> None:
        self._config = config
        self._layout = layout_of(config)
        self._targets = all_targets(self._layout)
        self._resolutions = sorted(set(resolutions))
        self._rule = get_optimizer(optimizer)
        self._batch_size = batch_size
        self._frozen_weights = frozen_weights
        self._say = say
        everything = Experiment(Plan(self._resolutions[0], frozenset(self._targets)).configure(config))
        model, _ = everything.build_model(classes=2)
        say(everything.describe_branches(model).rstrip())
        splits = everything.load_data()
        say(splits.describe())
        self._train = splits.train
        self._drafts: dict[Plan, tuple[bytes, schemes.ResolvedScheme, PlannedGrowth]] = {}
        self._trials: dict[Plan, Trial] = {}
        self._probes: dict[int, Probe] = {}

    def find(self, budget_bytes: int) -> Outcome:
        """Returns the plan for a budget.

        Raises:
            InputError: if not even the classifier alone fits at the smallest resolution; the message says by how much.
        """
        smallest = self._try(Plan(self._resolutions[0], frozenset()))
        if smallest.growth_bytes > budget_bytes:
            planned, measured = smallest.planned.growth_bytes / 1e6, smallest.measured_bytes / 1e6
            missing = (smallest.growth_bytes - budget_bytes) / 1e6
            raise InputError(
                f"nothing fits into {budget_bytes / 1e6:g} MB: the smallest plan, {_describe(smallest.plan)}, lets the "
                f"process grow by {planned:.2f} MB (planned) or {measured:.2f} MB (measured), {missing:.2f} MB too "
                "much; raise the budget or try smaller resolutions"
            )
        costs = self._estimate_costs()
        possible = [r for r in self._resolutions if costs.growth_bytes(r, ()) <= budget_bytes]
        losses = {resolution: self._judge(resolution, costs, budget_bytes) for resolution in possible}
        trials: list[Trial] = []
        for resolution in sorted(possible, key=lambda resolution: losses[resolution][1]):
            best = self._search(resolution, costs, budget_bytes, trials)
            if best is not None:
                break
        plan = best.plan
        now = costs.growth_bytes(plan.resolution, plan.targets)
        changes = {t: costs.growth_bytes(plan.resolution, plan.targets ^ {t}) - now for t in self._targets}
        return Outcome(
            config=plan.configure(self._config),
            trial=best,
            trials=tuple(trials),
            losses=losses,
            contributions=self._probes[plan.resolution].contributions,
            costs={target: abs(change) for target, change in changes.items()},
        )

    def _estimate_costs(self) -> Costs:
        """Converts the three files of `Costs` at the smallest and the largest resolution."""
        biases = [target for target in self._targets if target.kind == BIASES]
        steps = [frozenset(targets) for targets in ((), biases, self._targets)]
        anchors = {self._resolutions[0], self._resolutions[-1]}
        return Costs(self._layout, {r: tuple(self._draft(Plan(r, step))[2] for step in steps) for r in sorted(anchors)})

    def _judge(self, resolution: int, costs: Costs, budget_bytes: int) -> tuple[float, float]:
        """Loss on held-out images with the classifier fitted, and after some steps of what the budget may train."""
        if resolution not in self._probes:
            self._probes[resolution] = Probe(self._config, self._train, resolution)
        probe = self._probes[resolution]
        after = probe.loss_after_training(fill(resolution, probe.contributions, costs, budget_bytes))
        self._say(f"{resolution} px: loss on held-out images {probe.loss:.4f}, after some steps of a plan {after:.4f}")
        return probe.loss, after

    def _search(self, resolution: int, costs: Costs, budget_bytes: int, trials: list[Trial]) -> Trial | None:
        """Returns the best plan at a resolution that fits; adds what it tried to `trials`."""
        contributions = self._probes[resolution].contributions
        best, worth, seen, limit = None, (), set(), budget_bytes
        while best is None or len(seen) < TRIALS:
            targets = fill(resolution, contributions, costs, limit)
            if targets in seen:
                break
            seen.add(targets)
            trial = self._try(Plan(resolution, targets))
            trials.append(trial)
            its_worth = (sum(max(contributions[target], 0) for target in targets), len(targets))
            if trial.growth_bytes <= budget_bytes and its_worth >= worth:
                best, worth = trial, its_worth
            limit = budget_bytes - (trial.growth_bytes - costs.growth_bytes(resolution, targets))
        return best

    def _try(self, plan: Plan) -> Trial:
        """Converts and measures a plan, once."""
        if plan not in self._trials:
            content, resolved, planned = self._draft(plan)
            self._trials[plan] = Trial(plan, resolved, planned, _measure(content))
            self._say(f"  measured {self._trials[plan].measured_bytes / 1e6:.2f} MB: {_describe(plan)}")
        return self._trials[plan]

    def _draft(self, plan: Plan) -> tuple[bytes, schemes.ResolvedScheme, PlannedGrowth]:
        """Makes the file that `tinytl export` would write, before its checks, once for a plan."""
        if plan not in self._drafts:
            experiment = Experiment(plan.configure(self._config))
            model, resolved = experiment.build_model(len(self._train.class_names))
            module = TrainableModule(
                model,
                model.trainable_variables,
                optimizer=self._rule,
                batch_size=self._batch_size,
                task=self._train.task,
                profile=get_profile(PROFILE),
            )
            content, _ = build_file(module)
            if self._frozen_weights == "int8":
                content = with_int8_kernels(content)
            planned = planned_growth(Model.from_bytes(content), file_bytes=len(content))
            self._drafts[plan] = (content, resolved, planned)
            self._say(f"  planned {planned.growth_bytes / 1e6:.2f} MB: {_describe(plan)}")
        return self._drafts[plan]


def fill(resolution: int, contributions: Mapping[Target, float], costs: Costs, limit_bytes: float) -> frozenset[Target]:
    """Takes one target after the other, that of the most contribution per byte first, as long as one fits.

    Args:
        resolution: height and width of the images, in pixels.
        contributions: of each target; negative ones count as none.
        costs: estimates the growth.
        limit_bytes: what the estimate may be.
    """
    chosen, now = frozenset(), costs.growth_bytes(resolution, ())
    while True:
        sizes = {t: costs.growth_bytes(resolution, chosen | {t}) for t in contributions if t not in chosen}
        fitting = [target for target, size in sizes.items() if size <= limit_bytes]
        if not fitting:
            return chosen
        best = max(fitting, key=lambda target: max(contributions[target], 0) / max(sizes[target] - now, 1))
        chosen, now = chosen | {best}, sizes[best]


def _measure(content: bytes) -> int:
    with temporary_folder() as folder:
        path = folder / "plan.tflite"
        atomic_write_bytes(path, content)
        return max(measure(path, steps=1, xnnpack=False).growth_bytes for _ in range(MEASUREMENTS))


def _describe(plan: Plan) -> str:
    kinds = [target.kind for target in plan.targets]
    biases = kinds.count(BIASES)
    return (
        f"{plan.scheme} at {plan.resolution} px, biases at {biases} and lite residuals at {len(kinds) - biases} places"
    )
