from types import SimpleNamespace

import pytest

from tests.training.tiny import SIDE
from tinytl_tf.backbones import BranchCard, build, save_branches
from tinytl_tf.backbones.frozen_scale import frozen_scales
from tinytl_tf.errors import InputError
from tinytl_tf.memory import planned_peak
from tinytl_tf.planning import Plan, Planner, Target, planner
from tinytl_tf.planning.plan import BIASES, LITE_RESIDUALS, all_targets, layout_of
from tinytl_tf.tflite.model import Model

GENEROUS = 10**9


@pytest.fixture(scope="module")
def made(tiniest):
    """A planner, which remembers the files that it converted."""
    return Planner(tiniest, resolutions=[SIDE], say=lambda text: None)


@pytest.fixture
def measurements(monkeypatch):
    """Takes the place of measuring: the bytes to answer in turn, then 0."""
    answers = []
    monkeypatch.setattr(planner, "_measure", lambda content: answers.pop(0) if answers else 0)
    return answers


@pytest.fixture
def everything(tiniest):
    return frozenset(all_targets(layout_of(tiniest)))


@pytest.fixture
def smallest(made, measurements):
    return made._try(Plan(SIDE, frozenset())).planned.growth_bytes


def test_a_generous_budget_trains_everything(made, measurements, everything):
    outcome = made.find(GENEROUS)
    assert outcome.trial.plan == Plan(SIDE, everything)
    assert (outcome.config.scheme, outcome.config.biases, outcome.config.lite_residuals) == ("tinytl-lb", (), ())


def test_a_tight_budget_trains_less_and_is_kept(made, measurements, everything, smallest):
    most = made.find(GENEROUS).trial.planned.growth_bytes
    budget = (smallest + most) // 2
    outcome = made.find(budget)
    assert smallest < outcome.trial.planned.growth_bytes <= budget < most
    assert frozenset() < outcome.trial.plan.targets < everything
    assert outcome.trial in outcome.trials
    # What was left out would not have fitted, as far as the estimate goes.
    left_over = budget - outcome.trial.growth_bytes
    untaken = [cost for target, cost in outcome.costs.items() if target not in outcome.trial.plan.targets]
    assert min(untaken) > left_over / 2


def test_a_budget_of_the_smallest_plan_trains_the_classifier(made, measurements, smallest):
    outcome = made.find(smallest)
    assert outcome.trial.plan.targets == frozenset()
    assert outcome.config.scheme == "last"


def test_nothing_fits(made, measurements, smallest):
    with pytest.raises(InputError) as error:
        made.find(smallest - 250_000)
    megabytes = smallest / 1e6
    assert str(error.value) == (
        f"nothing fits into {megabytes - 0.25:g} MB: the smallest plan, last at 40 px, biases at 0 and lite residuals "
        f"at 0 places, lets the process grow by {megabytes:.2f} MB (planned) or 0.00 MB (measured), 0.25 MB too much; "
        "raise the budget or try smaller resolutions"
    )


def test_a_plan_that_measures_above_the_budget_gives_way_to_a_smaller_one(made, measurements, smallest):
    budget = (smallest + made.find(GENEROUS).trial.planned.growth_bytes) // 2
    first = made.find(budget).trial
    made._trials.clear()
    measurements += [0, budget + 200_000]  # of the smallest, of the first
    outcome = made.find(budget)
    made._trials.clear()
    assert [trial.plan for trial in outcome.trials[:1]] == [first.plan]
    assert outcome.trials[0].growth_bytes == budget + 200_000
    assert outcome.trial.plan != first.plan
    assert outcome.trial.growth_bytes <= budget


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
    monkeypatch.setattr(planner, "measure", lambda path, steps, xnnpack: SimpleNamespace(growth_bytes=growths.pop(0)))
    assert planner._measure(b"file") == 9
    assert not growths


def test_the_resolution_is_that_of_the_least_loss(config, measurements, monkeypatch):
    losses = {48: 0.5, 64: 0.7}
    made = Planner(config, resolutions=[64, 48], say=lambda text: None)
    monkeypatch.setattr(made, "_draft", lambda plan: (b"", None, fake_growth(plan)))
    monkeypatch.setattr(planner, "Probe", lambda config, dataset, resolution: FakeProbe(losses[resolution], config))
    assert made.find(GENEROUS).trial.plan.resolution == 48
    losses.update({48: 0.8})
    made._probes.clear()
    outcome = made.find(GENEROUS)
    assert outcome.trial.plan.resolution == 64
    assert outcome.losses == {48: (0.8, 0.8), 64: (0.7, 0.7)}


class FakeProbe:
    def __init__(self, loss, config):
        self.loss = loss
        self.contributions = dict.fromkeys(all_targets(layout_of(config)), 1.0)

    def loss_after_training(self, targets):
        return self.loss


def fake_growth(plan):
    from tinytl_tf.memory import PlannedGrowth

    size = plan.resolution**2 + 1000 * len(plan.targets)
    return PlannedGrowth("train", 1, {"file": size, "structures": size, "variables": size, "arena": size})


def test_pre_trained_branches_are_told_before_the_work(tiniest, tmp_path):
    model = build("tiny", classes=3, resolution=SIDE, weights=None, lite_residual=True)
    scales = frozen_scales(model)
    card = BranchCard("tiny", 1.0, "tinytl-l", "shapes", 3, 24, 9, 0.5, 1.0, SIDE, scales, "ours", {}, "by hand")
    branches = [variable for variable in model.weights if "_lite_residual/" in variable.path]
    save_branches(tmp_path / "branches.npz", branches, card)
    config, said = tiniest.copy_and_resolve_references(), []
    config.backbone.branch_weights = str(tmp_path / "branches.npz")
    Planner(config, resolutions=[SIDE], say=said.append)
    assert said[0] == str(card)
    config.backbone.branch_weights = "none.npz"
    with pytest.raises(InputError, match=r"^there is no file of branches none\.npz; "):
        Planner(config, resolutions=[SIDE], say=said.append)
