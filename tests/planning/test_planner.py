import collections
from types import SimpleNamespace

import numpy as np
import pytest

from tests.training.tiny import SIDE
from tinytl_tf.backbones import BranchCard, build, save_branches
from tinytl_tf.backbones.frozen_scale import frozen_scales
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import network_of
from tinytl_tf.memory import planned_peak
from tinytl_tf.planning import GrowthAccount, MicroAccount, Plan, Planner, Target, growth_account, planner
from tinytl_tf.planning.plan import BIASES, KERNELS, LITE_RESIDUALS, all_targets, complete
from tinytl_tf.tflite.model import Model

GENEROUS = {"growth": 10**9}


@pytest.fixture(scope="module")
def made(tiniest):
    """A planner, which remembers the files that it converted."""
    return Planner(tiniest, GrowthAccount(), resolutions=[SIDE], say=lambda text: None)


@pytest.fixture
def measurements(monkeypatch):
    """Takes the place of measuring: the bytes to answer in turn, then 0."""
    answers = []
    monkeypatch.setattr(growth_account, "_measure", lambda content: answers.pop(0) if answers else 0)
    return answers


@pytest.fixture
def everything(tiniest):
    return frozenset(all_targets(network_of(tiniest)))


@pytest.fixture
def smallest(made, measurements):
    return made._try(Plan(SIDE, frozenset())).planned["growth"]


@pytest.mark.slow
def test_a_generous_budget_trains_everything(made, measurements, everything):
    outcome = made.find(GENEROUS)
    assert outcome.trial.plan == Plan(SIDE, everything)
    everywhere = ("stem", "block_0", "block_1", "head")
    assert (outcome.config.scheme, outcome.config.lite_residuals) == ("sparse-update-l", ("block_1",))
    assert outcome.config.biases == outcome.config.kernels == everywhere


@pytest.mark.thorough
def test_a_tight_budget_trains_less_and_is_kept(made, measurements, everything, smallest):
    most = made.find(GENEROUS).trial.planned["growth"]
    budget = (smallest + most) // 2
    outcome = made.find({"growth": budget})
    assert smallest < outcome.trial.planned["growth"] <= budget < most
    assert frozenset() < outcome.trial.plan.targets < everything
    assert outcome.trial in outcome.trials
    # What was left out would not have fitted, as far as the estimate goes.
    left_over = budget - outcome.trial.needs["growth"]
    chosen = outcome.trial.plan.targets
    untaken = [cost["growth"] for t, cost in outcome.costs.items() if complete(chosen | {t}) != chosen]
    assert min(untaken) > left_over / 2


@pytest.mark.thorough
def test_a_budget_of_the_smallest_plan_trains_the_classifier(made, measurements, smallest):
    outcome = made.find({"growth": smallest})
    assert outcome.trial.plan.targets == frozenset()
    assert outcome.config.scheme == "last"


def test_nothing_fits(made, measurements, smallest):
    with pytest.raises(InputError) as error:
        made.find({"growth": smallest - 250_000})
    megabytes = smallest / 1e6
    assert str(error.value) == (
        f"nothing fits into {megabytes - 0.25:g} MB: the smallest plan, last at 40 px, biases at 0, lite residuals "
        f"at 0 and kernels at 0 places, lets the process grow by {megabytes:.2f} MB (planned) or 0.00 MB (measured), "
        "0.25 MB too much; raise the budget or try smaller resolutions"
    )


