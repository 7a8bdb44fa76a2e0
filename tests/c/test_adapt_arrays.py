"""`adapt` on arrays: `.raw` files of float32 in the folders of classes."""

import re

import numpy as np
import pytest

from tests.c import plan
from tests.c.conftest import GOLDEN
from tests.c.program import MODEL, accuracies, adapt, copy_model, run, write_random
from tests.c.test_arrays import VALUES
from tinytl_tf.device import TrainableModel
from tinytl_tf.tasks import TASKS, Tally

ARRAYS = GOLDEN / "model_array.tflite"
NAMES = ("rest", "walk", "run")
EPOCHS, RATE = 6, 0.1
SEED = 2  # of the split


@pytest.fixture
def data(tmp_path):
    """A folder with the golden arrays: three classes of four."""
    folder = tmp_path / "data"
    for index, array in enumerate(VALUES):
        path = folder / NAMES[index % 3] / f"{index:02d}.raw"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(array.astype("<f4").tobytes())
    return folder


def arguments(data, state, model=ARRAYS):
    return (f"--model={model}", f"--data={data}", f"--state_out={state}", "--overwrite")


def read(paths):
    return np.stack([np.frombuffer(path.read_bytes(), "<f4").reshape(40, 6) for path in paths])


def label_of(path):
    return NAMES.index(path.parent.name)


def test_arrays_are_trained_on_by_the_plan(built, tmp_path, data):
    """Losses, figures and state are those of the same steps in Python; arrays are held out by their content."""
    listed, seed = sorted(data.glob("*/*"), key=str), SEED
    held = [path for path in listed if plan.is_held_out(path.read_bytes(), seed)]
    trained = [path for path in listed if path not in held]
    assert 0 < len(held) < 6
    output = adapt(
        built,
        *arguments(data, tmp_path / "mine.tinytl"),
        f"--epochs={EPOCHS}",
        f"--learning_rate={RATE}",
        "--seed=5",
        f"--split_seed={seed}",
    )
    assert f"\n{len(trained)} arrays to train, {len(held)} to test, held out by their content with split" in output
    assert f"\nlearning rate {RATE:g}, cosine\n" in output
    assert "central fraction" not in output
    model, batch = TrainableModel(ARRAYS, api="compiled_model"), 4
    before = figures(model, held)
    per_epoch = len(trained) // batch
    for epoch in range(EPOCHS):
        losses = []
        for step in range(per_epoch):
            chosen = [trained[index] for index, _ in plan.places(5, epoch, len(trained), batch, step)]
            now = plan.rate("cosine", RATE, epoch * per_epoch + step, EPOCHS * per_epoch)
            labels = np.array([label_of(path) for path in chosen], np.int32)
            losses.append(model.train(read(chosen), labels, float(np.float32(now))).loss)
        assert f"epoch {epoch + 1} of {EPOCHS}: loss {np.mean(losses):.4f}, " in output
    model.save(tmp_path / "python.tinytl")
    assert (tmp_path / "mine.tinytl").read_bytes() == (tmp_path / "python.tinytl").read_bytes()
    after = figures(model, held)
    assert after.loss != before.loss
    assert accuracies(output) == [round(100 * result.accuracy, 1) for result in (before, after)]
    for when, result in (("before", before), ("after", after)):
        printed = float(re.search(rf"\nloss {when}: ([\d.]+)\n", output)[1])
        assert printed == pytest.approx(result.loss, abs=1e-4)
        for name, of_class in zip(NAMES, result.classes, strict=True):
            words = f"{100 * of_class.recall:.1f} % (" if of_class.images else "unknown (no arrays)\n"
            assert f"\nrecall of {name} {when}: {words}" in output


def figures(model, paths):
    tally = Tally(TASKS["classification"])
    tally.add(np.stack([model.infer(array).logits for array in read(paths)]), np.array(list(map(label_of, paths))))
    return tally.result()


@pytest.mark.parametrize(
    "option", ["--central_fraction=0.5", "--crop", "--nocrop", "--flip", "--noflip", "--color=none"]
)
def test_options_of_images_are_refused(built, tmp_path, data, option):
    line = adapt(built, *arguments(data, tmp_path / "x.tinytl"), option, status=2)
    assert line.startswith("adapt: expected no options for images with a model of arrays, got --")
    assert option.split("=")[0] in line
    assert not (tmp_path / "x.tinytl").exists()


def test_a_bad_array_is_named_before_any_work(built, tmp_path, data):
    good = next((data / "walk").iterdir()).read_bytes()
    for name, content, words in (
        ("short.raw", good[:-1], "short.raw: expected 240 float32 values in 960 bytes, got 959 bytes; "),
        ("long.raw", good + good, "long.raw: expected 240 float32 values in 960 bytes, got 1920 bytes; "),
        ("empty.raw", b"", "empty.raw of 1 to "),
        ("nan.raw", good[:-4] + np.float32(np.nan).tobytes(), "nan.raw: expected finite numbers, got nan at index 239"),
        ("inf.raw", np.float32(-np.inf).tobytes() + good[4:], "inf.raw: expected finite numbers, got -inf at index 0"),
        ("photo.ppm", good, f"expected .raw files in {data}/walk, got photo.ppm; "),
    ):
        path = data / "walk" / name
        path.write_bytes(content)
        done = run(built, *arguments(data, tmp_path / "x.tinytl"))
        assert (done.returncode, done.stdout) == (2, "")
        lines = [line for line in done.stderr.splitlines() if line.startswith("adapt: ")]
        assert len(lines) == 1
        assert words in lines[0]
        path.unlink()
    # Files of images are none of a model of arrays, and the other way round.
    error = adapt(built, *arguments(data, tmp_path / "x.tinytl", MODEL), status=2)
    assert "the model has no class rest" in error
    error = adapt(built, *arguments(data, tmp_path / "x.tinytl", MODEL), "--labels=rest,walk,run,a,b", status=2)
    assert "expected a file of height x width x 3 bytes" in error
    write_random(tmp_path / "photos" / "rest" / "x.ppm", 0)
    assert "expected .raw files" in adapt(built, *arguments(tmp_path / "photos", tmp_path / "x.tinytl"), status=2)


def test_a_regression_is_refused(built, tmp_path, data):
    error = adapt(built, *arguments(data, tmp_path / "x.tinytl", GOLDEN / "model_regression.tflite"), status=2)
    assert error == (
        "adapt: expected a model for one class of each array, got one for numbers, which folders of "
        "classes cannot represent; use `tinytl adapt`"
    )


def test_a_training_on_arrays_that_diverges_saves_nothing(built, tmp_path, data):
    rate = "--learning_rate=1000"
    error = adapt(built, *arguments(data, tmp_path / "x.tinytl"), rate, "--schedule=constant", status=4)
    assert "the training has diverged" in error
    assert "on the test arrays, " in error
    assert not (tmp_path / "x.tinytl").exists()


def test_a_manifest_that_says_how_arrays_were_held_out_gives_no_warning(built, tmp_path, data):
    for split, warned in (("", True), ("content", False)):
        model = copy_model(tmp_path, "model_array.tflite", data={"split": split})
        done = run(built, *arguments(data, tmp_path / "x.tinytl", model), "--epochs=1")
        assert done.returncode == 0
        assert ("the manifest does not say that arrays were held out by their content" in done.stderr) is warned
