"""`adapt`, the program: training on folders, names of classes, options and messages."""

import os
import re

import numpy as np
import pytest

from tests.c.names import BAD_NAMES, as_bytes
from tests.c.program import MODEL, PLAIN, accuracies, adapt, run, write_ppm
from tinytl_tf.device import TrainableModel


def test_training_on_a_folder(built, tmp_path, tested):
    state = tmp_path / "mine.tinytl"
    arguments = (f"--model={MODEL}", f"--data={tested}", f"--state_out={state}", *PLAIN, "--epochs=8")
    output = adapt(built, *arguments, "--learning_rate=1e-2")
    for index, name in enumerate(("stripes", "disk", "cross", "leaf")):
        assert f"class {index}: {name}, 3 images, 3 to test\n" in output
    assert "class 4: éclair, 0 images\n12 images to train, 12 to test\n" in output
    assert "central fraction 1, no crop, no flip, color none\n" in output
    assert "epoch 8 of 8: loss " in output
    before, after = accuracies(output)
    assert after > before + 20
    # The state is the model's that the numbers are of: in Python it has the same answers.
    model = TrainableModel(MODEL)
    model.restore(state)
    labels = {name: index for index, name in enumerate(model.class_names)}
    right, losses = {name: [] for name in labels}, []
    for path in sorted(tested.glob("test/*/*")):
        pixels = np.frombuffer(path.read_bytes()[-64 * 64 * 3 :], np.uint8).reshape(64, 64, 3)
        logits = model.infer(pixels).logits.astype(np.float64)
        right[path.parent.name].append(logits.argmax() == labels[path.parent.name])
        losses.append(np.log(np.exp(logits).sum()) - logits[labels[path.parent.name]])
    everything = sum(right.values(), [])
    assert f"\naccuracy after: {100 * np.mean(everything):.1f} % ({sum(everything)} of 12)\nwrote {state}\n" in output
    for name, answers in right.items():
        figures = f"{100 * np.mean(answers):.1f} % ({sum(answers)} of 3)" if answers else "unknown (no images)"
        assert f"\nrecall of {name} after: {figures}\n" in output
    assert float(re.search(r"\nloss after: ([\d.]+)\n", output)[1]) == pytest.approx(np.mean(losses), abs=1e-4)
    # The same seed gives the same bytes, another one others.
    for seed, same in ((0, True), (1, False)):
        again = tmp_path / f"{seed}.tinytl"
        adapt(built, *arguments, "--learning_rate=1e-2", f"--state_out={again}", f"--seed={seed}")
        assert (again.read_bytes() == state.read_bytes()) is same
    # What was learned is where the next run begins.
    output = adapt(built, *arguments, f"--state_in={state}", "--overwrite", "--learning_rate=0", "--epochs=1")
    assert accuracies(output) == [after, after]


def test_balanced_accuracy_is_printed_where_it_differs(built, tmp_path, photos):
    """Figures of a model that answers one class alone: many images of it, few of others."""
    data = tmp_path / "data"
    data.mkdir()
    photos.rename(data / "train")
    model = TrainableModel(MODEL)
    picture = np.full((64, 64, 3), 128, np.uint8)
    answer = model.class_names[model.infer(picture).logits.argmax()]
    other = next(name for name in model.class_names if name != answer)
    arguments = (f"--model={MODEL}", f"--data={data}", *PLAIN, "--epochs=1", "--learning_rate=0", "--overwrite")
    arguments += (f"--state_out={tmp_path}/x.tinytl",)
    for copies, balanced in ((1, ""), (2, ", balanced accuracy 50.0 %")):
        for index in range(9 * copies - 8):
            write_ppm(data / "test" / answer / f"{index}.ppm", picture)
        write_ppm(data / "test" / other / "x.ppm", picture)
        right = 9 * copies - 8
        output = adapt(built, *arguments)
        line = f"accuracy after: {100 * right / (right + 1):.1f} % ({right} of {right + 1}){balanced}\n"
        assert line in output
        assert f"recall of {other} before: 0.0 % (0 of 1)\n" in output
        assert f"recall of {answer} before: 100.0 % ({right} of {right})\n" in output