def test_the_time_of_a_step_is_a_resource(tiniest, measurements, monkeypatch):
    """A file whose step measures below the multiply-adds, which then count, and one that measures above them."""
    account = GrowthAccount(time=True)
    made = Planner(tiniest, account, resolutions=[SIDE], say=lambda text: None)
    ratios = [500, 9000]
    monkeypatch.setattr(growth_account, "_measure_time", lambda content: ratios.pop(0))
    last = made._try(Plan(SIDE, frozenset()))
    biases = made._try(Plan(SIDE, frozenset({Target(BIASES, "head")})))
    assert 1000 <= last.needs["time"] == last.planned["time"] < biases.planned["time"] < 2500
    assert biases.needs["time"] == 9000
    assert biases.fits(GENEROUS | {"time": 9000})
    assert not biases.fits(GENEROUS | {"time": 8999})
    assert account.budget_text({"growth": 16_000_000, "time": 2500}) == "16 MB and 2.5 inferences"
    text = account.excess_text(biases.planned, biases.measured, {"growth": 10**9, "time": 8000})
    megabytes, ratio = biases.planned["growth"] / 1e6, biases.planned["time"] / 1e3
    assert text == (
        f"lets the process grow by {megabytes:.2f} MB and {ratio:.2f} inferences (planned) or 0.00 MB and 9.00 "
        "inferences (measured), 1.00 inferences too many"
    )


@pytest.mark.thorough
def test_a_plan_that_measures_above_the_budget_gives_way_to_a_smaller_one(made, measurements, smallest):
    budget = (smallest + made.find(GENEROUS).trial.planned["growth"]) // 2
    first = made.find({"growth": budget}).trial
    made._trials.clear()
    measurements += [0, budget + 200_000]  # of the smallest, of the first
    outcome = made.find({"growth": budget})
    made._trials.clear()
    assert [trial.plan for trial in outcome.trials[:1]] == [first.plan]
    assert outcome.trials[0].needs == {"growth": budget + 200_000}
    assert outcome.trial.plan != first.plan
    assert outcome.trial.fits({"growth": budget})


@pytest.mark.thorough
def test_nothing_below_the_lowest_trained_place_is_differentiated(made):
    late = Plan(SIDE, frozenset({Target(BIASES, "head"), Target(LITE_RESIDUALS, "block_1")}))
    deep = Plan(SIDE, late.targets | {Target(BIASES, "stem")})
    sizes = {}
    for plan in (late, deep):
        model = Model.from_bytes(made._draft(plan)[0])
        operators = [op for graph in model.graphs_of("train") for op in graph.operators]
        sizes[plan] = (
            len(operators),
            planned_peak(model).peak_bytes,
            sum(op.name == "DEPTHWISE_CONV_2D" for op in operators),
        )
    assert all(less < more for less, more in zip(sizes[late], sizes[deep], strict=True))
    # Forward alone: one depthwise convolution a block, and tiles of it.
    forward = Model.from_bytes(made._draft(late)[0])
    infer = [op.name for graph in forward.graphs_of("infer") for op in graph.operators]
    assert sizes[late][2] == infer.count("DEPTHWISE_CONV_2D")


def test_the_largest_measurement_counts(monkeypatch):
    growths = [5, 9, 7]
    answer = lambda path, steps, xnnpack: SimpleNamespace(growth_bytes=growths.pop(0))  # noqa: E731
    monkeypatch.setattr(growth_account, "measure", answer)
    assert growth_account._measure(b"file") == 9
    assert not growths


class Fake:
    """The place of `Planner._draft` and `Probe`: parts by plan, losses by resolution, contributions of 1.

    A loss is that before and after training.
    """

    def __init__(self, monkeypatch, config, resolutions, parts, losses=None):
        self.losses = losses or dict.fromkeys(resolutions, (1.0, 1.0))
        self.judged = {}
        self.loss_of_kernels = 0.0
        self.planner = Planner(config, FakeAccount(), resolutions=resolutions, say=lambda text: None)
        self.contributions = {target: target.share for target in all_targets(network_of(config))}
        monkeypatch.setattr(self.planner, "_draft", lambda plan: (b"", None, parts(plan)))
        monkeypatch.setattr(planner, "Probe", lambda config, dataset, resolution: FakeProbe(self, resolution))


class FakeProbe:
    def __init__(self, fake, resolution):
        self.loss, self._after = fake.losses[resolution]
        self.contributions = fake.contributions
        self._judge = lambda targets: fake.judged.setdefault(resolution, []).append(targets)
        self._loss_of_kernels = fake.loss_of_kernels

    def loss_after_training(self, targets):
        self._judge(targets)
        return self._after + self._loss_of_kernels * any(target.kind == KERNELS for target in targets)


