"""`adapt`, the program: pixels as docs/formats.md says, training on folders, exit statuses and messages."""

import json
import os
import re
import subprocess

import numpy as np
import pytest

from tests.c import client
from tests.c.client import Refused
from tests.c.conftest import GOLDEN
from tinytl_tf.data.resizing import central_box, resize
from tinytl_tf.device import TrainableModel

MODEL = GOLDEN / "model_float32.tflite"
PIXELS = json.loads((GOLDEN / "pixels.json").read_text("utf-8"))
PHOTOS = [photo for photo in PIXELS["photos"] if photo["decoded"]]


def write_ppm(path, pixels, comment=""):
    height, width, _ = pixels.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"P6\n{comment}{width} {height}\n255\n".encode() + pixels.tobytes())


def fit(c, tmp_path, picture, size, fraction=0.875):
    write_ppm(tmp_path / "picture.ppm", picture)
    c.ask("fit", tmp_path / "picture.ppm", fraction, *size, tmp_path / "pixels.raw")
    return np.fromfile(tmp_path / "pixels.raw", np.uint8).reshape(*size, 3)


@pytest.mark.parametrize("photo", PHOTOS, ids=[photo["photo"] for photo in PHOTOS])
def test_golden_pixels(c, tmp_path, photo):
    decoded = np.fromfile(GOLDEN / photo["decoded"], np.uint8).reshape(*photo["size"], 3)
    expected = np.fromfile(GOLDEN / photo["pixels"], np.uint8).reshape(*PIXELS["size"], 3)
    pixels = fit(c, tmp_path, decoded, PIXELS["size"], PIXELS["central_fraction"])
    difference = np.abs(pixels.astype(int) - expected)
    tolerance = PIXELS["tolerances"][photo["tolerance"]]
    assert difference.max() <= tolerance["largest"]
    assert difference.mean() <= tolerance["mean"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (31, 47), (64, 48), (48, 64), (200, 33)])
@pytest.mark.parametrize("fraction", [0.5, 0.875, 1.0])
def test_pixels_of_any_size_are_those_of_pillow(c, tmp_path, shape, fraction):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    size = (24, 40)
    short = round(2.5 * 40)
    if min(shape) > short:
        pytest.fail("this size would be shrunk first")
    expected = np.asarray(resize(picture, size, central_box(*shape, size, fraction)))
    difference = np.abs(fit(c, tmp_path, picture, size, fraction).astype(int) - expected)
    assert difference.max() <= 1  # the order of the axes is free


def test_a_picture_that_fits_is_not_changed(c, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    np.testing.assert_array_equal(fit(c, tmp_path, picture, (24, 40), 1.0), picture)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "begins with P6"),
        (b"P5\n1 1\n255\n\0", "begins with P6"),
        (b"P6\n0 1\n255\n", "1 to 32767 pixels"),
        (b"P6\n1 32768\n255\n", "1 to 32767 pixels"),
        (b"P6\n99999999999999999999 1\n255\n", "1 to 32767 pixels"),
        (b"P6\n-1 1\n255\n", "1 to 32767 pixels"),
        (b"P6\n1 1\n", "1 to 32767 pixels"),
        (b"P6\n1 1 # no end", "1 to 32767 pixels"),
        (b"P6\n1 1\n65535\n\0\0\0\0\0\0", "8 bits"),
        (b"P6\n1 1\n255\n\0\0", "as many pixels"),
        (b"P6\n1 1\n255\n\0\0\0\0", "as many pixels"),
        (b"P6\n32767 32767\n255\n\0\0\0", "as many pixels"),
    ],
)
def test_bad_ppm(c, tmp_path, content, words):
    (tmp_path / "bad.ppm").write_bytes(content)
    with pytest.raises(Refused, match=words):
        c.ask("fit", tmp_path / "bad.ppm", 0.875, 8, 8, tmp_path / "pixels.raw")


