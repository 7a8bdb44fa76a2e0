"""Where a configuration trains, and networks that were trained elsewhere."""

import json
import math

import numpy as np
import pytest
from ml_collections import ConfigDict

from tests import tiny_network
from tests.damage import require_line
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.configs import default
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import drop_useless_rate_factors, flat
from tinytl_tf.networks.schemes import SCHEMES, rate_factor
from tinytl_tf.training import Experiment

BAD_FLOATS = (math.inf, -math.inf, math.nan, 1e308, -1e308)
BAD_WHOLE = (2**31, 2**63, 10**30, 10**400, -(10**30))
RATES = ("training.learning_rate", "training.weight_decay", "training.clip_norm")


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, tiny_network.ARCHITECTURE.name, tiny_network.ARCHITECTURE)
    return tiny_network.config(tmp_path / "unread.npz")


def branches(model):
    return sorted({v.path.partition("_lite_residual/")[0] for v in model.weights if "_lite_residual/" in v.path})


def test_branches_are_built_where_they_train(config):
    config.lite_residuals = ("block_3", "block_1")
    model, resolution = Experiment(config).build_model(4)
    assert branches(model) == ["block_1", "block_3"]
    config.lite_residuals = ()
    everywhere, _ = Experiment(config).build_model(4)
    assert branches(everywhere) == ["block_1", "block_2", "block_3"]


def test_adopting_adds_the_branches_that_lack_and_keeps_the_others(config):
    config.lite_residuals = ("block_1",)
    trained, _ = Experiment(config).build_model(4)
    trained.get_layer("block_1_lite_residual").pointwise_kernel.assign(np.full((1, 1, 8, 16), 0.3))
    config.lite_residuals = ("block_3",)
    adopted, resolution = Experiment(config).adopt(trained)
    assert branches(adopted) == ["block_1", "block_3"]
    assert {v.path.split("/")[0] for v in resolution.variables if "_lite_" in v.path} == {"block_3_lite_residual"}
    images = tiny_network.photos(1, 2)[0][0].astype(np.float32)
    np.testing.assert_array_equal(adopted(images), trained(images))
    config.lite_residuals = ("block_1",)
    assert Experiment(config).adopt(trained)[0] is trained


def test_adopting_lora_keeps_other_branches_and_what_the_network_computes(config):
    config.lite_residuals = ("block_1",)
    trained, _ = Experiment(config).build_model(4)
    trained.get_layer("block_1_lite_residual").pointwise_kernel.assign(np.full((1, 1, 8, 16), 0.3))
    config.scheme, config.lite_residuals, config.branches = "lora-b", (), ("block_2", "head")
    config.backbone.lora_rank = 2
    adopted, resolved = Experiment(config).adopt(trained)
    images = tiny_network.photos(1, 2)[0][0].astype(np.float32)
    np.testing.assert_array_equal(adopted(images), trained(images))
    lora = {variable.path: tuple(variable.shape) for variable in resolved.variables if "_lora/" in variable.path}
    names = ("block_2_expand", "block_2_project", "head")
    assert set(lora) == {f"{name}_lora/{part}" for name in names for part in "ab"}
    assert lora["head_lora/a"] == (24, 2)
    assert branches(adopted) == ["block_1"]
    assert "block_1_lite_residual/kernel" not in {variable.path for variable in resolved.variables}
    assert Experiment(config).adopt(adopted)[0] is adopted


def test_a_network_under_lora_has_branches_at_its_places(config):
    config.scheme, config.training.rate_factors = "lora", (("_lora/b", 16.0),)
    model, resolved = Experiment(config).build_model(4)
    assert not branches(model)
    assert rate_factor(model.get_layer("head_lora").b) == 16
    assert sum("_lora/" in variable.path for variable in resolved.variables) == 2 * 8
    config.scheme = "last"
    drop_useless_rate_factors(config)
    assert config.training.rate_factors == ()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("branches", ("stem",), "the network has no lite residuals at 'stem'; its places are block_1, "),
        (
            "biases",
            ("block_4",),
            "the network has no biases at 'block_4'; its places are stem, block_0, ",
        ),
        ("biases", (1,), "config.biases must be of the kind of its default (), got (1,)"),
        ("lite_residuals", ("block_0",), "the network has no lite residuals at 'block_0'; its places are block_1, "),
    ],
)
def test_places_that_are_not_there_are_told(config, key, value, message):
    config[key] = value
    with pytest.raises(InputError) as error:
        Experiment(config).build_model(4)
    assert str(error.value).startswith(message)


