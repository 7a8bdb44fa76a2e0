"""Whatever has happened to the files of a run, it is read as it was written or refused in one line."""

import copy
import json
import os
import zipfile

import numpy as np
import pytest

from tests.damage import LARGE, NUMBERS, OTHERS, damaged, require_line
from tests.training import tiny
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import flat, network_of
from tinytl_tf.training import Experiment, RunFolder, train
from tinytl_tf.training.checkpoint import Checkpoint
from tinytl_tf.training.optimizers import make_optimizer
from tinytl_tf.training.run_folder import Run

TEXTS = [
    "0",
    "-1",
    "2",
    "0.5",
    "1e39",
    "1e400",
    "NaN",
    str(2**63),
    str(10**30),
    "null",
    "true",
    '""',
    '"x"',
    "[]",
    "{}",
]
EPOCHS = 3  # of `tiny.config`
ROWS = [
    {"epoch": epoch, "step": 4 * epoch + 4, "loss": 1.0 - 0.1 * epoch, "ends_epoch": True, "test_accuracy": 0.5}
    for epoch in range(2)
]


@pytest.fixture(scope="module")
def model(shapes):
    network, _ = Experiment(tiny.config(shapes)).build_model(3)
    network.compile(make_optimizer("adam"))
    network.optimizer.build(network.trainable_variables)
    return network


@pytest.fixture
def folder(shapes, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.start(Run(tiny.config(shapes), tiny.CLASSES, "classification", {"train": "ab", "test": "cd"}))
    folder.write_log(ROWS)
    return folder


def refused(call, *arguments):
    with pytest.raises(InputError) as error:
        call(*arguments)
    require_line(error.value)
    return str(error.value)


def test_a_run_comes_back_as_it_was_written(folder, shapes):
    run = folder.read_run()
    assert flat(run.config) == flat(tiny.config(shapes))
    assert (run.class_names, run.task, run.fingerprints) == (
        tiny.CLASSES,
        "classification",
        {"train": "ab", "test": "cd"},
    )
    assert folder.read_log() == ROWS


@pytest.mark.parametrize("text", [*NUMBERS, *OTHERS, *LARGE, "", "{"], ids=lambda text: text[:10])
def test_a_run_that_is_no_object_is_refused(folder, text):
    path = folder.path / "run.json"
    path.write_text(text)
    assert refused(folder.read_run) == f"{path} is damaged; train again without resuming"


def test_each_damaged_field_of_a_run_is_refused_or_checked(folder):
    path = folder.path / "run.json"
    values, accepted = json.loads(path.read_text()), 0
    for name, text in damaged(values, None, TEXTS):
        path.write_text(text)
        try:
            run = folder.read_run()
        except InputError as error:
            require_line(error)
            continue
        accepted += 1
        assert Experiment(run.config), name
        assert len(set(run.class_names)) == len(run.class_names) > 0, name
        assert all(isinstance(text, str) and text.strip() for text in run.class_names), name
        assert run.task in ("classification", "multilabel"), name
        assert run.fingerprints is None or all(isinstance(text, str) for text in run.fingerprints.values()), name
    assert accepted > 50


def test_each_damaged_row_of_the_log_is_refused_or_has_its_figures(folder):
    path, accepted = folder.path / "log.jsonl", 0
    for name, text in damaged(ROWS[1], None, TEXTS):
        path.write_text(f"{json.dumps(ROWS[0])}\n{text}\n")
        try:
            rows = folder.read_log()
        except InputError as error:
            require_line(error)
            continue
        accepted += 1
        for row in rows:
            assert (type(row["epoch"]), type(row["step"])) == (int, int), name
            assert np.isfinite([row["loss"], row.get("test_accuracy", 0)]).all(), name
            assert type(row["ends_epoch"]) is bool, name
    assert accepted > 5


def test_a_log_that_is_cut_short_or_no_text_is_refused(folder):
    path = folder.path / "log.jsonl"
    content = path.read_bytes()
    for damage in (
        content[:-1],
        content[:-20],
        content + b"\n",
        b"\xff" + content,
        b"\0" * 100,
        content.replace(b"\n", b""),
    ):
        path.write_bytes(damage)
        assert refused(folder.read_log) == f"{path} is damaged; train again without resuming"
    path.write_bytes(b"")
    assert folder.read_log() == []


def test_rows_of_an_older_run_end_their_epochs_where_they_have_an_accuracy(folder):
    rows = [{**row} for row in ROWS]
    for row in rows:
        del row["ends_epoch"]
    folder.write_log([{"epoch": 0, "step": 2, "loss": 1.5}, *rows])
    assert [row["ends_epoch"] for row in folder.read_log()] == [False, True, True]


def test_a_checkpoint_says_when_it_was_saved(folder, model):
    folder.write_log([ROWS[0], {**ROWS[1], "step": 6, "ends_epoch": False}, ROWS[1]])
    for step, epoch in ((4, 1), (6, None), (8, 2), (9, None)):
        model.optimizer.iterations.assign(step)
        assert folder.checkpoint("best", model) == Checkpoint("best", step, epoch, EPOCHS)
    model.optimizer.iterations.assign(0)
    (folder.path / "log.jsonl").write_text("{")
    assert folder.checkpoint("last", model) == Checkpoint("last", 0, None, EPOCHS)
    model.optimizer, optimizer = None, model.optimizer
    assert str(folder.checkpoint("last", model)) == "checkpoint last"
    model.optimizer = optimizer


def test_what_is_no_file_is_refused_and_not_waited_for(folder):
    for name, read in (("run.json", folder.read_run), ("log.jsonl", folder.read_log)):
        path = folder.path / name
        for make in (os.mkfifo, os.mkdir):
            path.unlink()
            make(path)
            assert "holds no run" in refused(read) or "expected to read" in refused(read)
            path.rmdir() if path.is_dir() else path.unlink()
            path.touch()


@pytest.mark.parametrize("damage", ["cut", "half", "byte", "zeros", "empty", "folder"])
def test_a_damaged_checkpoint_is_refused(folder, model, damage):
    folder.save("last", model)
    path = folder.path / "last.keras"
    content = path.read_bytes()
    middle = len(content) // 2
    changed = {
        "cut": content[:-1],
        "half": content[:middle],
        "byte": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "zeros": content[:middle] + bytes(1000) + content[middle + 1000 :],
        "empty": b"",
    }
    path.unlink()
    if damage == "folder":
        path.mkdir()
        assert "does not exist" in refused(folder.load, "last")
    else:
        path.write_bytes(changed[damage])
        assert "cannot be read" in refused(folder.load, "last")


def test_a_changed_byte_of_a_checkpoint_is_refused_or_changes_nothing(folder, model):
    folder.save("last", model)
    path, places = folder.path / "last.keras", np.random.default_rng(0)
    content = path.read_bytes()
    for place in places.integers(0, len(content), 25):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            loaded = folder.load("last")
        except InputError as error:
            require_line(error)
            continue
        for variable, expected in zip(loaded.weights, model.weights, strict=True):
            np.testing.assert_array_equal(variable.numpy(), expected.numpy())


def test_a_checkpoint_of_another_network_is_refused(folder, model, shapes):
    folder.save("last", model)
    assert [v.path for v in folder.load("last").weights] == [v.path for v in model.weights]
    values = json.loads((folder.path / "run.json").read_text())
    for section, changes, words in (
        ("class_names", ["a", "b"], "expected inputs and outputs of shapes"),
        (
            "config",
            {"backbone": values["config"]["backbone"] | {"resolution": 48}},
            "expected inputs and outputs of shapes",
        ),
        (
            "config",
            {"backbone": values["config"]["backbone"] | {"width": 2.0}},
            "expected stem/kernel of 432 values, got 216",
        ),
    ):
        changed = copy.deepcopy(values)
        changed[section] = changes if section == "class_names" else changed[section] | changes
        (folder.path / "run.json").write_text(json.dumps(changed))
        assert f"last.keras is not the network of the run: {words}" in refused(folder.load, "last")


def test_a_run_of_several_depths_that_trains_a_share_of_a_kernel_is_read_back(tmp_path, shapes):
    config = tiny.config(shapes).unlock()
    config.scheme, config.kernels = "sparse-update", ("block_1:1/2", "head:1/4:8bit")
    config.backbone.feature_places = ("block_1",)
    network, _ = Experiment(config.lock()).build_model(3)
    own = RunFolder(tmp_path / "run")
    own.start(Run(config, tiny.CLASSES, "classification", {"train": "ab", "test": "cd"}))
    own.save("last", network)
    loaded = own.load("last")
    assert loaded.get_layer("head").kernel.shape[-1] * 4 == network_of(config).layer("head").shape[-1]
    for variable, expected in zip(loaded.weights, network.weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), expected.numpy())