def adapt(built, *arguments, status=0):
    command = [built / "adapt", f"--library={client.find_library()}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | client.ENVIRONMENT)
    assert done.returncode == status, done.stderr[-4000:]
    return done.stdout if status == 0 else done.stderr.splitlines()[-1]


@pytest.fixture
def photos(tmp_path):
    """The golden photos as the model sees them: four classes of three."""
    folder = tmp_path / "photos"
    training = json.loads((GOLDEN / "training_float32.json").read_text("utf-8"))
    for index, photo in enumerate(training["photos"]):
        pixels = np.fromfile(GOLDEN / photo["pixels"], np.uint8).reshape(64, 64, 3)
        path = folder / photo["photo"].split("/")[0] / f"{index:02d}"
        if index % 2:
            write_ppm(path.with_suffix(".ppm"), pixels, "# of a camera\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".raw").write_bytes(pixels.tobytes())
    return folder


def accuracies(output):
    return [float(value) for value in re.findall(r"accuracy \w+: ([\d.]+) %", output)]


def test_training_on_a_folder(built, tmp_path, photos):
    state = tmp_path / "mine.tinytl"
    arguments = (f"--model={MODEL}", f"--data={photos}", f"--state_out={state}", "--central_fraction=1", "--epochs=8")
    output = adapt(built, *arguments, "--learning_rate=1e-2")
    for index, name in enumerate(("stripes", "disk", "cross", "leaf")):
        assert f"class {index}: {name}, 3 images\n" in output
    assert "class 4: éclair, 0 images\n12 images to train; without test/" in output
    assert "epoch 8 of 8: loss " in output
    before, after = accuracies(output)
    assert after > before + 20
    # The state is the model's that the numbers are of: in Python it has the same accuracy.
    model = TrainableModel(MODEL)
    model.restore(state)
    labels = {name: index for index, name in enumerate(model.class_names)}
    right = []
    for path in sorted(photos.rglob("*.*")):
        pixels = np.frombuffer(path.read_bytes()[-64 * 64 * 3 :], np.uint8).reshape(64, 64, 3)
        right.append(model.infer(pixels).logits.argmax() == labels[path.parent.name])
    assert f"accuracy after: {100 * np.mean(right):.1f} % ({sum(right)} of 12)\nwrote {state}\n" in output
    # The same seed gives the same bytes, another one others.
    for seed, same in ((0, True), (1, False)):
        again = tmp_path / f"{seed}.tinytl"
        adapt(built, *arguments[:2], *arguments[3:], "--learning_rate=1e-2", f"--state_out={again}", f"--seed={seed}")
        assert (again.read_bytes() == state.read_bytes()) is same
    # What was learnt is where the next run begins.
    output = adapt(built, *arguments, f"--state_in={state}", "--overwrite", "--learning_rate=0", "--epochs=1")
    assert accuracies(output) == [after, after]


def test_each_epoch_leaves_out_other_images(built, tmp_path, photos):
    """With a rate of 0 the loss of an epoch tells which four of the five images were taken."""
    for path in sorted(photos.rglob("*.*"))[5:]:
        path.unlink()
    arguments = (f"--model={MODEL}", f"--data={photos}", f"--state_out={tmp_path}/x.tinytl")
    output = adapt(built, *arguments, "--learning_rate=0", "--epochs=8")
    assert len(set(re.findall(r"loss ([\d.]+), 1 of 1 steps", output))) > 1


def test_train_and_test_folders(built, tmp_path, photos):
    data = tmp_path / "data"
    data.mkdir()
    photos.rename(data / "train")
    (data / "test" / "leaf").mkdir(parents=True)
    next((data / "train" / "leaf").iterdir()).rename(data / "test" / "leaf" / "moved.ppm")
    (data / "test" / "leaf" / "moved.ppm").unlink()
    write_ppm(data / "test" / "leaf" / "a.ppm", np.zeros((80, 70, 3), np.uint8))
    output = adapt(built, f"--model={MODEL}", f"--data={data}", f"--state_out={tmp_path}/x.tinytl", "--epochs=1")
    assert "11 images to train, 1 to test\n" in output
    assert re.search(r"accuracy before: \d+\.0 % \([01] of 1\)", output)


def test_without_a_rate_that_of_the_manifest_is_taken_and_told(built, tmp_path, photos):
    states = []
    for flags in ((), ("--learning_rate=0.003",)):
        states.append(tmp_path / f"{len(flags)}.tinytl")
        arguments = (f"--model={MODEL}", f"--data={photos}", f"--state_out={states[-1]}", "--epochs=1")
        assert "\nlearning rate 0.003, cosine\nepoch 1 of 1: " in adapt(built, *arguments, *flags)
    assert states[0].read_bytes() == states[1].read_bytes()


@pytest.mark.parametrize("flag", ["--schedule=constant", "--flip", "--xnnpack=off", "--threads=1", "--epochs=2"])
def test_each_flag_does_something(built, tmp_path, photos, flag):
    """Threads are the exception: they change the time alone."""
    arguments = (f"--model={MODEL}", f"--data={photos}", "--central_fraction=1", "--epochs=1")
    adapt(built, *arguments, f"--state_out={tmp_path}/one.tinytl")
    adapt(built, *arguments, flag, f"--state_out={tmp_path}/two.tinytl")
    same = (tmp_path / "one.tinytl").read_bytes() == (tmp_path / "two.tinytl").read_bytes()
    assert same == (flag == "--threads=1")


def test_names_are_given_or_those_of_the_folders(built, tmp_path):
    model = tmp_path / "nameless.tflite"
    model.write_bytes(MODEL.read_bytes().replace(b"TINYTL\0", b"NOBODY\0"))
    for name in "baced":
        write_ppm(tmp_path / "data" / name / "x.ppm", np.full((9, 9, 3), ord(name), np.uint8))
    arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/s.tinytl", "--overwrite")
    assert "--trust" in adapt(built, *arguments, status=2)
    arguments += ("--trust",)
    output = adapt(built, *arguments)
    assert output.startswith("".join(f"class {index}: {name}, 1 images\n" for index, name in enumerate("abcde")))
    output = adapt(built, *arguments, "--labels=c,a,b,e,d")
    assert output.startswith("".join(f"class {index}: {name}, 1 images\n" for index, name in enumerate("cabed")))
    assert "the model has no class c (" in adapt(built, *arguments, "--labels=x,a,b,e,d", status=2)
    assert "expected 5 classes, got 2 from --labels" in adapt(built, *arguments, "--labels=a,b", status=2)
    (tmp_path / "data" / "f").mkdir()
    assert "expected 5 classes, got 6 from the names of" in adapt(built, *arguments, status=2)


def test_bad_input_is_named(built, tmp_path, photos):
    good = {"model": MODEL, "data": photos, "state_out": tmp_path / "x.tinytl"}

    def refused(status=2, *more, **changes):
        return adapt(built, *(f"--{key}={value}" for key, value in (good | changes).items()), *more, status=status)

    assert adapt(built, status=2) == "adapt: expected --model, --data and --state_out, got fewer"
    for flag in ("--epochs=0", "--epochs=x", "--seed=-1", "--learning_rate=nan", "--learning_rate=-1", "--schedule=x"):
        assert refused(2, flag).endswith(f"got {flag}")
    for flag in ("--central_fraction=0", "--central_fraction=1.1", "--threads=65", "--xnnpack=x", "--unknown", "x"):
        assert refused(2, flag).endswith(f"got {flag}")
    assert "No such file" in refused(model=tmp_path / "none.tflite")
    assert "expected a folder at" in refused(data=tmp_path / "none")
    assert "No such file" in refused(state_in=tmp_path / "none.tinytl")
    assert "got: No such file" in refused(1, state_out=tmp_path / "none" / "x.tinytl")
    (tmp_path / "there.tinytl").write_bytes(b"mine")
    assert "exists already" in refused(state_out=tmp_path / "there.tinytl")
    assert (tmp_path / "there.tinytl").read_bytes() == b"mine"
    (photos / "leaf" / "notes.txt").write_text("")
    assert f"expected .ppm or .raw files in {photos}/leaf, got notes.txt" in refused()
    (photos / "leaf" / "notes.txt").rename(photos / "notes.txt")
    assert "got the file notes.txt" in refused()
    (photos / "notes.txt").unlink()
    (photos / "leaf" / "broken.ppm").write_bytes(b"P6 1 1 255\n")
    assert "broken.ppm: expected as many pixels" in refused()
    (photos / "leaf" / "broken.ppm").unlink()
    (photos / "leaf" / "short.raw").write_bytes(bytes(64 * 64 * 3 - 1))
    assert "short.raw: expected a file of height x width x 3 bytes" in refused()
    (tmp_path / "empty").mkdir()
    assert "expected images in" in refused(data=tmp_path / "empty")
    assert not (tmp_path / "x.tinytl").exists()


def test_divergence_saves_nothing(built, tmp_path, photos):
    arguments = (f"--model={MODEL}", f"--data={photos}", f"--state_out={tmp_path}/x.tinytl")
    line = adapt(built, *arguments, "--learning_rate=3e38", status=4)
    assert re.search(r"no step of epoch \d+ could be applied", line)
    assert "lower --learning_rate" in line
    assert not (tmp_path / "x.tinytl").exists()
