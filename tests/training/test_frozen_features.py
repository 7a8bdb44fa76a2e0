"""Training on features that are computed once is training on the images."""

import numpy as np
import pytest

from tests.training import tiny
from tests.training.test_loop import TIMES
from tinytl_tf import data
from tinytl_tf.backbones import build
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import Experiment
from tinytl_tf.networks.schemes import apply_scheme, get_scheme
from tinytl_tf.training import Distribution, RunFolder, train
from tinytl_tf.training.frozen_features import frozen_features

WEIGHTS = "mobilenet_v2_1.0_224_coral_ptq_dequant.weights.h5"

LATE = {"scheme": "tinytl-b", "biases": ("head",), "augmentation.crop": False}


def config(shapes, **changes):
    result = tiny.config(shapes)
    with result.unlocked():
        result.update_from_flattened_dict({**LATE, **changes})
    return result


def rows(folder):
    return [{key: row[key] for key in row if key not in TIMES} for row in RunFolder(folder).read_log()]


def assert_close(folder, other):
    assert len(rows(folder)) == len(rows(other)) > 0
    for row, expected in zip(rows(folder), rows(other), strict=True):
        assert row.pop("test_classes") == expected.pop("test_classes")
        assert row == pytest.approx(expected, rel=2e-3, abs=1e-5)


@pytest.fixture(scope="module")
def plain(shapes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "run"
    train(config(shapes), str(folder))
    return folder


def test_features_stay_float32_where_steps_are_in_half_precision(shapes, plain, tmp_path):
    half = {"training.cache_features": True, "training.precision": "mixed_bfloat16"}
    train(config(shapes, **half), str(tmp_path / "run"))
    for row, expected in zip(rows(tmp_path / "run"), rows(plain), strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=0.05)  # 8 bits of a mantissa are 0.4 % an operation


def test_the_numbers_are_those_of_training_on_images(shapes, plain, tmp_path, monkeypatch):
    computed = []
    from tinytl_tf.training import frozen_features as module

    class Watched(module.CachedFeatures):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            computed.append(self)

    monkeypatch.setattr(module, "CachedFeatures", Watched)
    train(config(shapes, **{"training.cache_features": True}), str(tmp_path / "run"))
    assert_close(tmp_path / "run", plain)
    splits = Experiment(config(shapes)).load_data()
    images = len(splits.train) + len(splits.test)
    assert images <= computed[0].computed <= 2 * images
    assert computed[0].found > 0
    assert not list((tmp_path / "run").glob("*.tmp"))


def weights(folder):
    return [value for variables in RunFolder(folder).load("last").weights for value in variables.numpy().ravel()]


@pytest.mark.thorough
@pytest.mark.parametrize(("scheme", "end"), [("tinytl-b", 2), ("last", 3)])
def test_a_run_goes_on_with_the_same_numbers(shapes, tmp_path, scheme, end):
    """Features are computed beside those of other images then, which must not change a bit of them."""
    changes = {"scheme": scheme} | ({"biases": ()} if scheme == "last" else {})
    cached = config(shapes, **{"training.cache_features": True, "training.saves_per_epoch": 2, **changes})
    train(cached, str(tmp_path / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        save, ends = RunFolder.save, []

        def save_and_stop(self, name, model):
            save(self, name, model)
            if name == "last":
                ends.append(1)
            if len(ends) == end:
                raise KeyboardInterrupt

        patch.setattr(RunFolder, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(cached, str(tmp_path / "stopped"))
    train(cached, str(tmp_path / "stopped"), resume=True)
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")
    assert weights(tmp_path / "stopped") == weights(tmp_path / "whole")
    with pytest.raises(InputError, match="cannot resume: config.training.cache_features was True and is now False"):
        train(config(shapes, **changes), str(tmp_path / "stopped"), resume=True)


def assert_independent(model, images, folder):
    """Bit for bit: in any place of a call and beside any others, repeated ones too."""
    with frozen_features(model, folder) as (_, features):
        together, rng = features._together, np.random.default_rng(0)
        expected = features._compute(images[:together])
        for count in (together, together, together, 1, 2, together - 1):
            chosen = np.resize(rng.permutation(together)[:count], together)
            others = images[chosen]
            others[count:] = images[rng.permutation(len(images))[: together - count]]
            got = features._compute(others)
            for place, index in enumerate(chosen[:count]):
                np.testing.assert_array_equal(got[place], expected[index])


@pytest.mark.parametrize("scheme", ["tinytl-b", "last"])
def test_features_do_not_depend_on_the_images_beside(shapes, tmp_path, scheme):
    model, _ = Experiment(config(shapes, scheme=scheme, biases=("head",) * (scheme != "last"))).build_model(3)
    images = np.random.default_rng(1).integers(0, 256, [40, tiny.SIDE, tiny.SIDE, 3], np.uint8)
    assert_independent(model, images, tmp_path)


@pytest.mark.thorough
def test_features_of_a_trained_network_do_not_depend_on_the_images_beside(shared, tmp_path):
    model = build("mobilenet_v2", classes=17, resolution=128, weights=str(shared / "weights" / WEIGHTS))
    apply_scheme(model.weights, get_scheme("last"))  # so that the features have come through all of it
    splits = data.load(shared / "data" / "oxford_flowers17_128.npz")
    images, _ = next(data.eval_batches(splits.test, batch_size=40, image_size=128))
    assert_independent(model, images, tmp_path)


def test_random_crops_are_refused_in_words(shapes):
    with pytest.raises(InputError, match="got crop: a random crop makes another image each time"):
        Experiment(config(shapes, **{"training.cache_features": True, "augmentation.crop": True}))


def test_a_network_that_trains_its_first_place_is_refused_and_an_older_run_stays(shapes, plain, tmp_path):
    before = {path.name: path.read_bytes() for path in plain.iterdir()}
    with pytest.raises(InputError, match="expected a network with frozen first places"):
        train(config(shapes, biases=(), **{"training.cache_features": True}), str(plain))
    assert {path.name: path.read_bytes() for path in plain.iterdir()} == before


def test_several_devices_are_refused_before_anything_is_written(shapes, tmp_path):
    class Two(Distribution):
        devices = 2

    with pytest.raises(InputError, match="expected config.training.cache_features on one device, got 2"):
        train(config(shapes, **{"training.cache_features": True}), str(tmp_path / "run"), distribution=Two())
    assert not (tmp_path / "run").exists()


@pytest.mark.thorough
def test_dropout_is_drawn_behind_the_split(shapes, tmp_path):
    """With the classifier alone, dropout is all that makes two steps on the same image differ."""
    cached = config(shapes, scheme="last", biases=(), **{"training.cache_features": True, "backbone.dropout": 0.5})
    train(cached, str(tmp_path / "dropped"))
    cached.backbone.dropout = 0.0
    train(cached, str(tmp_path / "kept"))
    losses = [[row["loss"] for row in rows(tmp_path / name)] for name in ("dropped", "kept")]
    assert not np.allclose(*losses, rtol=1e-3)
