import contextlib
import dataclasses
import importlib.util
import itertools
import json
import math
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.training import tiny
from tinytl_tf.data import ImageDataset
from tinytl_tf.errors import InputError, TrainingDiverged
from tinytl_tf.experiment import Experiment
from tinytl_tf.figures import ClassFigures, EvaluateResult
from tinytl_tf.locks import output_lock
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.training import RunFolder, train
from tinytl_tf.training import loop as module

EPOCHS = 3
TIMES = ("step_ms", "images_per_second", "waiting")
KEYS = (
    f"epoch step {' '.join(TIMES)} loss accuracy gradient_norm update_norm ends_epoch test_images test_accuracy "
    "test_balanced_accuracy test_loss test_classes"
)


class Killed(Exception):
    """Stands for a kill -9: nothing of the product catches it."""


def log(folder):
    """The rows without what depends on time."""
    return [{key: row[key] for key in row if key not in TIMES} for row in RunFolder(folder).read_log()]


def checkpoint(folder, name):
    """Every variable of a checkpoint, the optimizer's and the dropout's too."""
    model = keras.models.load_model(pathlib.Path(folder) / f"{name}.keras")
    seeds = model.get_layer("dropout").variables
    return [variable.numpy() for variable in [*model.weights, *model.optimizer.variables, *seeds]]


def assert_same_run(folder, other):
    assert log(folder) == log(other)
    for name in ("best", "last"):
        for value, expected in zip(checkpoint(folder, name), checkpoint(other, name), strict=True):
            np.testing.assert_array_equal(value, expected)


@contextlib.contextmanager
def killed_at(owner, name, call):
    """Ends the block with `Killed` at call number `call`, from 0, of `owner.name`."""
    original, calls = getattr(owner, name), itertools.count()

    def killed(*args, **kwargs):
        if next(calls) == call:
            raise Killed
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            yield


