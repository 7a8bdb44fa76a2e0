"""The paper's recipes: their values, and a few steps of each on sets that stand for those of TensorFlow Datasets."""

import dataclasses
import importlib
import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.configs import default
from tinytl_tf.experiment import Experiment
from tinytl_tf.training import RunFolder, pretrain, train

tfds = pytest.importorskip("tensorflow_datasets")

IMAGES = 4  # of each split


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What the paper's scripts and table 2 say of a set, and its splits in TensorFlow Datasets."""

    data: str
    classes: int
    splits: tuple[str, ...]
    rate: float  # 0 for that of the scheme
    smoothing: float
    color: str
    accuracies: tuple[str, ...]  # last, tinytl-b, tinytl-l, tinytl-lb, norm+last, full, tinytl-lb at 320 px
    rate_of_one: str | None = None  # of batch 1


TEST, VALIDATION = ("train", "test"), ("train", "validation")
ALL = ("train", "validation", "test")
RECIPES = {
    "flowers102": Recipe(
        "tfds:oxford_flowers102", 102, ALL, 2e-4, 0.7, "none", (90.1, 93.5, 95.3, 95.5, 94.3, 96.8, 96.8), "3e-4"
    ),
    "cars196": Recipe(
        "tfds:cars196", 196, TEST, 8e-4, 0.7, "torch", (50.9, 73.4, 84.2, 85.0, 77.9, 90.2, 88.8), "2e-4"
    ),
    "cub200": Recipe(
        "tfds:caltech_birds2011", 200, TEST, 6e-4, 0.7, "none", (73.3, 75.3, 76.8, 77.1, 76.3, 81.0, 81.0)
    ),
    "food101": Recipe("tfds:food101", 101, VALIDATION, 2e-4, 0.1, "none", (68.7, 75.5, 79.2, 79.7, 77.0, 84.6, 82.9)),
    "pets37": Recipe("tfds:oxford_iiit_pet", 37, TEST, 0.5e-4, 0.7, "none", (91.3, 92.1, 91.7, 91.8, 92.2, 93.0, 92.9)),
    "aircraft100": Recipe(
        "fgvc_aircraft/", 100, TEST, 16e-4, 0.7, "torch", (44.9, 63.2, 76.4, 75.4, 68.1, 86.0, 82.3), "3e-4"
    ),
    "cifar10": Recipe("tfds:cifar10", 10, TEST, 3e-4, 0.1, "none", (85.9, 93.7, 96.1, 95.9, 94.8, 97.1, 96.1)),
    "cifar100": Recipe("tfds:cifar100", 100, TEST, 3e-4, 0.1, "none", (68.8, 78.8, 80.9, 81.4, 80.2, 84.1, 81.5)),
    "celeba40": Recipe("tfds:celeb_a", 40, ALL, 0.0, 0.0, "none", (88.7, 90.4, 91.2, 91.2, 90.4, 91.4)),
}


