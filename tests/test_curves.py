"""`plot_history`: the numbers of trainings, whatever has them, as lines."""

import pathlib
import sys

import keras
import numpy as np
import pytest

import tinytl_tf as tiny
from tinytl_tf.device import AdaptResult
from tinytl_tf.errors import InputError
from tinytl_tf.figures import EvaluateResult

LOSSES, ACCURACIES = [2.0, 1.0, 0.5], [0.25, 0.5, 0.75]


def on_device(accuracy=0.5):
    after = None if accuracy is None else EvaluateResult(accuracy, 1.0, 8)
    return AdaptResult(after, after, LOSSES, ACCURACIES, 3, 3, 1.0, None)


def lines(axes):
    """Style, x and y of each line."""
    return [(line.get_linestyle(), *map(list, line.get_data())) for line in axes.lines]


def in_keras(**options):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=options.pop("metrics", ["accuracy"]), run_eagerly=True)
    x, y = np.eye(2, dtype=np.float32), np.arange(2)
    return model.fit(x, y, verbose=0, validation_data=(x, y), **options)


def test_a_history_of_keras():
    history = in_keras(epochs=2)
    loss, accuracy = tiny.plot_history(history).axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        assert lines(axes) == [
            ("-", [1, 2], history.history[name]),
            ("--", [1, 2], history.history[f"val_{name}"]),
        ]
        assert (axes.get_ylabel(), axes.get_title()) == (name, "dashed: validation")
    assert loss.get_legend() is None


def test_epochs_are_those_of_keras():
    history = in_keras(epochs=6, initial_epoch=2, validation_freq=2)
    solid, dashed = lines(tiny.plot_history(history).axes[0])
    assert (solid[1], dashed[1]) == ([3, 4, 5, 6], [4, 6])


@pytest.mark.parametrize(
    ("metric", "key"),
    [
        ("sparse_categorical_accuracy", "sparse_categorical_accuracy"),
        ("acc", "acc"),
        (keras.metrics.SparseTopKCategoricalAccuracy(1, name="top_accuracy"), "top_accuracy"),
    ],
)
def test_an_accuracy_may_have_another_name(metric, key):
    history = in_keras(metrics=[metric])
    assert lines(tiny.plot_history(history).axes[1])[0][2] == history.history[key]


def test_a_training_on_a_device():
    loss, accuracy = tiny.plot_history(on_device()).axes
    assert lines(loss) == [("-", [1, 2, 3], LOSSES)]
    assert lines(accuracy) == [("-", [1, 2, 3], ACCURACIES), ("--", [0, 1], [0.5, 0.5])]
    assert (loss.get_title(), accuracy.get_title()) == ("", "dashed: test at the end")


def test_without_test_images_there_is_no_dashed_line():
    for result in (on_device(None), on_device(0.5).history):
        assert [len(axes.lines) for axes in tiny.plot_history(result).axes] == [1, 1]


def test_several_trainings_have_colors_and_a_legend():
    several = {"last": on_device(), "full": {"loss": [3.0, 2.0], "val_loss": [4.0, 3.5]}, 7: in_keras()}
    loss, accuracy = tiny.plot_history(several).axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["last", "full", "7"]
    assert [line.get_color() for line in loss.lines] == ["C0", "C1", "C1", "C2", "C2"]
    assert [line.get_color() for line in accuracy.lines] == ["C0", "C0", "C2", "C2"]
    assert accuracy.get_title() == "dashed: test at the end, validation"


def test_without_an_accuracy_there_is_the_loss():
    assert [axes.get_ylabel() for axes in tiny.plot_history({"loss": LOSSES}).axes] == ["loss"]


STARTS = {"png": b"\x89PNG", "jpg": b"\xff\xd8", "pdf": b"%PDF", "svg": b"<?xml", "PNG": b"\x89PNG"}


@pytest.mark.parametrize("suffix", STARTS)
def test_the_picture_is_written(tmp_path, suffix):
    path = tmp_path / "new" / f"curves.{suffix}"
    tiny.plot_history({"loss": LOSSES}, path)
    tiny.plot_history({"loss": LOSSES}, str(path))  # replaces it
    assert path.read_bytes().startswith(STARTS[suffix])


REFUSED = {
    "a number": (3, "got int; give plot_history the result of fit"),
    "nothing": (None, "got NoneType; give"),
    "a list": ([on_device()], "got list; give"),
    "a model": (keras.Sequential([keras.Input((2,))]), "got Sequential; give"),
    "a number among others": ({"a": on_device(), "b": 3}, "of labels to several of these, got int for 'b'; give"),
    "no epoch": (
        {},
        "expected a number for each epoch as 'loss' of the history, got None; train for at least one epoch",
    ),
    "an empty list": ({"loss": []}, "as 'loss' of the history, got []; train"),
    "words": ({"loss": ["a"]}, "as 'loss' of the history, got ['a']; train"),
    "one without a loss": ({"a": on_device(), "b": {}}, "as 'loss' of the history for 'b', got None; train"),
    "no numbers of the accuracy": ({"loss": LOSSES, "accuracy": 0.5}, "as 'accuracy' of the history, got 0.5; train"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_things_are_refused(name):
    history, words = REFUSED[name]
    with pytest.raises(InputError) as error:
        tiny.plot_history(history)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("curves.gif", "expected a picture that ends in .png, .jpg, .pdf, .svg, got 'curves.gif'; rename it"),
        (pathlib.Path("curves"), "got 'curves'; rename it"),
        (3, "expected the path of a picture, got int; give a name such as 'curves.png'"),
    ],
)
def test_other_paths_are_refused(path, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        tiny.plot_history({"loss": LOSSES}, path)
    assert words in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"^the picture needs matplotlib; pip install 'tinytl_tf\[plots\]'$"):
        tiny.plot_history({"loss": LOSSES})


def test_the_state_of_pyplot_is_left_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    tiny.plot_history({"loss": LOSSES})
    assert "matplotlib.pyplot" not in sys.modules