def test_each_epoch_leaves_out_other_images(built, tmp_path, photos):
    """With a rate of 0 the loss of an epoch tells which four of the five images were taken."""
    for path in sorted(photos.rglob("*.*"))[5:]:
        path.unlink()
    data = tmp_path / "data"
    data.mkdir()
    photos.rename(data / "train")
    arguments = (f"--model={MODEL}", f"--data={data}", f"--state_out={tmp_path}/x.tinytl", *PLAIN)
    output = adapt(built, *arguments, "--learning_rate=0", "--epochs=8")
    assert len(set(re.findall(r"loss ([\d.]+), 1 of 1 steps", output))) > 1


@pytest.mark.parametrize("name", ["test", "val"])
def test_train_and_test_folders(built, tmp_path, photos, name):
    data = tmp_path / "data"
    data.mkdir()
    photos.rename(data / "train")
    next((data / "train" / "leaf").iterdir()).unlink()
    write_ppm(data / name / "leaf" / "a.ppm", np.zeros((80, 70, 3), np.uint8))
    output = adapt(built, f"--model={MODEL}", f"--data={data}", f"--state_out={tmp_path}/x.tinytl", "--epochs=1")
    assert "11 images to train, 1 to test\nno images to test of 3 classes, whose accuracy is unknown: " in output
    assert "known: stripes, disk, cross\n" in output
    assert re.search(r"accuracy before: \d+\.0 % \([01] of 1\)", output)


def test_names_are_given_or_those_of_the_folders(built, tmp_path):
    model = tmp_path / "nameless.tflite"
    model.write_bytes(MODEL.read_bytes().replace(b"TINYTL\0", b"NOBODY\0"))
    for name in "baced":
        write_ppm(tmp_path / "data" / "train" / name / "x.ppm", np.full((9, 9, 3), ord(name), np.uint8))
    arguments = (f"--model={model}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/s.tinytl", "--overwrite")
    assert "--trust" in adapt(built, *arguments, status=2)
    arguments += ("--trust",)
    output = adapt(built, *arguments)
    assert output.startswith("".join(f"class {index}: {name}, 1 images\n" for index, name in enumerate("abcde")))
    output = adapt(built, *arguments, "--labels=c,a,b,e,d")
    assert output.startswith("".join(f"class {index}: {name}, 1 images\n" for index, name in enumerate("cabed")))
    assert "the model has no class c (" in adapt(built, *arguments, "--labels=x,a,b,e,d", status=2)
    assert "expected 5 classes, got 2 from --labels" in adapt(built, *arguments, "--labels=a,b", status=2)
    assert "got a twice" in adapt(built, *arguments, "--labels=a,b,c,a,d", status=2)
    assert "expected names of 1 to 255 bytes in --labels" in adapt(built, *arguments, "--labels=a,b,c,d,", status=2)
    (tmp_path / "data" / "train" / "f").mkdir()
    assert "expected 5 classes, got 6 from the names of" in adapt(built, *arguments, status=2)


BAD_FOLDERS = [name for name, text in BAD_NAMES.items() if text and len(as_bytes(text)) < 256]


@pytest.mark.parametrize("name", BAD_FOLDERS)
def test_a_folder_with_a_bad_name_is_refused_in_one_line(built, tmp_path, photos, name):
    folder = os.fsencode(photos) + b"/" + as_bytes(BAD_NAMES[name])
    os.mkdir(folder)
    arguments = (f"--model={MODEL}", f"--data={photos}", f"--state_out={tmp_path}/x.tinytl")
    done = run(built, *arguments, text=False)
    assert (done.returncode, done.stdout) == (2, b"")
    lines = [line for line in done.stderr.split(b"\n") if b"adapt:" in line]
    assert len(lines) == 1
    assert b"expected names " in lines[0]
    assert b"rename it" in lines[0]
    assert b"\n" + lines[0] + b"\n" in b"\n" + done.stderr  # to its end
    assert not (tmp_path / "x.tinytl").exists()


