"""The split is the one that trains best of those that fit, and both are measured."""

import numpy as np
import pytest

from tests import tiny_network
from tinytl_tf import backbones
from tinytl_tf.cli import coral
from tinytl_tf.configs import default
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import Experiment
from tinytl_tf.planning import split_search as module
from tinytl_tf.planning.split_search import candidates, choose_split
from tinytl_tf.profiles import get_profile

GROWTHS = {"block_1": 9_000_000, "block_2": 7_000_000, "block_3": 5_000_000, "head": 3_000_000, "classifier": 1_000_000}
ACCURACIES = {"block_1": 0.9, "block_2": 0.8, "block_3": 0.7, "head": 0.7, "classifier": 0.5}


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)


@pytest.fixture(scope="module")
def data_path(tmp_path_factory):
    return tiny_network.write_photos(tmp_path_factory.mktemp("tints") / "tints.npz", 48)


@pytest.fixture
def config(data_path):
    config = tiny_network.config(data_path)
    config.scheme = "tinytl-b"
    return config


@pytest.fixture
def made_up(monkeypatch):
    """Figures in place of measurements; returns the places that were measured."""
    asked = []
    monkeypatch.setattr(module, "_growth", lambda model, place, *_: asked.append(place) or GROWTHS[place])
    monkeypatch.setattr(module, "_accuracy", lambda model, experiment, place, *_: ACCURACIES[place])
    return asked


def choose(config, budget_mb, **changes):
    options = {
        "budget_bytes": int(budget_mb * 1e6),
        "restrict": coral.restrict,
        "make_model": lambda experiment: experiment.build_model(len(tiny_network.LABELS))[0],
        "optimizer": "sgd",
        "batch_size": 2,
        "profile": get_profile("balanced"),
        "say": lambda text: None,
    }
    return choose_split(config, Experiment(config).load_data(), **options | changes)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("budget_mb", "place"), [(10, "block_1"), (8.9, "block_2"), (7, "block_2"), (6, "head"), (3, "head")]
)
def test_the_best_that_fits_is_taken_and_of_equals_the_later_one(config, made_up, budget_mb, place):
    outcome = choose(config, budget_mb)
    assert outcome.place == place
    late = [name for name in ("block_1", "block_2", "block_3", "head") if name in outcome.config.biases]
    assert late[0] == place
    judged = {trial.place: trial.accuracy for trial in outcome.trials if trial.accuracy is not None}
    assert judged == {name: ACCURACIES[name] for name in judged}
    assert all(GROWTHS[name] <= budget_mb * 1e6 for name in judged)
    assert {name for name in ("block_1", "block_2", "block_3", "head") if GROWTHS[name] <= budget_mb * 1e6} == set(
        judged
    )


def test_a_budget_that_nothing_fits_is_refused_with_what_is_missing(config, made_up):
    with pytest.raises(InputError, match="nothing fits into 2 MB: the last split, at head, needs 1.0 MB more"):
        choose(config, 2)
    assert made_up == ["head"]


def test_what_cannot_be_trained_behind_a_split_is_no_candidate(config, made_up):
    config.scheme = "last"
    assert {trial.place for trial in choose(config, 20).trials} == set(GROWTHS)
    config.scheme = "full"
    with pytest.raises(InputError, match="scheme full has nothing to train behind any split"):
        choose(config, 20)


def test_candidates_of_a_real_network():
    assert candidates(default.get_config())[:2] == ["block_1", "block_3"]


def test_candidates_are_places_at_which_the_network_can_be_split():
    """A classifier that reads late features takes several tensors from before the last blocks."""
    config = default.get_config()
    config.backbone.feature_places = ("late",)
    assert candidates(config) == ["block_1", "block_3", "block_6", "block_10", "classifier"]


def test_images_that_judge_are_not_trained_on_and_are_of_all_classes_with_enough(config):
    train = Experiment(config).load_data().train
    fewer = train.subset(np.arange(len(train) - 3))
    for dataset in (train, fewer):
        parts = module._divide(dataset)
        digests = [{part.digest(index) for index in range(len(part))} for part in parts]
        assert not digests[0] & digests[1]
        assert len(digests[0] | digests[1]) == len(dataset)
        labels, counts = np.unique(dataset.labels, return_counts=True)
        assert set(parts[0].labels) == set(labels)
        assert set(parts[1].labels) == set(labels[counts >= module.HELD_OUT])
        assert 0.15 < len(parts[1]) / len(dataset) < 0.26


def test_one_image_cannot_judge_and_two_can(config):
    train = Experiment(config).load_data().train
    assert [len(part) for part in module._divide(train.subset(np.array([0, 1])))] == [1, 1]
    with pytest.raises(InputError, match="has 1 training image; at least 2 are needed to judge a split"):
        module._divide(train.subset(np.array([0])))


@pytest.mark.thorough
def test_growth_and_accuracy_are_measured(config, monkeypatch):
    """Of two splits: the later one needs less, and both learn something."""
    monkeypatch.setattr(module, "candidates", lambda config: ["block_2", "head"])
    config.training.learning_rate = 0.02
    model = tiny_network.build("tinytl-b")

    def make_model(experiment):
        from tinytl_tf.networks.schemes import apply_scheme

        apply_scheme(model.weights, experiment.scheme())
        return model

    outcome = choose(config, 500, make_model=make_model)
    early, late = outcome.trials
    assert (early.place, late.place) == ("block_2", "head")
    assert 0 < late.growth_bytes < early.growth_bytes
    assert min(early.accuracy, late.accuracy) > 0.3