def test_a_checkpoint_of_values_that_are_none_is_refused(folder, shapes):
    network, _ = Experiment(tiny.config(shapes)).build_model(3)
    network.get_layer("classifier").bias.assign([0, np.inf, 0])
    folder.save("best", network)
    assert "classifier/bias has values that are not finite" in refused(folder.load, "best")


def test_a_checkpoint_that_unpacks_to_far_more_is_refused(folder):
    with zipfile.ZipFile(folder.path / "last.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 2**26)
    assert "cannot be read (ValueError)" in refused(folder.load, "last")


@pytest.mark.parametrize(
    ("optimizer", "iterations", "got"),
    [
        ("adam", 2**62, f"got {2**62} steps"),
        ("adam", 13, "got 13 steps"),
        ("adam", -1, "got Adam"),
        ("sgd", 4, "got SGD"),
        (None, 4, "got NoneType"),
    ],
)
def test_a_checkpoint_of_another_optimizer_or_of_too_many_steps_is_not_resumed(
    shapes, tmp_path, optimizer, iterations, got
):
    config = tiny.config(shapes)
    experiment, folder = Experiment(config), RunFolder(tmp_path / "run")
    folder.start(Run.of(experiment.config, experiment.load_data()))
    network, _ = experiment.build_model(3)
    if optimizer:
        network.compile(make_optimizer(optimizer))
        network.optimizer.build(network.trainable_variables)
        network.optimizer.iterations.assign(iterations)
    folder.save("last", network)
    message = refused(lambda: train(config, str(folder.path), resume=True))
    assert message == (
        f"cannot resume: expected a checkpoint with Adam after at most 12 steps, {got}; train again without resuming"
    )
