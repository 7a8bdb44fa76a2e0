"""The real TensorFlow Datasets, on sets that are made here: nothing is downloaded."""

import socket
import sys
import time

import numpy as np
import pytest

from tests.data.conftest import picture
from tinytl_tf import data
from tinytl_tf.errors import InputError

tfds = pytest.importorskip("tensorflow_datasets")
FOLDER = "lay its images out as train/CLASS/*.jpg and test/CLASS/*.jpg and give that folder"


class TinyPictures(tfds.core.GeneratorBasedBuilder):
    """Pictures of two classes; each configuration is one set of splits."""

    VERSION = tfds.core.Version("1.0.0")
    SPLITS = {
        "all": {"train": 8, "validation": 4, "test": 6},
        "food": {"train": 8, "validation": 4},
        "flat": {"train": 8},
        "trainless": {"test": 8},
    }
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in SPLITS]

    def _info(self):
        features = {
            "image": tfds.features.Image(encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "mask": tfds.features.Image(),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split, n) for split, n in self.SPLITS[self.builder_config.name].items()}

    def _generate_examples(self, split, n):
        for index in range(n):
            image = np.asarray(picture(index + len(split) * 100))
            yield f"{split}{index}", {"image": image, "label": index % 2, "mask": image}


class TinyDeep(tfds.core.GeneratorBasedBuilder):
    """Gray pictures whose 16 bits hold 10: those to test reach the largest value, those to train do not."""

    VERSION = tfds.core.Version("1.0.0")
    LARGEST = {"train": 400, "test": 1023}

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(8, 8, 1), dtype=np.uint16, encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features), supervised_keys=("image", "label")
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(largest) for split, largest in self.LARGEST.items()}

    def _generate_examples(self, largest):
        for index in range(4):
            yield index, {"image": np.full([8, 8, 1], largest, np.uint16), "label": index % 2}


class TinySecret(TinyPictures):
    """Pictures whose test labels are kept secret, as those of ImageNet."""

    BUILDER_CONFIGS = []

    def _split_generators(self, dl_manager):
        sizes = {"train": 8, "validation": 4, "test": 6}
        return {split: self._generate_examples(split, size) for split, size in sizes.items()}

    def _generate_examples(self, split, n):
        for key, example in super()._generate_examples(split, n):
            yield key, example | ({"label": -1} if split == "test" else {})


class TinyFaces(tfds.core.GeneratorBasedBuilder):
    """Pictures with two attributes each, as those of CelebA."""

    VERSION = tfds.core.Version("1.0.0")
    SIZES = {"train": 6, "validation": 3, "test": 4}

    def _info(self):
        features = {
            "image": tfds.features.Image(encoding_format="png"),
            "attributes": {"Young": np.bool_, "Bald": np.bool_},
            "landmarks": {"nose_x": np.int64},
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split, size) for split, size in self.SIZES.items()}

    def _generate_examples(self, split, size):
        for index in range(size):
            image = np.asarray(picture(index))
            attributes = {"Young": index % 2 == 0, "Bald": index == 1}
            yield f"{split}{index}", {"image": image, "attributes": attributes, "landmarks": {"nose_x": 3}}