class FakeAccount(MicroAccount):
    """The words of a real one, of made-up files."""

    def build(self, model, dataset):
        raise AssertionError("no file is made")


ENOUGH = {"arena": 10**9, "flash": 10**9}


def made_up(plan, arena=1024, flash=1024):
    """Each target takes a KB, or so much, of each."""
    size = plan.resolution**2
    return {"arena": {"tensors": size + arena * len(plan.targets)}, "flash": {"file": size + flash * len(plan.targets)}}


def test_the_resolution_is_that_of_the_least_loss_after_training(config, monkeypatch):
    """With the classifier alone the other one is ahead."""
    fake = Fake(monkeypatch, config, [64, 48], made_up, {48: (0.9, 0.5), 64: (0.6, 0.7)})
    assert fake.planner.find(ENOUGH).trial.plan.resolution == 48
    fake.losses.update({48: (0.1, 0.8)})
    fake.planner._probes.clear()
    outcome = fake.planner.find(ENOUGH)
    assert outcome.trial.plan.resolution == 64
    assert outcome.losses == {48: (0.1, 0.8), 64: (0.6, 0.7)}


def test_a_resolution_is_judged_by_what_the_budget_lets_it_train(config, monkeypatch):
    fake = Fake(monkeypatch, config, [48, 64], made_up)
    budget = dict.fromkeys(("arena", "flash"), 64**2 + 5 * 1024)
    costs = fake.planner._estimate_costs()
    fake.planner.find(budget)
    without_kernels = {target: value for target, value in fake.contributions.items() if target.kind != KERNELS}
    assert fake.judged == {
        r: [planner.fill(r, own, costs, budget) for own in (fake.contributions, without_kernels)] for r in (48, 64)
    }
    assert 0 < len(fake.judged[64][0]) < len(fake.judged[48][0]) < len(fake.contributions)


@pytest.mark.parametrize(("loss", "has_kernels"), [(0.1, False), (0.0, True), (-0.1, True)])
def test_a_plan_has_kernels_if_they_do_not_raise_the_loss(config, monkeypatch, loss, has_kernels):
    fake = Fake(monkeypatch, config, [64], made_up)
    fake.loss_of_kernels = loss
    outcome = fake.planner.find(dict.fromkeys(("arena", "flash"), 64**2 + 12 * 1024))
    for trial in (*outcome.trials, outcome.trial):
        assert bool(trial.plan.places(KERNELS)) is has_kernels
    assert outcome.loss == pytest.approx(1.0 + min(loss, 0))
    assert set(outcome.contributions) == set(fake.contributions)


@pytest.mark.parametrize(("tight", "other"), [("arena", "flash"), ("flash", "arena")])
def test_a_plan_is_within_the_budget_of_every_resource(config, monkeypatch, tight, other):
    made = Fake(monkeypatch, config, [64], made_up).planner
    everything = made.find(ENOUGH).trial
    assert everything.plan.targets == complete(frozenset(all_targets(network_of(config))))
    for count in range(len(everything.plan.targets)):
        budget = {tight: 64**2 + 1024 * count, other: 10**9}
        trial = made.find(budget).trial
        assert trial.fits(budget)
        # The estimate takes what lies deep for dear, which here is not; so that it leaves some of the budget.
        assert count // 2 <= len(trial.plan.targets) <= count
        assert not everything.fits(budget)


class Sums:
    """Costs that add up: bytes of arena and flash by target, and so many of each for the classifier."""

    def __init__(self, sizes, classifier=1000):
        self._sizes = sizes
        self._classifier = classifier

    def needs(self, resolution, targets):
        arenas, flashes = zip((0, 0), *(self._sizes[target] for target in targets), strict=True)
        return {"arena": self._classifier + sum(arenas), "flash": self._classifier + sum(flashes)}


