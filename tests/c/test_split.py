"""Which photos `adapt` holds out, and that it never tests on what it trains on without saying so."""

import re
import shutil

import pytest

from tests.c import plan
from tests.c.program import MODEL, NAMES, adapt, copy_model, run, write_random

COUNTS = re.compile(r"class \d+: (.*), (\d+) images(?:, (\d+) to test)?\n")
QUICK = ("--epochs=1", "--overwrite")
CONTENT = {"split": "content"}


def split_photos(data, seed):
    """Paths of the photos of a flat folder that are trained on, and of those that are held out."""
    paths = sorted(path for path in data.glob("*/*") if path.is_file())
    held = [path for path in paths if plan.is_held_out(path.read_bytes(), seed)]
    return [path for path in paths if path not in held], held


def sort_photos(data, target, seed):
    """Copies a flat folder into train/ and test/, as its photos are held out."""
    for folder, paths in zip(("train", "test"), split_photos(data, seed), strict=True):
        for path in paths:
            copy = target / folder / path.relative_to(data)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return target


def write_kind(data, label, held_out, count, seed=0, start=0):
    """Writes `count` photos of a class that are all held out, or all trained on."""
    paths, number = [], start
    while len(paths) < count:
        path = data / label / f"{number:04d}.ppm"
        if plan.is_held_out(write_random(path, number), seed) is held_out:
            paths.append(path)
        else:
            path.unlink()
        number += 1
    return paths


def arguments(data, state, model=MODEL):
    return (f"--model={model}", f"--data={data}", f"--state_out={state}", *QUICK)


@pytest.mark.parametrize("seed", [0, 1, 2, 2**64 - 1])
def test_photos_are_held_out_by_their_content(built, tmp_path, photos, seed):
    """The same figures and the same state as with the photos sorted into train/ and test/."""
    flat = adapt(built, *arguments(photos, tmp_path / "flat.tinytl"), f"--split_seed={seed}")
    train, held = split_photos(photos, seed)
    assert 0 < len(held) < 12
    assert (
        f"{len(train)} images to train, {len(held)} to test, held out by their content with split seed {seed}\n" in flat
    )
    sorted_photos = sort_photos(photos, tmp_path / "sorted", seed)
    output = adapt(built, *arguments(sorted_photos, tmp_path / "sorted.tinytl"))
    assert (tmp_path / "flat.tinytl").read_bytes() == (tmp_path / "sorted.tinytl").read_bytes()

    def figures(text):
        return [line for line in text.splitlines() if not re.match(r"\d+ images|wrote|no images", line)]

    assert figures(flat) == figures(output)
    for name, trained, tested in COUNTS.findall(flat):
        assert int(trained) == sum(path.parent.name == name for path in train)
        assert int(tested or 0) == sum(path.parent.name == name for path in held)


def test_who_is_held_out_stays_whatever_is_added(built, tmp_path):
    """12, then 13 photos of each class, renamed, and with copies that go where the first one is."""
    data = tmp_path / "data"
    for label, name in enumerate(NAMES):
        for index in range(12):
            write_random(data / name / f"{index}.ppm", 100 * label + index)
    first = split_photos(data, 0)
    assert len(first[1]) > 5
    output = adapt(built, *arguments(data, tmp_path / "x.tinytl"))
    counts = {name: (int(train), int(test or 0)) for name, train, test in COUNTS.findall(output)}
    for label, name in enumerate(NAMES):
        held_out = plan.is_held_out(write_random(data / name / "12.ppm", 1000 + label), 0)
        copied = min(path for path in first[1] if path.parent.name == name)
        shutil.copy(copied, data / name / "0 copy.ppm")
        copied.rename(data / name / "zzz.ppm")
        train, test = counts[name]
        counts[name] = (train + (not held_out), test + held_out + 1)
    output = adapt(built, *arguments(data, tmp_path / "x.tinytl"))
    assert {name: (int(train), int(test or 0)) for name, train, test in COUNTS.findall(output)} == counts


def test_the_seed_is_the_manifests(built, tmp_path, photos):
    model = copy_model(tmp_path, data=CONTENT | {"split_seed": 7})
    _, held = split_photos(photos, 7)
    assert len(held) != len(split_photos(photos, 0)[1])
    output = adapt(built, *arguments(photos, tmp_path / "x.tinytl", model))
    assert f"{len(held)} to test, held out by their content with split seed 7\n" in output
    done = run(built, *arguments(photos, tmp_path / "x.tinytl", model), "--split_seed=0")
    assert "held out by their content with split seed 0\n" in done.stdout
    assert "the model may have been trained on" not in done.stderr


