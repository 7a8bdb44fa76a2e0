"""Branches from a source set: trained, written, read into another network."""

import dataclasses
import importlib.resources
import json
import shutil

import keras
import numpy as np
import pytest

from tests.damage import damaged, require_line
from tests.training import tiny
from tinytl_tf import backbones
from tinytl_tf.backbones.branch_weights import read_branch_card
from tinytl_tf.errors import InputError
from tinytl_tf.training import Experiment, RunFolder, pretrain, train

SETTINGS = {"scheme": "tinytl-l", "training.epochs": 1, "training.learning_rate": 0.02, "training.saves_per_epoch": 2}
MARK = "_lite_residual/"
FRESH = "lite residuals start fresh: random, with an output of zero"


@pytest.fixture(scope="module")
def source(shapes, tmp_path_factory):
    """A run of pre-training: its folder and result."""
    folder = tmp_path_factory.mktemp("source") / "run"
    config = tiny.config(shapes)
    config.update_from_flattened_dict(SETTINGS)
    return folder, pretrain(config, str(folder), license="that of the shapes")


@pytest.fixture
def branches(source):
    return source[0] / "branches.npz"


def arrays(path):
    return {name: array for name, array in np.load(path).items() if name != "card"}


def test_only_branches_and_classifier_are_trained(source, config, branches):
    trained = {v.path: v.numpy() for v in RunFolder(source[0]).load("last").weights}
    start, _ = Experiment(config.copy_and_resolve_references()).build_model(3)
    changed = {v.path for v in start.weights if (v.numpy() != trained[v.path]).any()}
    assert {path for path in changed if not path.startswith("classifier/")} == set(arrays(branches))
    assert all(MARK in path for path in arrays(branches))


def test_the_file_has_float16_and_a_card_that_says_how_it_was_made(source, branches):
    assert {array.dtype for array in arrays(branches).values()} == {np.dtype(np.float16)}
    card = read_branch_card(str(branches), tiny.BACKBONE, 1.0)
    assert dataclasses.asdict(card) == json.loads(json.dumps(source[1]["card"]))
    assert (card.source, card.license, card.train_images, card.test_images) == (
        "shapes.npz",
        "that of the shapes",
        24,
        9,
    )
    assert card.test_accuracy == source[1]["test_accuracy"] == RunFolder(source[0]).read_log()[-1]["test_accuracy"]
    assert card.config["training.learning_rate"] == 0.02
    assert "/" not in card.config["data.name"]
    assert str(card).startswith("lite residuals pre-trained on 24 images of 3 classes of shapes.npz at 40 px: ")


def test_a_network_starts_from_the_branches(source, config, branches):
    config.backbone.branch_weights = str(branches)
    experiment = Experiment(config)
    model, resolution = experiment.build_model(5)
    trained = {v.path: v.numpy() for v in RunFolder(source[0]).load("last").weights}
    for variable in model.weights:
        if MARK in variable.path:
            np.testing.assert_allclose(variable.numpy(), trained[variable.path], rtol=1e-3, atol=1e-6)
    assert experiment.describe_branches(model).startswith("lite residuals pre-trained on ")
    assert last_kernel(model).max() > 0


@pytest.mark.thorough
def test_a_training_says_what_its_branches_start_from(config, branches, tmp_path, capsys):
    config.training.epochs = 1
    train(config, str(tmp_path / "fresh"))
    assert f"{FRESH}; those that come with the package are for other networks\n" in capsys.readouterr().out
    config.backbone.branch_weights = ""
    train(config, str(tmp_path / "asked for"))
    assert f"{FRESH}\n" in capsys.readouterr().out
    config.backbone.branch_weights = str(branches)
    train(config, str(tmp_path / "trained"))
    assert "lite residuals pre-trained on 24 images of 3 classes of shapes.npz" in capsys.readouterr().out


def test_a_killed_pre_training_ends_like_another(source, config, branches, tmp_path, monkeypatch):
    config.update_from_flattened_dict(SETTINGS)
    save = RunFolder.save

    def killed(self, name, model):
        save(self, name, model)
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, str(tmp_path))
    monkeypatch.setattr(RunFolder, "save", save)
    assert not (tmp_path / "branches.npz").exists()
    result = pretrain(config, str(tmp_path), resume=True, license="that of the shapes")
    assert result["card"] == source[1]["card"]
    assert (tmp_path / "branches.npz").read_bytes() == branches.read_bytes()