def test_decomposed_names_match_byte_by_byte(built, tmp_path, photos):
    """C has no tables of Unicode: what another client composes is another name here."""
    (photos / "e\u0301clair").mkdir()
    arguments = (f"--model={MODEL}", f"--data={photos}", f"--state_out={tmp_path}/x.tinytl", "--epochs=1")
    assert "the model has no class e\u0301clair (" in adapt(built, *arguments, status=2)
    adapt(built, *arguments, "--labels=stripes,disk,cross,leaf,e\u0301clair")


def test_bad_input_is_named(built, tmp_path, photos):
    good = {"model": MODEL, "data": photos, "state_out": tmp_path / "x.tinytl"}

    def refused(status=2, *more, **changes):
        return adapt(built, *(f"--{key}={value}" for key, value in (good | changes).items()), *more, status=status)

    assert adapt(built, status=2) == "adapt: expected --model, --data and --state_out, got fewer"
    for flag in ("--epochs=0", "--epochs=x", "--epochs=1000001", "--seed=-1", "--seed=9007199254740992", "--seed= 1"):
        assert refused(2, flag).endswith(f"got {flag}")
    for flag in ("--learning_rate=nan", "--learning_rate=-1", "--learning_rate=1e39", "--schedule=x", "--color=sepia"):
        assert refused(2, flag).endswith(f"got {flag}")
    for flag in ("--central_fraction=0", "--central_fraction=1.1", "--threads=65", "--xnnpack=x", "--unknown", "x"):
        assert refused(2, flag).endswith(f"got {flag}")
    for flag in (
        "--split_seed=-1",
        "--split_seed=18446744073709551616",
        "--split_seed=",
        "--split_seed=+1",
        "--epochs",
    ):
        assert refused(2, flag).endswith(f"got {flag}")
    for flag in ("--flip=1", "--nooverwrite", "--stric", "--epochs5=1", "-epochs=1", "--=1"):
        assert refused(2, flag).endswith(f"got {flag}")
    assert "No such file" in refused(model=tmp_path / "none.tflite")
    assert "expected a folder at" in refused(data=tmp_path / "none")
    assert "No such file" in refused(state_in=tmp_path / "none.tinytl")
    (photos / "leaf" / "notes.txt").write_text("")
    assert f"expected .ppm or .raw files in {photos}/leaf, got notes.txt" in refused()
    (photos / "leaf" / "notes.txt").rename(photos / "notes.txt")
    assert "got the file notes.txt" in refused()
    (photos / "notes.txt").unlink()
    (tmp_path / "empty").mkdir()
    assert "expected images in" in refused(data=tmp_path / "empty")
    assert not (tmp_path / "x.tinytl").exists()


def test_a_bad_photo_is_named_before_any_work(built, tmp_path, tested):
    arguments = (f"--model={MODEL}", f"--data={tested}", f"--state_out={tmp_path}/x.tinytl")
    for folder in ("train", "test"):
        for name, content, words in (
            ("broken.ppm", b"P6 1 1 255\n", "broken.ppm: expected the number of pixels"),
            ("short.raw", bytes(64 * 64 * 3 - 1), "short.raw: expected a file of height x width x 3 bytes"),
            ("long.raw", bytes(64 * 64 * 3 + 1), "long.raw: expected a file of height x width x 3 bytes"),
            ("fifo.ppm", None, "fifo.ppm: expected a file, got a folder or device"),
        ):
            path = tested / folder / "leaf" / name
            os.mkfifo(path) if content is None else path.write_bytes(content)
            done = run(built, *arguments)
            assert (done.returncode, done.stdout) == (2, "")
            assert words in done.stderr.splitlines()[-1]
            path.unlink()
    (tested / "train" / "leaf" / "gone.ppm").symlink_to("nowhere")
    assert "gone.ppm: No such file" in adapt(built, *arguments, status=2)