@pytest.fixture(scope="module")
def whole(shapes, tmp_path_factory):
    """A run that nothing disturbed: its folder and its result."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, train(tiny.config(shapes), str(folder))


@pytest.fixture
def dry_step(monkeypatch):
    """Puts a step that computes nothing in place of the real one; returns the learning rates it is given."""
    rates = []

    def make(model, variables, optimizer, **_):
        optimizer.build(variables)

        def step(images, labels, rate):
            rates.append(rate)
            optimizer.iterations.assign_add(1)
            return {"loss": 1.0, "accuracy": 0.5, "gradient_norm": 1.0}

        return step

    monkeypatch.setattr(module, "make_train_step", make)
    return rates


def test_a_run_learns_and_leaves_its_files(whole, config):
    folder, result = whole
    rows = RunFolder(folder).read_log()
    assert [" ".join(row) for row in rows] == [KEYS] * EPOCHS
    assert [(row["epoch"], row["step"]) for row in rows] == [(epoch, 4 * (epoch + 1)) for epoch in range(EPOCHS)]
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.03
    assert sorted(path.name for path in folder.iterdir()) == ["best.keras", "last.keras", "log.jsonl", "run.json"]
    run = json.loads((folder / "run.json").read_text())
    splits = Experiment(config).load_data()
    assert run == {
        "config": json.loads(config.to_json()),
        "class_names": list(tiny.CLASSES),
        "task": "classification",
        "data": {"train": splits.train.fingerprint(), "test": splits.test.fingerprint()},
    }
    best = min(rows, key=lambda row: row["loss"])
    chosen = {"best_epoch": best["epoch"], "best_accuracy": best["test_accuracy"]}
    assert result == {**rows[-1], **chosen, "trained_parameters": 1147}


@pytest.mark.thorough
def test_the_same_seed_gives_the_same_run_and_another_seed_another(whole, config, tmp_path):
    train(config, str(tmp_path / "same"))
    assert_same_run(tmp_path / "same", whole[0])
    config.training.seed = 1
    train(config, str(tmp_path / "other"))
    losses = [[row["loss"] for row in log(folder)] for folder in (tmp_path / "other", whole[0])]
    assert all(one != other for one, other in zip(*losses, strict=True))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_schedule_is_taken_step_by_step(dry_step, config, tmp_path, schedule):
    config.training.schedule = schedule
    train(config, str(tmp_path))
    steps, base = EPOCHS * tiny.STEPS, config.training.learning_rate
    half = {"cosine": lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)), "constant": lambda step: 1.0}[schedule]
    assert dry_step == [np.float32(base * half(step)) for step in range(steps)]
    assert {type(rate) for rate in dry_step} == {np.float32}


def evaluate_as(monkeypatch, accuracies):
    """Each evaluation has the next of the accuracies."""

    def evaluate(images):
        return EvaluateResult(next(accuracies), 1.0, 9, (ClassFigures(3, 1),) * 3)

    monkeypatch.setattr(module, "make_evaluate", lambda *_, **__: evaluate)


def test_best_is_never_chosen_by_the_test_images(dry_step, config, tmp_path, monkeypatch):
    """Without validation images it is the epoch of the least training loss; here all are the same."""
    accuracies = iter([0.2, 0.6, 0.6, 0.4])
    monkeypatch.setattr(
        module,
        "make_evaluate",
        lambda *_, **__: lambda images: EvaluateResult(next(accuracies), 1.0, 9, (ClassFigures(3, 1),) * 3),
    )
    config.training.epochs = 4
    result = train(config, str(tmp_path))
    assert (result["test_accuracy"], result["best_accuracy"], result["best_epoch"]) == (0.4, 0.2, 0)


def test_best_is_the_first_epoch_of_the_best_validation_accuracy(dry_step, config, tmp_path, monkeypatch):
    load = Experiment.load_data
    monkeypatch.setattr(
        Experiment, "load_data", lambda self: dataclasses.replace(load(self), validation=load(self).test)
    )
    # Validation and test images in turn.
    accuracies = iter([0.2, 0.9, 0.6, 0.1, 0.6, 0.8, 0.4, 0.7])
    monkeypatch.setattr(
        module,
        "make_evaluate",
        lambda *_, **__: lambda images: EvaluateResult(next(accuracies), 1.0, 9, (ClassFigures(3, 1),) * 3),
    )
    config.training.epochs = 4
    result = train(config, str(tmp_path))
    assert (result["test_accuracy"], result["best_accuracy"], result["best_epoch"]) == (0.7, 0.1, 1)
    assert result["validation_accuracy"] == 0.4
    iterations = [RunFolder(tmp_path).load(name).optimizer.iterations for name in ("best", "last")]
    assert [int(value) for value in iterations] == [2 * tiny.STEPS, 4 * tiny.STEPS]


def test_a_second_training_in_the_folder_is_refused(dry_step, config, tmp_path):
    with output_lock(tmp_path, folder=True), pytest.raises(InputError) as error:
        train(config, str(tmp_path))
    assert str(error.value).startswith(f"{tmp_path} is in use by another training (process {os.getpid()} on ")
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_process_that_was_killed_is_none(dry_step, config, tmp_path):
    (tmp_path / ".lock").write_text('{"pid": 1, "host": "here"}')
    train(config, str(tmp_path))
    assert not (tmp_path / ".lock").exists()


def test_temporary_folders_of_a_killed_run_are_swept(dry_step, config, tmp_path):
    code = "import os, sys\nfrom tinytl_tf import files\nwith files.temporary_folder(files.expand(sys.argv[1])):\n"
    subprocess.run([sys.executable, "-c", f"{code}    os.kill(os.getpid(), 9)", str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    train(config, str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.keras", "last.keras", "log.jsonl", "run.json"]


def test_resume_compares_the_files_and_not_only_the_classes(dry_step, config, tmp_path, monkeypatch):
    train(config, str(tmp_path))
    fingerprint = ImageDataset.fingerprint
    monkeypatch.setattr(ImageDataset, "fingerprint", lambda self: fingerprint(self)[::-1])
    with pytest.raises(InputError, match="^cannot resume: the train images are not those of the run: content, labels"):
        train(config, str(tmp_path), resume=True)


def test_checkpoints_open_with_keras_alone(whole):
    code = (
        "import sys, keras, tinytl_tf.layers\n"
        "for path in sys.argv[1:]:\n"
        "    model = keras.models.load_model(path)\n"
        "    print(model.name, len(model.trainable_variables), len(model.optimizer.variables))"
    )
    paths = [str(whole[0] / f"{name}.keras") for name in ("best", "last")]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=False)
    assert done.stdout == "tiny 13 28\n" * 2, done.stderr  # Adam: two for each, iterations and learning rate


# Where a run dies: the function, and the number of its call.
KILLS = {
    "before the first epoch ends": (RunFolder, "append_log", 0),
    "before the first checkpoint": (RunFolder, "save", 0),
    "in an epoch": (module, "_train_part", 1),
    "between log and checkpoints": (RunFolder, "append_log", 2),
    "between best and last": (RunFolder, "save", 1),
    "after the last epoch": (module, "_go_back", 1),
}


_QUICK_KILLS = ("in an epoch", "between log and checkpoints")


@pytest.mark.parametrize(
    "kill", [pytest.param(kill, marks=() if kill in _QUICK_KILLS else pytest.mark.thorough) for kill in KILLS]
)
def test_a_resumed_run_is_the_one_that_was_not_killed(whole, config, tmp_path, kill):
    with killed_at(*KILLS[kill]):
        train(config, str(tmp_path), resume=True)
        train(config, str(tmp_path), resume=True)
    result = train(config, str(tmp_path), resume=True)
    assert_same_run(tmp_path, whole[0])
    last = RunFolder(tmp_path).read_log()[-1]
    assert result == {**whole[1], **{key: last[key] for key in TIMES}}


def test_a_checkpoint_holds_the_state_of_the_optimizer(whole):
    optimizer = RunFolder(whole[0]).load("last").optimizer
    assert int(optimizer.iterations) == EPOCHS * tiny.STEPS
    moments = [variable.numpy() for variable in optimizer.variables[2:]]
    assert len(moments) == 26
    assert all(np.abs(moment).max() > 0 for moment in moments)


def change_folder(folder, **content):
    run = json.loads((folder / "run.json").read_text()) | content
    (folder / "run.json").write_text(json.dumps(run))


CANNOT_RESUME = {
    "another config": (
        lambda config, folder: config.update_from_flattened_dict({"training.learning_rate": 0.5}),
        "cannot resume: config.training.learning_rate was 0.03 and is now 0.5; "
        "use the same config and data, or train in another folder",
    ),
    "other classes": (
        lambda config, folder: change_folder(folder, class_names=["a", "b", "c"]),
        "cannot resume: the list of classes was ('a', 'b', 'c') and is now "
        "('blue pie', 'green square', 'red disc'); use the same config and data, or train in another folder",
    ),
    "no log": (
        lambda config, folder: (folder / "log.jsonl").unlink(),
        "cannot resume: the checkpoint took 4 steps, which log.jsonl and epochs of 4 steps do not explain; "
        "the number of training images or the log has changed; train again without resuming",
    ),
    "damaged log": (
        lambda config, folder: (folder / "log.jsonl").write_text("{"),
        "{folder}/log.jsonl is damaged; train again without resuming",
    ),
    "damaged configuration": (
        lambda config, folder: (folder / "run.json").write_text("{}"),
        "{folder}/run.json is damaged; train again without resuming",
    ),
    "damaged checkpoint": (
        lambda config, folder: (folder / "last.keras").write_bytes(b"PK"),
        "{folder}/last.keras cannot be read (ValueError); train again without resuming",
    ),
}


@pytest.fixture
def one_epoch(dry_step, config, tmp_path):
    """The folder of a run that was killed in its second epoch."""
    with killed_at(module, "_train_part", 1):
        train(config, str(tmp_path / "run"))
    return tmp_path / "run"


@pytest.mark.parametrize("case", CANNOT_RESUME)
def test_what_differs_is_named_and_nothing_is_touched(one_epoch, config, case):
    change, message = CANNOT_RESUME[case]
    change(config, one_epoch)
    before = {path.name: path.read_bytes() for path in one_epoch.iterdir()}
    with pytest.raises(InputError) as error:
        train(config, str(one_epoch), resume=True)
    assert str(error.value) == message.format(folder=one_epoch)
    assert {path.name: path.read_bytes() for path in one_epoch.iterdir()} == before


def test_other_numbers_of_images_are_noticed(one_epoch, dry_step, config, tmp_path, monkeypatch):
    monkeypatch.setattr(module.data, "steps_per_epoch", lambda *_: 2)
    with pytest.raises(InputError, match="the checkpoint took 4 steps, which log.jsonl and epochs of 2 steps"):
        train(config, str(one_epoch), resume=True)


def test_a_new_run_leaves_nothing_of_the_old_one(whole, config, tmp_path):
    config.training.seed = 1
    train(config, str(tmp_path))
    (tmp_path / "events.out.tfevents.1.host").touch()
    config.training.seed = 0
    with killed_at(module, "_train_part", 0):
        train(config, str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "run.json"]
    assert log(tmp_path) == []
    train(config, str(tmp_path), resume=True)
    assert_same_run(tmp_path, whole[0])


def test_a_run_of_an_older_version_has_the_defaults_of_newer_keys(one_epoch, config, tmp_path):
    run = json.loads((one_epoch / "run.json").read_text())
    del run["config"]["data"]["central_fraction"], run["config"]["biases"]
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert RunFolder(tmp_path).read_run() == RunFolder(one_epoch).read_run()
    del run["config"]["backbone"]["branch_final_norm"]  # all branches had it before that was a choice
    (tmp_path / "run.json").write_text(json.dumps(run))
    assert RunFolder(tmp_path).read_run().config.backbone.branch_final_norm
    run["config"]["data"]["no_such_key"] = 1
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match="run.json is damaged"):
        RunFolder(tmp_path).read_run()


def test_a_start_that_is_killed_is_no_run(one_epoch, config):
    with killed_at(RunFolder, "write_log", 0):
        train(config, str(one_epoch))
    assert not RunFolder(one_epoch).exists


def test_bad_input_leaves_the_old_run_alone(one_epoch, config):
    before = {path.name: path.read_bytes() for path in one_epoch.iterdir()}
    config.backbone.weights = "none.h5"
    with pytest.raises(InputError, match="there is no weight file none.h5"):
        train(config, str(one_epoch))
    assert {path.name: path.read_bytes() for path in one_epoch.iterdir()} == before


# The first step of the rate 1e20 is finite itself: what it did shows in the next step, or at the end of the epoch.
@pytest.mark.parametrize(("first", "step", "bad"), [(5, 6, "gradient_norm"), (7, 7, "update_norm")])
def test_what_is_not_finite_stops_the_run_and_spares_the_checkpoints(config, tmp_path, monkeypatch, first, step, bad):
    cosine = SCHEDULES["cosine"]
    monkeypatch.setitem(
        SCHEDULES, "cosine", lambda step, total, base: 1e20 if step >= first else cosine(step, total, base)
    )
    with pytest.raises(TrainingDiverged) as error:
        train(config, str(tmp_path))
    assert re.fullmatch(
        rf"step {step} of training gave .*{bad} (nan|inf).*; lower config.training.learning_rate \(now 0.03\) "
        "or look at the images of that step; checkpoints of earlier epochs are intact",
        str(error.value),
    )
    assert [row["epoch"] for row in log(tmp_path)] == [0]
    for name in ("best", "last"):
        assert all(np.isfinite(value).all() for value in checkpoint(tmp_path, name))


@pytest.mark.parametrize("installed", [False, True])
def test_tensorboard_is_written_where_it_is_installed(dry_step, config, tmp_path, monkeypatch, installed):
    real, scalars = importlib.util.find_spec, []
    spec = object() if installed else None
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: spec if name == "tensorboard" else real(name, *rest)
    )
    # TensorFlow writes a scalar with TensorBoard's own code, which need not be installed here.
    monkeypatch.setattr(
        tf.summary, "scalar", lambda key, value: scalars.append((key, value, tf.summary.experimental.get_step()))
    )
    train(config, str(tmp_path))
    rows = RunFolder(tmp_path).read_log()
    assert [row["step"] for row in rows] == [(epoch + 1) * tiny.STEPS for epoch in range(EPOCHS)]
    numbers = [(key, value, row["step"]) for row in rows for key, value in row.items() if not isinstance(value, list)]
    assert scalars == (numbers if installed else [])
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == installed


SAVES = {"training.saves_per_epoch": 3, "training.warmup_steps": 5, "training.weight_decay": 0.1}


@pytest.fixture(scope="module")
def in_parts(shapes, tmp_path_factory):
    """A run that is saved three times in each epoch of four steps."""
    folder = tmp_path_factory.mktemp("parts") / "run"
    config = tiny.config(shapes)
    config.update_from_flattened_dict(SAVES)
    return folder, train(config, str(folder))


def test_a_run_can_be_saved_in_the_middle_of_an_epoch(in_parts):
    rows = RunFolder(in_parts[0]).read_log()
    assert [(row["epoch"], row["step"]) for row in rows] == [
        (epoch, 4 * epoch + end) for epoch in range(EPOCHS) for end in (2, 3, 4)
    ]
    assert ["test_accuracy" in row for row in rows] == [False, False, True] * EPOCHS
    assert in_parts[1]["best_epoch"] in range(EPOCHS)
    assert all(0 <= row["waiting"] < 1 and row["images_per_second"] > 0 for row in rows)


def test_saves_do_not_change_what_is_trained(in_parts, config, tmp_path):
    config.update_from_flattened_dict(SAVES | {"training.saves_per_epoch": 1})
    train(config, str(tmp_path))
    for value, expected in zip(checkpoint(tmp_path, "last"), checkpoint(in_parts[0], "last"), strict=True):
        np.testing.assert_array_equal(value, expected)


KILLS_WITHIN = [
    (RunFolder, "append_log", 1),
    pytest.param((module, "_train_part", 2), marks=pytest.mark.thorough),
    pytest.param((RunFolder, "save", 3), marks=pytest.mark.thorough),
]


@pytest.mark.parametrize("kill", KILLS_WITHIN)
def test_it_goes_on_from_there_to_the_same_end(in_parts, config, tmp_path, kill):
    config.update_from_flattened_dict(SAVES)
    with killed_at(*kill):
        train(config, str(tmp_path))
    train(config, str(tmp_path), resume=True)
    assert_same_run(tmp_path, in_parts[0])


def test_more_saves_than_steps_are_one_for_each_step(dry_step, config, tmp_path):
    config.training.saves_per_epoch = 100
    train(config, str(tmp_path))
    assert [row["step"] for row in RunFolder(tmp_path).read_log()] == list(range(1, EPOCHS * tiny.STEPS + 1))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_rises_before_the_schedule(dry_step, config, tmp_path, schedule):
    config.training.warmup_steps, config.training.schedule = 4, schedule
    train(config, str(tmp_path))
    base, rest = config.training.learning_rate, EPOCHS * tiny.STEPS - 4
    rising = [base * (step + 1) / 4 for step in range(4)]
    assert dry_step == [*map(np.float32, rising + [SCHEDULES[schedule](step, rest, base) for step in range(rest)])]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("warmup_steps", -1, "config.training.warmup_steps must be from 0 to 1000000000, got -1"),
        ("saves_per_epoch", 0, "config.training.saves_per_epoch must be from 1 to 1000000, got 0"),
        ("weight_decay", -0.1, "config.training.weight_decay must be 0 or from 1.2e-38 to 3.4e+38, "),
        ("clip_norm", math.inf, "config.training.clip_norm must be 0 or from 1.2e-38 to 3.4e+38, "),
    ],
)
def test_values_out_of_range_are_refused_by_name(config, key, value, message):
    config.training[key] = value
    with pytest.raises(InputError) as error:
        Experiment(config)
    assert str(error.value).startswith(message)


def test_as_many_threads_decode_as_the_configuration_says(dry_step, config, tmp_path, monkeypatch):
    given, batches = [], module.data.train_batches

    def watched(*args, **options):
        given.append(options["workers"])
        return batches(*args, **options)

    monkeypatch.setattr(module.data, "train_batches", watched)
    config.data.threads = 5
    train(config, str(tmp_path))
    assert given == [5] * EPOCHS
    config.data.threads = 0
    with pytest.raises(InputError, match="^config.data.threads must be from 1 to 1024, got 0$"):
        Experiment(config)


def test_a_run_says_which_rate_it_takes_where_none_is_given(dry_step, config, tmp_path, capsys):
    config.training.learning_rate, config.scheme, config.training.schedule = 0.0, "full", "constant"
    train(config, str(tmp_path))
    assert "\nlearning rate 0.0001, adam, constant\n" in capsys.readouterr().out
    assert set(dry_step) == {np.float32(1e-4)}
    assert json.loads((tmp_path / "run.json").read_text())["config"]["training"]["learning_rate"] == 1e-4
    train(config, str(tmp_path), resume=True)
    config.training.learning_rate = 1e-3
    with pytest.raises(InputError, match="^cannot resume: config.training.learning_rate was 0.0001 and is now 0.001;"):
        train(config, str(tmp_path), resume=True)


@pytest.mark.parametrize("has_test", [True, False])
def test_a_diverged_training_is_no_success(dry_step, config, tmp_path, monkeypatch, has_test):
    """Its loss was finite, so that the run ended with 0 and a test accuracy of a guess."""
    losses = iter([1.0, 11.5])
    step = {"loss": 1.0, "accuracy": 0.5, "gradient_norm": 1.0}

    def make(*_, **__):
        return lambda *_: step

    def evaluate(images):
        return EvaluateResult(0.5, next(losses), 9, (ClassFigures(3, 1),) * 3)

    monkeypatch.setattr(module, "make_evaluate", lambda *_, **__: evaluate)
    if not has_test:
        load = Experiment.load_data
        monkeypatch.setattr(Experiment, "load_data", lambda self: dataclasses.replace(load(self), test=None))
        monkeypatch.setattr(module, "make_train_step", make)
        step["loss"] = 11.5
    with pytest.raises(TrainingDiverged, match=r"loss of epoch [12] is 11\.5, for a guess it is 1\.099; lower "):
        train(config, str(tmp_path))
    assert len(log(tmp_path)) == has_test  # of the epoch before


def test_a_run_without_test_images_trains_and_reports_none(dry_step, config, tmp_path, monkeypatch):
    load = Experiment.load_data
    monkeypatch.setattr(Experiment, "load_data", lambda self: dataclasses.replace(load(self), test=None))
    result = train(config, str(tmp_path))
    assert result["best_accuracy"] is None
    assert not any(key.startswith("test_") for row in log(tmp_path) for key in row)
    assert (tmp_path / "best.keras").exists()


def test_one_class_alone_is_no_training(config, tmp_path, monkeypatch):
    load = Experiment.load_data

    def alone(self):
        splits = load(self)
        one = ImageDataset("one", ["a"], [0, 0], splits.train.image)
        return dataclasses.replace(splits, train=one, test=one)

    monkeypatch.setattr(Experiment, "load_data", alone)
    with pytest.raises(InputError, match="^one has 1 class; at least 2 are needed to tell apart$"):
        train(config, str(tmp_path))


def test_resume_knows_photos_that_have_changed_places(config, tmp_path, dry_step):
    """Files of one size and name with other content: the run went on."""
    folder = tmp_path / "photos"
    for split, name in itertools.product(("train", "test"), ("a", "b")):
        (folder / split / name).mkdir(parents=True)
        for index in range(4):
            Image.fromarray(np.full((16, 16, 3), index + 50 * (name == "b"), np.uint8)).save(
                folder / split / name / f"{index}.bmp"
            )
    config.data.name = str(folder)
    train(config, str(tmp_path / "run"))
    (folder / "train/a").rename(folder / "aside")
    (folder / "train/b").rename(folder / "train/a")
    (folder / "aside").rename(folder / "train/b")
    with pytest.raises(InputError, match="^cannot resume: the train images are not those of the run: content, labels"):
        train(config, str(tmp_path / "run"), resume=True)