@pytest.mark.parametrize(
    ("flash", "chosen"),
    # Two with little arena each, where flash is plenty; one with little flash, where it is not.
    [(1_000_000, {"stem", "head"}), (3_000, {"block_0"})],
)
def test_what_takes_less_of_the_tighter_resource_comes_first(flash, chosen):
    sizes = {"stem": (60, 900), "head": (60, 900), "block_0": (100, 1)}
    costs = Sums({Target(BIASES, place): pair for place, pair in sizes.items()})
    contributions = {Target(BIASES, place): 1.0 for place in sizes}
    targets = planner.fill(64, contributions, costs, {"arena": 1150, "flash": flash})
    assert {target.place for target in targets} == chosen


@pytest.mark.parametrize(("limit", "share"), [(1129, None), (1130, 1 / 4), (1149, 1 / 4), (1150, 1 / 2), (1190, 1)])
def test_a_kernel_is_trained_to_the_share_that_fits(limit, share):
    """A quarter takes 10 and its place 20; a half takes 30 in place of 10, and the whole 70 in place of 30."""
    sizes = {Target(BIASES, "head"): (20, 0)}
    sizes |= {Target(KERNELS, "head", part): (size, 0) for part, size in ((1, 70), (1 / 2, 30), (1 / 4, 10))}
    contributions = {target: 0.01 if target.kind == BIASES else target.share for target in sizes}
    targets = planner.fill(64, contributions, Sums(sizes, 1100), {"arena": limit, "flash": 1100})
    assert {target.share for target in targets if target.kind == KERNELS} == ({share} if share else set())


def test_resources_that_are_missed_in_turn_end_with_a_plan_that_fits(config, monkeypatch):
    """An estimate that is wrong now for the one and then for the other: what one gives, the other may not take back."""

    def parts(plan):
        count = len(plan.targets)
        odd = 6000 if 0 < count < len(complete(frozenset(all_targets(network_of(config))))) else 0
        return made_up(plan, *((1024, 1024 + odd) if count % 2 else (1024 + odd, 1024)))

    made = Fake(monkeypatch, config, [64], parts).planner
    budget = dict.fromkeys(("arena", "flash"), 64**2 + 5 * 1024)
    outcome = made.find(budget)
    assert outcome.trial.fits(budget)
    plans = [trial.plan for trial in outcome.trials]
    assert len(plans) == len(set(plans))
    assert not outcome.trials[0].fits(budget)


def test_the_best_of_the_plans_that_fit_is_chosen_however_wrong_the_estimate_is(config, monkeypatch):
    """Of sizes by chance, which the estimate misses in either resource, both ways; the classifier alone is known."""
    everything = all_targets(network_of(config))
    fake = Fake(monkeypatch, config, [64], None)
    earlier = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        costs = Sums({target: tuple(rng.integers(200, 1500, 2)) for target in everything})
        errors = collections.defaultdict(lambda rng=rng: tuple(rng.integers(-2000, 3000, 2)))
        errors[frozenset()] = (0, 0)

        def draft(plan, costs=costs, errors=errors):
            needs = costs.needs(64, plan.targets).items()
            parts = {
                name: {"file": size + error} for (name, size), error in zip(needs, errors[plan.targets], strict=True)
            }
            return b"", None, parts

        fake.planner._trials.clear()
        fake.planner._probes.clear()
        fake.contributions = dict(zip(everything, rng.uniform(0, 1, len(everything)), strict=True))
        monkeypatch.setattr(fake.planner, "_draft", draft)
        monkeypatch.setattr(fake.planner, "_estimate_costs", lambda costs=costs: costs)
        budget = {name: int(rng.integers(1000, 8000)) for name in ("arena", "flash")}
        outcome = fake.planner.find(budget)
        tried = [trial.plan.targets for trial in outcome.trials]
        assert len(tried) == len(set(tried))
        fitting = [trial for trial in outcome.trials if trial.fits(budget)]
        worth = lambda trial: sum(fake.contributions[t] for t in trial.plan.targets)  # noqa: E731
        assert outcome.trial in fitting
        assert worth(outcome.trial) == max(map(worth, fitting))
        earlier += fitting[-1] is not outcome.trial
    assert earlier >= 10  # The last that fits is often not the best.