def test_biases_that_were_trained_with_the_branches_come_along(config, tmp_path):
    config.update_from_flattened_dict(SETTINGS | {"scheme": "tinytl-lb"})
    pretrain(config, str(tmp_path))
    found = set(arrays(tmp_path / "branches.npz"))
    assert {"head/norm/beta", "block_1_lite_residual/norm/beta"} <= found
    config.backbone.branch_weights = str(tmp_path / "branches.npz")
    model, _ = Experiment(config).build_model(3)
    betas = {v.path: v.numpy() for v in model.weights if v.path in found}
    assert np.abs(betas["head/norm/beta"]).max() > 0


def test_a_scheme_of_late_branches_is_refused(config, tmp_path):
    """A file of branches names the scheme, and is read without the network that late places depend on."""
    config.scheme = "sparse-update-l"
    with pytest.raises(InputError, match="^scheme sparse-update-l trains late places only, and pre-trained branches "):
        pretrain(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_scheme_without_branches_has_nothing_to_keep(config, tmp_path):
    config.scheme = "tinytl-b"
    with pytest.raises(InputError, match="^scheme tinytl-b trains no lite residuals to keep; choose tinytl-l, or "):
        pretrain(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_branches_for_a_scheme_that_has_none_are_refused(config, branches):
    config.scheme, config.backbone.branch_weights = "last", str(branches)
    with pytest.raises(
        InputError, match="^config.backbone.branch_weights does nothing for scheme 'last', which has no"
    ):
        Experiment(config)


def rewritten(branches, path, card=None, **changes):
    content = dict(np.load(branches))
    text = json.loads(content["card"].tobytes()) | (card or {})
    content["card"] = np.frombuffer(json.dumps(text).encode(), np.uint8)
    content |= {name.replace("__", "/"): array for name, array in changes.items()}
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    return str(path)


KERNEL = "block_1_lite_residual__kernel"
BAD = {
    "another network": (
        {"card": {"backbone": "mobilenet_v2"}},
        "has branches of mobilenet_v2 at width 1.0, expected tiny",
    ),
    "another width": ({"card": {"width": 0.5}}, "has branches of tiny at width 0.5, expected tiny at width 1.0: lite"),
    "another format": ({"card": {"format_version": 1}}, "has format 1 of branches, expected 2; train such a file with"),
    "a card with a strange key": ({"card": {"strange": 2}}, "has no card of branches that can be read; train such"),
    "a card of other types": ({"card": {"test_accuracy": "good"}}, "has no card of branches that can be read; train"),
    "an array too few": ({KERNEL: None}, "lacks block_1_lite_residual/kernel (1 arrays of tiny are missing); train"),
    "an array too many": (
        {"body__kernel": np.ones(3, np.float16)},
        "has the array body/kernel, which tiny has not; it",
    ),
    "another shape": (
        {KERNEL: np.ones([3, 3, 4, 8], np.float16)},
        "does not fit tiny: block_1_lite_residual/kernel has shape (5, 5, 4, 8), the file has float16 (3, 3, 4, 8); it",
    ),
    "numbers of another kind": ({KERNEL: np.ones([5, 5, 4, 8], np.int16)}, "does not fit tiny: block_1_lite_residual/"),
    "values that are none as float32": (
        {KERNEL: np.full([5, 5, 4, 8], 1e39)},
        "holds values that are not finite for block_1_lite_residual/kernel; train",
    ),
    "a frozen kernel": (
        {"stem__kernel": np.zeros([3, 3, 3, 4], np.float16)},
        "has the array stem/kernel, which is neither of a branch nor trained by its scheme tinytl-l: it would replace",
    ),
    "a frozen bias": (
        {"stem__norm__beta": np.zeros([4], np.float16)},
        "has the array stem/norm/beta, which is neither of a branch nor trained by its scheme tinytl-l: it would",
    ),
    "a frozen kernel beside biases": (
        {"card": {"scheme": "tinytl-lb"}, "stem__kernel": np.zeros([3, 3, 3, 4], np.float16)},
        "has the array stem/kernel, which is neither of a branch nor trained by its scheme tinytl-lb",
    ),
    "statistics beside biases": (
        {"card": {"scheme": "tinytl-lb"}, "stem__norm__moving_mean": np.zeros([4], np.float16)},
        "has the array stem/norm/moving_mean, which is neither of a branch nor trained by its scheme tinytl-lb",
    ),
    "a classifier": (
        {"card": {"scheme": "tinytl-lb"}, "classifier__bias": np.zeros([3], np.float16)},
        "has the array classifier/bias, which is neither of a branch nor trained by its scheme tinytl-lb",
    ),
    "a scheme of late places": (
        {"card": {"scheme": "sparse-update-l"}},
        "has weights of scheme sparse-update-l, which does not pre-train branches; train",
    ),
    "a scheme that trains everything": (
        {"card": {"scheme": "full"}, "stem__kernel": np.zeros([3, 3, 3, 4], np.float16)},
        "has weights of scheme full, which does not pre-train branches; train",
    ),
    "an unknown scheme": ({"card": {"scheme": "mine"}}, "has no card of branches that can be read; train"),
    "values that are none": (
        {KERNEL: np.full([5, 5, 4, 8], np.nan, np.float16)},
        "holds values that are not finite for",
    ),
}


def test_a_damaged_card_is_refused_in_one_line_or_can_be_printed(branches, tmp_path):
    card = json.loads(np.load(branches)["card"].tobytes())
    card["config"] = {"training.distillation": 0.0, "backbone.branch_final_norm": False}
    kernel, accepted = np.ones([1], np.float16), 0
    for name, text in damaged(card):
        np.savez(tmp_path / "bad.npz", card=np.frombuffer(text.encode(), np.uint8), kernel=kernel)
        try:
            read = read_branch_card(str(tmp_path / "bad.npz"), tiny.BACKBONE, 1.0)
        except InputError as error:
            require_line(error)
            continue
        accepted += 1
        assert str(read).isprintable(), name
        assert (read.backbone, read.width, read.format_version, read.scheme[:8]) == ("tiny", 1.0, 2, "tinytl-l"), name
        assert 0 <= read.test_accuracy <= 1, name
        assert min(read.classes, read.train_images, read.resolution) >= 1, name
    assert accepted > 20


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_does_not_fit_is_refused_in_words(config, branches, tmp_path, case):
    changes, message = BAD[case]
    path = rewritten(branches, tmp_path / "bad.npz", **changes)
    with pytest.raises(InputError) as error:
        backbones.build("tiny", classes=3, resolution=40, weights=None, lite_residual=True, branch_weights=path)
    assert str(error.value).startswith(f"{path} {message}")


def test_nothing_is_copied_unless_all_fits(branches, tmp_path):
    path = rewritten(branches, tmp_path / "bad.npz", block_1_lite_residual__norm__beta=np.ones([9], np.float16))
    model = backbones.build("tiny", classes=3, resolution=40, weights=None, lite_residual=True)
    before = [v.numpy() for v in model.weights]
    with pytest.raises(InputError, match="does not fit tiny: block_1_lite_residual/norm/beta has shape"):
        backbones.branch_weights.load_branches(model, tiny.BACKBONE, path, width=1.0)
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_files_that_are_none_are_refused(config, tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    messages = {
        "none.npz": f"there is no file of branches {tmp_path}/none.npz; give its path, or train such a file",
        "text.npz": f"file of branches {tmp_path}/text.npz cannot be read as .npz (File is not a zip file); train such",
        "other.npz": f"{tmp_path}/other.npz has no card of branches that can be read; train such a file with",
    }
    for name, message in messages.items():
        config.backbone.branch_weights = str(tmp_path / name)
        with pytest.raises(InputError) as error:
            Experiment(config).build_model(3)
        assert str(error.value).startswith(message)


def test_branches_that_do_not_ship_are_told(config):
    config.backbone.branch_weights = "pretrained"
    with pytest.raises(InputError, match="^no pre-trained branches of tiny at width 1.0 come with the package"):
        Experiment(config).build_model(3)


def test_a_value_that_float16_cannot_hold_is_refused(source, branches, tmp_path):
    variable = keras.Variable(np.full([2], 1e6, np.float32), name="large")
    card = read_branch_card(str(branches), tiny.BACKBONE, 1.0)
    with pytest.raises(InputError, match="^expected values below 65504 to store as float16, got larger ones in large;"):
        backbones.save_branches(tmp_path / "large.npz", [variable], card)
    assert not (tmp_path / "large.npz").exists()


def test_branches_that_ship_are_found_by_network_and_width(config, branches, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    (tmp_path / "pretrained").mkdir()
    shutil.copy(branches, tmp_path / "pretrained" / "tiny_1.0.npz")
    config.backbone.branch_weights = "pretrained"
    model, _ = Experiment(config).build_model(3)
    assert (
        Experiment(config).describe_branches(model).startswith("lite residuals pre-trained on 24 images of 3 classes")
    )
    kernel = model.get_layer("block_1_lite_residual").kernel.numpy()
    np.testing.assert_array_equal(kernel, np.load(branches)["block_1_lite_residual/kernel"].astype(np.float32))
    config.backbone.width = 0.5
    with pytest.raises(InputError, match=r"tiny at width 0.5 come with the package \(it has tiny_1.0\); give the path"):
        Experiment(config).build_model(3)


@pytest.fixture
def shipped(branches, tmp_path, monkeypatch):
    """The branches of the tiny network come with the package."""
    monkeypatch.setattr(importlib.resources, "files", lambda package: tmp_path)
    (tmp_path / "pretrained").mkdir()
    shutil.copy(branches, tmp_path / "pretrained" / "tiny_1.0.npz")


def last_kernel(model):
    """Zeros of a fresh branch."""
    return np.abs(model.get_layer("block_1_lite_residual").pointwise_kernel.numpy())


def other_weights(monkeypatch):
    """Random weights that differ from those that the branches were trained in."""
    same = backbones.branch_weights.has_scales
    monkeypatch.setattr(
        backbones.branch_weights, "has_scales", lambda model, card: same(model, card | {"stem": 1.1 * card["stem"]})
    )


def test_branches_that_ship_are_taken_where_they_fit(config, shipped, capsys, tmp_path):
    config.backbone.branch_weights = "auto"
    model, _ = Experiment(config).build_model(3)
    assert last_kernel(model).max() > 0
    config.training.epochs = 1
    train(config, str(tmp_path / "run"))
    assert "lite residuals pre-trained on 24 images of 3 classes of shapes.npz at 40 px" in capsys.readouterr().out
    config.scheme = "last"  # has none, and says nothing
    model, _ = Experiment(config).build_model(3)
    assert Experiment(config).describe_branches(model) == ""


def test_fresh_branches_are_taken_inside_other_weights(config, shipped, branches, monkeypatch):
    other_weights(monkeypatch)
    config.backbone.branch_weights = "auto"
    model, _ = Experiment(config).build_model(3)
    assert last_kernel(model).max() == 0
    reason = "those that come with the package are for other weights than these"
    assert Experiment(config).describe_branches(model) == f"{FRESH}; {reason}\n"
    for source in ("pretrained", str(branches)):
        config.backbone.branch_weights = source
        with pytest.raises(
            InputError, match="has branches that were trained inside the weights '', and tiny has others,"
        ):
            Experiment(config).build_model(3)


def test_branches_without_a_norm_at_their_end_are_not_for_those_with_one(config, shipped, branches):
    config.backbone.branch_final_norm = True
    config.backbone.branch_weights = "auto"
    model, _ = Experiment(config).build_model(3)
    reason = "those that come with the package are for branches without a norm at their end"
    assert Experiment(config).describe_branches(model) == f"{FRESH}; {reason}\n"
    for source in ("pretrained", str(branches)):
        config.backbone.branch_weights = source
        with pytest.raises(InputError) as error:
            Experiment(config).build_model(3)
        assert str(error.value) == (
            f"{source} has branches without a norm at their end, and tiny has some with; set "
            "config.backbone.branch_final_norm=False"
        )


def test_branches_of_plain_kernels_are_not_for_standardized_ones(branches, tmp_path):
    card = read_branch_card(str(branches), tiny.BACKBONE, 1.0)
    card.config["backbone.branch_final_norm"] = True
    options = {"classes": 3, "resolution": 40, "weights": None, "branch_final_norm": True}
    plain, own = (
        backbones.build(
            "tiny", **options, lite_residual={"places": ["block_1"], "weight_standardization": standardized}
        )
        for standardized in (False, True)
    )
    path = str(tmp_path / "plain.npz")
    backbones.save_branches(path, [v for v in plain.weights if MARK in v.path], card)
    with pytest.raises(InputError) as error:
        backbones.branch_weights.load_branches(own, tiny.BACKBONE, path, width=1.0)
    assert str(error.value) == (
        f"{path} has branches without standardized kernels, and tiny has some with; set "
        "config.backbone.branch_weight_standardization=False"
    )


def test_a_file_that_does_not_say_is_of_the_time_when_all_branches_had_a_norm(branches, tmp_path):
    card = read_branch_card(str(branches), tiny.BACKBONE, 1.0)
    del card.config["backbone.branch_final_norm"]
    options = {"classes": 3, "resolution": 40, "weights": None, "lite_residual": True}
    old, new = (backbones.build("tiny", **options, branch_final_norm=norm) for norm in (True, False))
    tiny.open_branches(old)
    path = str(tmp_path / "old.npz")
    backbones.save_branches(path, [v for v in old.weights if MARK in v.path], card)
    with pytest.raises(
        InputError, match="has branches with a norm at their end, and tiny has some without; set config"
    ):
        backbones.branch_weights.load_branches(new, tiny.BACKBONE, path, width=1.0)
    again = backbones.build("tiny", **options, branch_final_norm=True, branch_weights=path)
    np.testing.assert_allclose(last_kernel(again), last_kernel(old), rtol=1e-3)


def test_fresh_branches_are_taken_where_none_ship(config):
    config.backbone.branch_weights = "auto"
    model, _ = Experiment(config).build_model(3)
    assert last_kernel(model).max() == 0
    reason = "those that come with the package are for other networks"
    assert Experiment(config).describe_branches(model) == f"{FRESH}; {reason}\n"
