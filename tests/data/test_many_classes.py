"""Ten thousand classes take ten times as long as a thousand, not a hundred times."""

import time

import numpy as np
import pytest

from tests.data.conftest import picture
from tinytl_tf.data import ImageDataset, folder
from tinytl_tf.data.classes import check_names, match_classes
from tinytl_tf.data.labels_file import read_labels
from tinytl_tf.data.splits import first_of_each_class, last_quarter
from tinytl_tf.device.state_file import read_state, write_state

FINGERPRINT = bytes(32)
LEAST = 0.004  # seconds; below, the clock measures chance


def names(count):
    return [f"class {number}" for number in range(count)]


def dataset(count):
    labels = np.arange(4 * count) % count
    return ImageDataset("many", names(count), labels, lambda index, short_side: np.zeros([1, 1, 3], np.uint8))


def write_csv(count, folder):
    rows = [",".join(["file", *names(count)]), *(",".join([f"{number}.png"] + ["1"] * count) for number in range(3))]
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder / "labels.csv"


def state(count, folder):
    path = folder / "many.tinytl"
    write_state(path, np.zeros(3, np.float32), FINGERPRINT, names(count))
    return path


# What is made before the clock starts, and what is measured.
WORK = {
    "names": (lambda count, _: names(count), check_names),
    "names that are taken": (lambda count, _: names(count), lambda given: check_names(["x", "y"], taken=given)),
    "a data set": (lambda count, _: count, dataset),
    "a part of one": (lambda count, _: dataset(count), lambda whole: whole.subset(np.arange(len(whole)))),
    "its description": (lambda count, _: dataset(count), ImageDataset.describe),
    "matched by name": (
        lambda count, _: names(count),
        lambda given: match_classes(given[::-1], given, len(given), where="photos", complete=True),
    ),
    "the last quarter": (lambda count, _: dataset(count), last_quarter),
    "the first of each": (
        lambda count, _: dataset(count),
        lambda whole: first_of_each_class(whole, len(whole.class_names), "train_images"),
    ),
    "columns of labels.csv": (write_csv, read_labels),
    "added classes that are read": (state, lambda path: read_state(path, FINGERPRINT, 3)),
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_time_is_linear_in_the_classes(tmp_path, work):
    prepare, measured = work

    def seconds(count):
        given, times = prepare(count, tmp_path), []
        for _ in range(3):
            start = time.process_time()
            measured(given)
            times.append(time.process_time() - start)
        return max(min(times), LEAST)

    assert seconds(10_000) < 40 * seconds(1_000)


def test_a_link_is_not_compared_with_each_folder(tmp_path, monkeypatch):
    calls = []
    is_within = folder._is_within
    monkeypatch.setattr(folder, "_is_within", lambda *paths: calls.append(paths) or is_within(*paths))
    counts = {}
    for count in (5, 20):
        root = tmp_path / f"{count}"
        for name in names(count):
            (root / "photos" / name).mkdir(parents=True)
            picture(0).save(root / "photos" / name / "0.png")
            (root / "set/train" / name).mkdir(parents=True)
            (root / "set/train" / name / "0.png").symlink_to(root / "photos" / name / "0.png")
        calls.clear()
        assert len(folder.load_folder(root / "set").train) == count
        counts[count] = len(calls)
    assert counts[20] <= 4 * counts[5]