@pytest.mark.parametrize(("factor", "found"), [(0.5, 7), (1.25, 3)])
def test_what_the_estimate_missed_corrects_the_next_plan(config, monkeypatch, factor, found):
    """Room for four targets of a KB; each takes half of that, of which 7 are found in four trials, or 1.25 KB."""
    fake = Fake(monkeypatch, config, [64], lambda plan: made_up(plan, 1024 * factor, 1024 * factor))
    monkeypatch.setattr(
        fake.planner, "_estimate_costs", lambda: Sums(dict.fromkeys(fake.contributions, (1024, 1024)), 64**2)
    )
    outcome = fake.planner.find(dict.fromkeys(("arena", "flash"), 64**2 + 4 * 1024))
    sizes = [len(trial.plan.targets) for trial in outcome.trials]
    assert (sizes[0], len(outcome.trial.plan.targets)) == (4, found)


@pytest.mark.parametrize(
    ("arena", "flash", "words"),
    [
        (3, 100, "an arena of 3 KB and 100 KB of flash: the smallest plan, last at 64 px, biases at 0, lite "
         "residuals at 0 and kernels at 0 places, needs an arena of 4 KB, 1 KB too much, and 4 KB of flash; raise"),
        (5.5, 1, "an arena of 5.5 KB and 1 KB of flash: the smallest plan, last at 64 px, biases at 0, lite "
         "residuals at 0 and kernels at 0 places, needs an arena of 4 KB and 4 KB of flash, 3 KB too much; raise"),
        (1, 2, "needs an arena of 4 KB, 3 KB too much, and 4 KB of flash, 2 KB too much; raise"),
    ],
)  # fmt: skip
def test_what_is_missing_of_each_resource_is_told(config, monkeypatch, arena, flash, words):
    made = Fake(monkeypatch, config, [64], made_up).planner
    with pytest.raises(InputError) as error:
        made.find({"arena": int(1024 * arena), "flash": int(1024 * flash)})
    assert words in str(error.value)
    assert str(error.value).endswith("; raise the budget or try smaller resolutions")


def test_pre_trained_branches_are_told_before_the_work(tiniest, tmp_path):
    model = build("tiny", classes=3, resolution=SIDE, weights=None, lite_residual=True)
    scales = frozen_scales(model)
    config = {"backbone.branch_final_norm": False}
    card = BranchCard("tiny", 1.0, "tinytl-l", "shapes", 3, 24, 9, 0.5, 1.0, SIDE, scales, "ours", config, "by hand")
    branches = [variable for variable in model.weights if "_lite_residual/" in variable.path]
    save_branches(tmp_path / "branches.npz", branches, card)
    config, said = tiniest.copy_and_resolve_references(), []
    config.backbone.branch_weights = str(tmp_path / "branches.npz")
    Planner(config, GrowthAccount(), resolutions=[SIDE], say=said.append)
    assert said[0] == str(card)
    config.backbone.branch_weights = "none.npz"
    with pytest.raises(InputError, match=r"^there is no file of branches none\.npz; "):
        Planner(config, GrowthAccount(), resolutions=[SIDE], say=said.append)


def test_a_rate_factor_of_nothing_that_a_plan_trains_is_refused(tiniest):
    config = tiniest.copy_and_resolve_references()
    config.training.rate_factors = (("^head/", 2.0), ("^stem/norm/gamma", 0.5))
    with pytest.raises(InputError) as error:
        Planner(config, GrowthAccount(), resolutions=[SIDE], say=lambda text: None)
    assert str(error.value) == (
        "expected rate_factors of variables that a plan may train, got '^stem/norm/gamma', which is found first in "
        "the path of no such variable; leave it out"
    )