def module(name):
    return importlib.import_module(f"tinytl_tf.configs.{name}")


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Puts a small builder with the classes or attributes and the splits of a set in its place."""

    def put(recipe):
        asked = []
        names = [f"class {index}" for index in range(recipe.classes)]
        is_attributes = recipe.data == "tfds:celeb_a"

        class StandIn(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version("1.0.0")
            pkg_dir_path = tmp_path

            def _info(self):
                label = dict.fromkeys(names, np.bool_) if is_attributes else tfds.features.ClassLabel(names=names)
                features = {"image": tfds.features.Image(), "attributes" if is_attributes else "label": label}
                return self.dataset_info_from_configs(
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=None if is_attributes else ("image", "label"),
                )

            def _split_generators(self, dl_manager):
                return {split: self._generate_examples() for split in recipe.splits}

            def _generate_examples(self):
                for index in range(IMAGES):
                    image = np.full([48, 48, 3], 20 * index, np.uint8)
                    if is_attributes:
                        yield index, {"image": image, "attributes": dict.fromkeys(names, index % 2 == 0)}
                    else:
                        yield index, {"image": image, "label": index}

        def builder(name, data_dir=None):
            asked.append(name)
            return StandIn(data_dir=str(tmp_path / "tfds"))

        monkeypatch.setattr(tfds, "builder", builder)
        return asked

    monkeypatch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
    return put


def small(config):
    """The recipe on the tiny network, for an epoch."""
    config = config.copy_and_resolve_references()
    config.update_from_flattened_dict(
        {"backbone.name": tiny.BACKBONE, "backbone.resolution": 40, "backbone.weights": "", "training.epochs": 1}
    )
    return config


def lay_out(folder):
    """The folder that the docstring of a set without a builder describes."""
    for split in ("train", "test"):
        for variant in ("707-320", "A380"):
            place = folder / split / variant
            place.mkdir(parents=True)
            for index in range(2):
                Image.fromarray(np.full([48, 48, 3], 50 * index, np.uint8)).save(place / f"{index}.jpg")


def test_there_is_a_recipe_for_each_set():
    found = pathlib.Path(default.__file__).parent.glob("paper_*.py")
    assert {path.stem.removeprefix("paper_") for path in found} == set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_values_are_those_of_the_papers_scripts(name):
    recipe, config = RECIPES[name], module(f"paper_{name}").get_config()
    training = config.training
    assert (config.data.name, config.scheme, config.backbone.resolution) == (recipe.data, "tinytl-lb", 224)
    assert (training.epochs, training.batch_size, training.optimizer, training.schedule) == (50, 8, "adam", "cosine")
    assert (training.learning_rate, training.label_smoothing) == (recipe.rate, recipe.smoothing)
    assert (training.warmup_steps, training.weight_decay, training.clip_norm) == (0, 0.0, 0.0)
    assert (config.augmentation.color, config.augmentation.crop_area, config.augmentation.flip) == (
        recipe.color,
        (0.22, 1.0),
        True,
    )
    assert (config.backbone.dropout, config.data.central_fraction) == (0.2, 0.875)


@pytest.mark.parametrize("name", RECIPES)
def test_the_docstring_has_the_papers_results_and_the_rate_of_batch_1(name):
    recipe, text = RECIPES[name], " ".join(module(f"paper_{name}").__doc__.split())
    schemes = ("last", "tinytl-b", "tinytl-l", "tinytl-lb", "norm+last", "full", "tinytl-lb at 320 px")
    for scheme, accuracy in zip(schemes, recipe.accuracies, strict=False):
        assert f"{scheme} {accuracy} %" in text
    one = f"`--config.training.batch_size=1 --config.training.learning_rate={recipe.rate_of_one}`"
    assert (one in text) is (recipe.rate_of_one is not None)


FIRST, *OTHERS = RECIPES


@pytest.mark.parametrize("name", [FIRST, *(pytest.param(name, marks=pytest.mark.thorough) for name in OTHERS)])
def test_a_recipe_trains(name, stand_in, tmp_path, monkeypatch):
    recipe, config = RECIPES[name], small(module(f"paper_{name}").get_config())
    asked = stand_in(recipe)
    monkeypatch.chdir(tmp_path)
    if not recipe.data.startswith("tfds:"):
        lay_out(tmp_path / recipe.data)
    train(config, str(tmp_path / "run"))
    (row,) = RunFolder(tmp_path / "run").read_log()
    assert (row["step"], np.isfinite(row["test_loss"])) == (1, True)
    assert asked == ([recipe.data.removeprefix("tfds:")] if recipe.data.startswith("tfds:") else [])
    if recipe.splits == ALL:  # flowers' validation images train as well, those of CelebA do not
        splits = Experiment(config).load_data()
        assert (len(splits.train), splits.validation is None) == ((8, True) if name == "flowers102" else (4, False))


@pytest.mark.thorough
def test_a_pre_training_on_imagenet_runs(stand_in, tmp_path):
    asked = stand_in(Recipe("tfds:imagenet2012", 1000, VALIDATION, 2e-3, 0.1, "none", ()))
    config = small(module("pretrain_imagenet").get_config())
    config.training.batch_size = 2
    result = pretrain(config, str(tmp_path / "run"))
    assert (asked[0], result["card"]["classes"], result["card"]["scheme"]) == ("imagenet2012", 1000, "tinytl-l")


def test_tensorflow_datasets_knows_the_sets():
    known = set(tfds.list_builders(with_community_datasets=False))
    assert {recipe.data.removeprefix("tfds:") for recipe in RECIPES.values() if recipe.data.startswith("tfds:")} < known
    assert "imagenet2012" in known