def test_the_classifier_reads_late_features(config):
    config.backbone.feature_places = ("late",)
    model, resolved = Experiment(config).build_model(4)
    assert [layer.name for layer in model.layers if layer.name.startswith("depths_")] == [
        "depths_block_2",
        "depths_block_3",
    ]
    assert {v.path: tuple(v.shape) for v in resolved.variables}["classifier/kernel"] == (32 + 16 + 24, 4)
    config.backbone.feature_places = ("head",)
    with pytest.raises(InputError, match="^the network has no features before its last ones at 'head'; its places are"):
        Experiment(config)


def test_plain_batches_are_training_images_as_they_are(config):
    tiny_network.write_photos(config.data.name, 40)
    config.data.central_fraction = 1.0
    experiment = Experiment(config)
    train = experiment.load_data().train
    images, labels = experiment.plain_batches(train, 8, count=2)
    assert (images.shape, images.dtype) == ((2, 8, 64, 64, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((2, 8), np.int32)
    known = {train.image(index).tobytes(): train.labels[index] for index in range(len(train))}
    assert [known[image.tobytes()] for image in images.reshape(16, 64, 64, 3)] == labels.ravel().tolist()
    assert len(experiment.plain_batches(train, 8, count=100)[0]) == len(train) // 8


def test_what_the_caller_does_to_its_configuration_later_changes_no_experiment(config):
    config = config.copy_and_resolve_references().unlock()
    experiment = Experiment(config)
    config.training.epochs = 77
    assert experiment.config.training.epochs != 77
    with pytest.raises(AttributeError):
        experiment.config.training.epochs = 77


def test_a_split_seed_that_does_nothing_is_refused(config):
    config = config.copy_and_resolve_references().unlock()
    config.data.split_seed = 3
    tiny_network.write_photos(config.data.name, 40)
    with pytest.raises(InputError, match="^the split seed 3 does nothing for packed set "):
        Experiment(config).load_data()
    assert len(Experiment(config).load_data(strict_seed=False).train) > 0


def test_a_configuration_without_a_data_set_is_refused(config):
    config = config.copy_and_resolve_references().unlock()
    config.data.name = ""
    with pytest.raises(InputError, match="^config.data.name is empty; set it to a folder of images, "):
        Experiment(config).load_data()


SLOW = (("_lite_residual/", 0.1), ("^head/", 2))


def test_rate_factors_are_put_on_the_network(config):
    config.training.rate_factors = SLOW
    model, resolution = Experiment(config).build_model(4)
    factors = {variable.path.partition("/")[0]: rate_factor(variable) for variable in resolution.variables}
    assert (factors["block_1_lite_residual"], factors["head"], factors["classifier"], factors["stem"]) == (0.1, 2, 1, 1)
    config.training.rate_factors = ()
    assert Experiment(config).adopt(model)[0] is model
    assert {rate_factor(variable) for variable in model.trainable_variables} == {1.0}


def test_rate_factors_come_back_from_json(config):
    config.training.rate_factors = SLOW
    loaded = flat(ConfigDict(json.loads(config.to_json())))
    assert loaded == flat(config)
    assert loaded["training.rate_factors"] == SLOW


@pytest.mark.parametrize("rates", [("_lite_residual/", 0.1), (("(", 1.0),), (("head", -1.0),), (("head", "fast"),)])
def test_rate_factors_that_are_none_are_refused(config, rates):
    config.training.rate_factors = rates
    with pytest.raises(InputError, match="^expected .*rate_factors"):
        Experiment(config)


def test_a_rate_factor_of_nothing_is_refused_when_the_network_is_built(config):
    config.training.rate_factors = (("^stem/kernel", 0.1),)
    with pytest.raises(InputError, match="^expected rate_factors of variables that scheme tinytl-lb trains"):
        Experiment(config).build_model(4)


def test_rate_factors_of_what_another_scheme_trains_are_dropped(config):
    config = config.copy_and_resolve_references().unlock()
    config.training.rate_factors = SLOW
    for scheme, biases, expected in (
        ("tinytl-lb", (), SLOW),
        ("tinytl-b", (), SLOW[1:]),
        ("tinytl-b", ("stem",), ()),
        ("last", (), ()),
    ):
        own = config.copy_and_resolve_references()
        own.scheme, own.biases = scheme, biases
        drop_useless_rate_factors(own)
        assert own.training.rate_factors == expected
        Experiment(own).build_model(4)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_rate_that_is_not_given_is_that_of_scheme_and_optimizer(config, scheme):
    config.scheme = scheme
    assert config.training.learning_rate == 0
    expected = {"full": 1e-4, "sparse-update": 3e-4, "sparse-update-l": 3e-4}.get(scheme, 1e-3)
    assert Experiment(config).config.training.learning_rate == SCHEMES[scheme].learning_rate == expected
    assert config.training.learning_rate == 0
    config.training.optimizer = "sgd"
    assert Experiment(config).config.training.learning_rate == 10 * expected
    config.training.learning_rate = 0.03
    assert Experiment(config).config.training.learning_rate == 0.03


HUGE = [10**400, -(10**400), 10**30, 2**63, float("nan"), float("inf"), 1e308, -1]
UNBOUNDED = ["backbone.width", "backbone.dropout"]  # which `build` checks


@pytest.mark.parametrize(
    "key", [key for key, value in flat(default.get_config()).items() if type(value) in (int, float)]
)
def test_numbers_that_are_too_large_or_none_are_refused(config, key):
    section, _, name = key.rpartition(".")
    for value in HUGE:
        values = config.to_dict()
        values[section][name] = value
        changed = ConfigDict(values)
        try:
            checked = flat(Experiment(changed).config)[key]
        except InputError as error:
            require_line(error)
            continue
        assert key in UNBOUNDED or 0 < checked <= 3.4e38, value
        if key in UNBOUNDED:
            with pytest.raises(InputError, match=f"{key.removeprefix('backbone.')} must be "):
                Experiment(changed).build_model(4)


@pytest.mark.parametrize(
    "factor", [10**400, float("nan"), float("inf"), -1, -(10**400)], ids=lambda value: str(value)[:5]
)
def test_rate_factors_that_are_too_large_or_none_are_refused(config, factor):
    config.training.rate_factors = (("classifier", factor),)
    with pytest.raises(InputError, match="expected a finite factor of 0 or more in rate_factors, got") as error:
        Experiment(config)
    require_line(error.value)


@pytest.mark.parametrize("rate", [-1e-3, float("nan"), float("inf"), 1e39, 10**30 * 10**30])
def test_a_rate_that_is_none_is_refused(config, rate):
    config.training.learning_rate = rate
    with pytest.raises(InputError, match="^config.training.learning_rate must be 0 or from 1.2e-38 to 3.4e"):
        Experiment(config)


@pytest.mark.parametrize(
    ("trained", "rate", "exported", "expected"),
    [
        ("adam", 1e-2, "adam", 1e-2),
        ("adam", 1e-2, "sgd", 0.1),
        ("sgd", 0.5, "adam", 0.05),
        ("momentum", 0.3, "sgd", 1.0),
        ("adam", 0.0, "sgd", None),
    ],
)
def test_the_rate_that_was_trained_at_travels_with_the_file(config, trained, rate, exported, expected):
    """A run at 1e-2 exported a manifest with the scheme's 1e-3, which all clients followed."""
    config.training.optimizer, config.training.learning_rate = trained, rate
    settings = Experiment(config).client_settings(exported)
    assert settings["learning_rate"] == (expected and pytest.approx(expected))


def test_a_file_is_told_how_the_data_were_split_and_the_schedule(config):
    config.training.schedule, config.data.split_seed, config.data.central_fraction = "constant", 3, 0.5
    settings = Experiment(config).client_settings("sgd")
    assert (settings["schedule"], settings["central_fraction"]) == ("constant", 0.5)
    assert (settings["data"].split, settings["data"].split_seed) == ("content", 3)
    config.data.split = ""  # of a run of an older version
    assert Experiment(config).client_settings("sgd")["data"].split == ""
    config.data.split = "path"
    with pytest.raises(InputError, match="^config.data.split must be one of '', 'content', got 'path'$"):
        Experiment(config)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        *(("backbone.width", value, "width must be above 0 and at most 4, got ") for value in BAD_FLOATS),
        *(("backbone.resolution", value, "config.backbone.resolution must be from 1 to 8192") for value in BAD_WHOLE),
        *(
            (key, 1e39, f"config.{key} must be 0 or from 1.2e-38 to 3.4e+38, as the float32 of a step, got ")
            for key in RATES
        ),
        *(
            (key, 1e-300, f"config.{key} must be 0 or from 1.2e-38 to 3.4e+38, as the float32 of a step,")
            for key in RATES
        ),
        *((key, value, f"config.{key} must be ") for key in RATES for value in BAD_FLOATS),
    ],
)
@pytest.mark.parametrize("scheme", ["last", "tinytl-lb"])
def test_huge_numbers_are_refused_by_name(config, key, value, words, scheme):
    config.scheme = scheme
    config.update_from_flattened_dict({key: value})
    with pytest.raises(InputError) as error:
        Experiment(config)
    assert str(error.value).startswith(words)