def test_an_older_manifest_is_warned_of(built, tmp_path, photos, tested):
    """Its photos were held out by another rule; where they lie in train/ and test/ there is nothing to warn of."""
    words = "the model may have been trained on those that are held out now"
    assert words in run(built, *arguments(photos, tmp_path / "x.tinytl")).stderr
    assert words not in run(built, *arguments(tested, tmp_path / "x.tinytl")).stderr
    model = copy_model(tmp_path, data={"split": "by name"})
    assert words in run(built, *arguments(photos, tmp_path / "x.tinytl", model)).stderr


def test_a_class_that_is_all_held_out_is_refused(built, tmp_path):
    data = tmp_path / "data"
    write_kind(data, "disk", True, 2)
    write_kind(data, "leaf", True, 1, start=50)
    write_kind(data, "cross", False, 3, start=100)
    done = run(built, *arguments(data, tmp_path / "x.tinytl"))
    assert (done.returncode, done.stdout) == (2, "")
    line = done.stderr.splitlines()[-1]
    assert (
        "got none of 2 classes, since all are held out: disk, leaf; add images, sort them into train/ and test/, "
        "or give another" in line
    )
    assert not (tmp_path / "x.tinytl").exists()


def test_a_class_of_which_none_is_held_out_is_named(built, tmp_path):
    data = tmp_path / "data"
    write_kind(data, "disk", False, 2)
    write_kind(data, "leaf", False, 2, start=50)
    write_kind(data, "cross", False, 2, start=100)
    write_kind(data, "cross", True, 1, start=200)
    output = adapt(built, *arguments(data, tmp_path / "x.tinytl"))
    assert "no images to test of 2 classes, whose accuracy is unknown: disk, leaf\n" in output
    assert "recall of disk after: unknown (no images)\n" in output
    assert re.search(r"recall of cross after: \d+\.0 % \([01] of 1\)\n", output)


@pytest.mark.parametrize("layout", ["flat", "train", "empty test"])
def test_without_a_test_photo_there_are_no_figures(built, tmp_path, layout):
    data = tmp_path / "data"
    root = data if layout == "flat" else data / "train"
    write_kind(root, "disk", False, 2)
    write_kind(root, "leaf", False, 3, start=50)
    if layout == "empty test":
        (data / "test" / "disk").mkdir(parents=True)
    output = adapt(built, *arguments(data, tmp_path / "x.tinytl"))
    assert "5 images to train; nothing is held out, so that the accuracy is unknown\n" in output
    assert not re.search(r"\naccuracy|\nrecall|\nloss (before|after)", output)
    assert output.endswith(f"wrote {tmp_path}/x.tinytl\n")


def test_photos_in_train_are_not_held_out(built, tmp_path, photos):
    data = tmp_path / "data"
    data.mkdir()
    photos.rename(data / "train")
    assert "12 images to train; nothing is held out" in adapt(built, *arguments(data, tmp_path / "x.tinytl"))
    assert "--split_seed" in adapt(built, *arguments(data, tmp_path / "x.tinytl"), "--split_seed=1", status=2)


def test_copies_of_training_photos_are_named_and_can_be_refused(built, tmp_path, tested):
    done = run(built, *arguments(tested, tmp_path / "x.tinytl"))
    assert done.returncode == 0
    assert done.stderr.count("is a copy of the training image") == 12
    path = next((tested / "test" / "leaf").iterdir())
    assert f"the test image {path} is a copy of the training image {tested}/train/leaf/{path.name}\n" in done.stderr
    assert "12 of 12 test images are trained on, so that the accuracy is too high\n" in done.stderr
    line = adapt(built, *arguments(tested, tmp_path / "y.tinytl"), "--strict", status=2)
    assert "got 12 of 12 that are; remove the copies, or leave out --strict" in line
    assert not (tmp_path / "y.tinytl").exists()
    # Another name and another class, but the same bytes.
    for other in (tested / "test").glob("*/*"):
        other.unlink()
    shutil.copy(tested / "train" / "leaf" / path.name, tested / "test" / "disk" / f"other{path.suffix}")
    assert "got 1 of 1 that are" in adapt(built, *arguments(tested, tmp_path / "y.tinytl"), "--strict", status=2)
    (tested / "test" / "disk" / f"other{path.suffix}").unlink()
    write_random(tested / "test" / "disk" / "new.ppm", 0)
    done = run(built, *arguments(tested, tmp_path / "y.tinytl"), "--strict")
    assert (done.returncode, "copy" in done.stderr) == (0, False)


def test_no_more_copies_are_named_than_can_be_read(built, tmp_path):
    data = tmp_path / "data"
    for index in range(30):
        write_random(data / "train" / "leaf" / f"{index}.ppm", index)
    shutil.copytree(data / "train", data / "test")
    done = run(built, *arguments(data, tmp_path / "x.tinytl"))
    assert done.stderr.count("is a copy of the training image") == 20
    assert "30 of 30 test images are trained on" in done.stderr
