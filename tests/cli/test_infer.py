"""`tinytl infer`."""

import json
import pathlib

import numpy as np
import pytest
from PIL import Image

from tests import tiny_tflite
from tinytl_tf import data
from tinytl_tf.cli import runner
from tinytl_tf.device import TrainableModel

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
COLORS = {"blue": (40, 60, 200), "green": (40, 200, 60), "red": (200, 60, 40)}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tflite").write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(tmp_path / "model.tflite", sorted(COLORS))
    (tmp_path / "photos").mkdir()
    for name, color in COLORS.items():
        Image.new("RGB", (12, 10), color).save(tmp_path / "photos" / f"{name}, 1.png")
    return tmp_path


def test_photos_and_folders(place, capsys):
    argv = ["--model=model.tflite", "--top=2", "--json=r.json", "photos", "photos/red, 1.png"]
    assert runner.run_command("infer", argv) == 0
    model = TrainableModel("model.tflite")
    expected = {
        f"photos/{name}, 1.png": model.infer(data.photo(f"photos/{name}, 1.png", model)).probabilities
        for name in COLORS
    }
    answers = json.loads((place / "r.json").read_text())["answers"]
    paths = [answer["photo"].removeprefix(f"{place}/") for answer in answers]
    assert paths == [*(f"photos/{name}, 1.png" for name in COLORS), "photos/red, 1.png"]
    for path, answer in zip(paths, answers, strict=True):
        assert list(answer["answer"]) == sorted(COLORS)
        np.testing.assert_allclose(list(answer["answer"].values()), expected[path], rtol=1e-6)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.count("%") == 2 for line in lines)


def test_a_state_changes_the_answer(place, capsys):
    model = TrainableModel("model.tflite")
    photo = data.photo("photos/red, 1.png", model)
    for _ in range(20):
        model.train(np.stack([photo] * tiny_tflite.BATCH), np.full(tiny_tflite.BATCH, 2), 0.01)
    model.save("mine.tinytl")
    assert (
        runner.run_command("infer", ["--model=model.tflite", "--state=mine.tinytl", "--top=1", "photos/red, 1.png"])
        == 0
    )
    chance = model.infer(photo).probabilities[2]
    assert capsys.readouterr().out == f"photos/red, 1.png: red {chance:.1%}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected photos, got none; give their paths after the flags"),
        (["none.png"], "none.png"),
        (["."], "expected files of .bmp, .gif"),
        (["model.tflite"], "model.tflite"),
    ],
)
def test_refused_in_one_line(place, capsys, words, message):
    assert runner.run_command("infer", ["--model=model.tflite", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_arrays(tmp_path, capsys):
    path = GOLDEN / json.loads((GOLDEN / "regression.json").read_text())["model"]
    model = TrainableModel(path)
    values = np.random.default_rng(0).normal(size=model.input_shape)
    np.save(tmp_path / "one.npy", values)
    assert runner.run_command("infer", [f"--model={path}", str(tmp_path), f"--json={tmp_path}/r.json"]) == 0
    answer = json.loads((tmp_path / "r.json").read_text())["answers"][0]["answer"]
    np.testing.assert_allclose(list(answer.values()), model.infer(values.astype(np.float32)).logits, rtol=1e-6)
    assert capsys.readouterr().out.startswith(f"{tmp_path}/one.npy: ")
