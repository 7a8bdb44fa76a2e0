"""The choice among networks, with planners that answer at once."""

from types import SimpleNamespace

import pytest

from tinytl_tf.configs import default
from tinytl_tf.errors import InputError
from tinytl_tf.planning import Candidate, NothingFits, choose_network, networks, read_candidates


@pytest.fixture
def own():
    config = default.get_config()
    config.backbone.update(name="mobilenet_v2", width=0.5, weights="own.h5", preprocess_input="raw")
    return config


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("mobilenet_v2", Candidate("mobilenet_v2", 0.5, "own.h5")),
        ("MobileNetV2@1", Candidate("mobilenet_v2", 1.0, "own.h5")),
        ("mobilenet_v2@0.35=small=1.h5", Candidate("mobilenet_v2", 0.35, "small=1.h5")),
        ("efficientnet_lite0", Candidate("efficientnet_lite0")),
        ("ResNet50=resnet.h5", Candidate("keras:ResNet50", 1.0, "resnet.h5")),
        ("file:a@2=b.keras", Candidate("file:a@2=b.keras")),
    ],
)
def test_an_entry_is_a_network_with_its_width_and_weights(own, entry, expected):
    assert read_candidates([entry], own) == (expected,)


@pytest.mark.parametrize(
    "entry", ["", "@0.5", "=w.h5", "mobilenet_v2=", "mobilenet_v2@", "mobilenet_v2@big", "a@-1", "a@inf"]
)
def test_an_entry_of_another_form_is_told(own, entry):
    with pytest.raises(InputError) as error:
        read_candidates([entry], own)
    assert str(error.value).startswith(f"expected the name of a network, got {entry!r}; write ")


def test_a_network_is_given_once(own):
    with pytest.raises(InputError) as error:
        read_candidates(["mobilenet_v2@0.35", "MobileNetV2@0.35=w.h5", "mobilenet_v2"], own)
    assert str(error.value) == ("expected each network once, got mobilenet_v2@0.35 twice; leave one entry out")


@pytest.mark.parametrize(("name", "expected"), [("efficientnet_lite0", ""), ("file:my.keras", "raw")])
def test_the_preprocessing_is_that_of_networks_that_need_one(own, name, expected):
    config = Candidate(name, 1.0, "w.h5").configure(own)
    assert (config.backbone.name, config.backbone.width, config.backbone.weights) == (name, 1.0, "w.h5")
    assert config.backbone.preprocess_input == expected
    assert own.backbone.name == "mobilenet_v2"


@pytest.fixture
def find(monkeypatch, own):
    """A function of the loss of each network, or a message that nothing fits."""

    def of(answers):
        begun = []

        class Fake:
            def __init__(self, config, account, *, resolutions, say):
                self.name = config.backbone.name
                begun.append(self.name)

            def find(self, budget):
                assert begun == list(answers)  # each has been built before the first one is planned
                if isinstance(answers[self.name], str):
                    raise NothingFits(answers[self.name])
                return SimpleNamespace(loss=answers[self.name])

        monkeypatch.setattr(networks, "Planner", Fake)
        candidates = [Candidate(name) for name in answers]
        return choose_network(candidates, own, None, resolutions=[96], budget={}, say=lambda text: None)

    return of


def test_the_network_of_the_least_loss_is_chosen(find):
    choice = find({"mobilenet_v2": 0.5, "efficientnet_lite0": 0.4, "mcunet_5fps": 0.6, "proxyless_mobile": "too large"})
    assert choice.candidate == Candidate("efficientnet_lite0")
    assert choice.outcome.loss == 0.4
    assert [candidate.name for candidate in choice.outcomes] == ["mobilenet_v2", "efficientnet_lite0", "mcunet_5fps"]
    assert choice.misfits == {Candidate("proxyless_mobile"): "too large"}


def test_nothing_fits(find):
    with pytest.raises(NothingFits) as error:
        find({"mobilenet_v2": "1 MB too much", "efficientnet_lite0": "2 MB too much"})
    assert str(error.value) == "mobilenet_v2: 1 MB too much; efficientnet_lite0: 2 MB too much"