class TinyNumbers(tfds.core.GeneratorBasedBuilder):
    """A set without images."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({"x": np.int64}))

    def _split_generators(self, dl_manager):
        return {"train": iter([(0, {"x": 1})])}

    def _generate_examples(self):
        raise NotImplementedError


class TinyRemote(TinyPictures):
    """A set that must be downloaded from a server that is not there."""

    BUILDER_CONFIGS = []
    url_infos = {}

    def _split_generators(self, dl_manager):
        raise ConnectionError("no route\nto host")


def load(name, folder, **options):
    return data.load(f"tfds:{name}", data_dir=folder, **options)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("tfds")


@pytest.mark.parametrize(("config", "train", "test"), [("all", 12, 6), ("food", 8, 4), ("flat", 6, 2)])
def test_splits(data_dir, config, train, test):
    splits = load(f"tiny_pictures/{config}", data_dir)
    assert splits.train.class_names == splits.test.class_names == ("cat", "dog")
    assert (len(splits.train), len(splits.test)) == (train, test)
    assert np.bincount(splits.test.labels).tolist() == [test // 2] * 2


def test_a_test_split_of_secret_labels_is_none(data_dir):
    splits = load("tiny_secret", data_dir)
    assert (len(splits.train), len(splits.test), splits.validation) == (8, 4, None)


def test_attributes_of_yes_or_no_are_labels(data_dir):
    splits = load("tiny_faces", data_dir)
    assert {name: len(dataset) for name, dataset in splits.by_name.items()} == TinyFaces.SIZES
    assert splits.train.task == "multilabel"
    assert splits.test.class_names == ("Bald", "Young")
    found = {splits.test.image(index).tobytes(): splits.test.labels[index].tolist() for index in range(4)}
    assert found == {np.asarray(picture(index)).tobytes(): [index == 1, index % 2 == 0] for index in range(4)}


def test_images_keep_their_labels(data_dir):
    test = load("tiny_pictures/all", data_dir).test
    expected = {np.asarray(picture(index + 400)).tobytes(): index % 2 for index in range(6)}
    assert {test.image(index).tobytes(): int(test.labels[index]) for index in range(6)} == expected


def test_deep_pixels_are_scaled_by_their_range_in_all_splits(data_dir):
    splits = load("tiny_deep", data_dir)
    assert {name: dataset.image(0).max() for name, dataset in splits.by_name.items()} == {"train": 100, "test": 255}


def test_order_is_always_the_same(data_dir):
    first, second = (load("tiny_pictures/all", data_dir).train for _ in range(2))
    np.testing.assert_array_equal(first.labels, second.labels)
    for index in range(len(first)):
        np.testing.assert_array_equal(first.image(index), second.image(index))


def test_a_prepared_set_needs_no_download(data_dir):
    load("tiny_pictures/all", data_dir)
    assert len(load("tiny_pictures/all", data_dir, download=False).train) == 12


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such_set",
            "'tfds:no_such_set' is not known to TensorFlow Datasets (Dataset no_such_set not found.); see "
            f"https://www.tensorflow.org/datasets/catalog for the names, or {FOLDER}",
        ),
        (
            "tiny_numbers",
            "'tfds:tiny_numbers' is not a set of images with one class, or with attributes of yes or no, each; its "
            "supervised keys are None",
        ),
        ("tiny_pictures/trainless", "'tfds:tiny_pictures/trainless' has no split 'train'; it has test"),
    ],
)
def test_unusable_sets(data_dir, name, message):
    with pytest.raises(InputError) as info:
        load(name, data_dir)
    assert str(info.value) == message


@pytest.mark.parametrize("name", ["tiny_pictures:9.9.9", "tiny_pictures/no_such_config", "", "a b", "tiny_pictures[x"])
def test_bad_names(data_dir, name):
    with pytest.raises(InputError) as info:
        load(name, data_dir)
    assert str(info.value).startswith(f"'tfds:{name}' is not known to TensorFlow Datasets (")
    assert "\n" not in str(info.value)


def test_download_not_allowed(tmp_path):
    with pytest.raises(InputError) as info:
        load("tiny_pictures/all", tmp_path, download=False)
    assert str(info.value) == (
        f"'tfds:tiny_pictures/all' is not prepared in {tmp_path}/tiny_pictures/all/1.0.0; allow the download, "
        f"or prepare it there with: tfds build tiny_pictures/all; or {FOLDER}"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download(tmp_path):
    with pytest.raises(InputError) as info:
        load("tiny_remote", tmp_path)
    assert str(info.value) == (
        f"'tfds:tiny_remote' cannot be prepared in {tmp_path}/tiny_remote/1.0.0 (no route); check the network, "
        f"copy this folder from a machine where the set is prepared, or {FOLDER}"
    )


def test_no_network_fails_at_once(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: the connection is refused
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/set.zip"
        monkeypatch.setattr(TinyRemote, "url_infos", {url: None})
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        start = time.monotonic()
        with pytest.raises(InputError) as info:
            load("tiny_remote", tmp_path)
    assert time.monotonic() - start < 5
    assert str(info.value).startswith(f"'tfds:tiny_remote' cannot be downloaded from {url} (")
    assert str(info.value).endswith(
        f"check the network, copy the folder {tmp_path}/tiny_remote/1.0.0 from a machine where the set is prepared, or "
        f"{FOLDER}"
    )


def test_missing_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError) as info:
        data.load("tfds:mnist")
    assert str(info.value) == (
        "'tfds:mnist' needs TensorFlow Datasets; install it with: pip install tensorflow-datasets"
    )
