"""Float arrays: packed ones, folders of WAV files, and their batches."""

import hashlib
import wave

import numpy as np
import pytest

from tinytl_tf import data
from tinytl_tf.data.batches import training_order
from tinytl_tf.errors import InputError

RNG = np.random.default_rng(0)
WINDOWS = RNG.normal(size=(8, 5, 3)).astype(np.float32)
LABELS = np.array([0, 1] * 4)
RATE = 8000


def pack(path, **changes):
    arrays = {"array": WINDOWS, "label": LABELS, "classes": ["rest", "walk"]} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "set.npz"


def refused(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("keys", [("array", "label"), ("x", "y")])
def test_packed_arrays_are_what_was_packed(path, keys):
    pack(path, **({"array": None, "label": None} | {keys[0]: WINDOWS.astype(np.float64), keys[1]: LABELS}))
    splits = data.load(path)
    assert splits.train.class_names == ("rest", "walk")
    assert (splits.train.shape, splits.train.task, splits.train.items) == ((5, 3), "classification", "arrays")
    np.testing.assert_array_equal([splits.train.array(i) for i in range(6)], WINDOWS[:6])
    assert splits.train.array(0).dtype == np.float32
    assert splits.test.labels.tolist() == [0, 1]
    assert (
        splits.describe() == "train: 6 arrays of 2 classes: rest 3, walk 3\ntest: 2 arrays of 2 classes: rest 1, walk 1"
    )
    assert splits.train.digest(1) == hashlib.sha256(WINDOWS[1].astype("<f4").tobytes()).hexdigest()


def test_split_and_source_are_used(path):
    pack(path, split=["test"] * 2 + ["train"] * 6, source=[f"subject {i}" for i in range(8)])
    splits = data.load(path)
    assert (len(splits.train), len(splits.test)) == (6, 2)
    assert splits.test.source(1) == f"{path}[subject 1]"
    copies = pack(path, array=WINDOWS[[0, 1, 0, 3, 4, 5, 6, 7]], split=["test"] * 2 + ["train"] * 6)
    message = refused(lambda: data.load(copies, strict=True))
    assert message.startswith("1 of 2 test arrays are training arrays too: ")


@pytest.mark.parametrize(
    ("labels", "task", "expected"),
    [
        (LABELS, None, "classification"),
        (np.eye(2)[LABELS], None, "multilabel"),
        (np.eye(2)[LABELS], "regression", "regression"),
        (WINDOWS[:, 0, :2], "regression", "regression"),
        (WINDOWS[:, 0, 0], None, "regression"),
    ],
)
def test_labels_say_their_task(path, labels, task, expected):
    names = ["rest"] if labels.dtype.kind == "f" and labels.ndim == 1 else ["rest", "walk"]
    splits = data.load(pack(path, label=labels, task=task, classes=names))
    assert splits.train.task == expected
    np.testing.assert_array_equal(splits.train.labels, labels[:6].reshape(splits.train.labels.shape).astype(np.float32))
    assert (len(splits.train), len(splits.test)) == (6, 2)
    if expected == "regression":
        mean, spread = splits.train.labels[:, 0].mean(), splits.train.labels[:, 0].std()
        assert f"of {len(names)} numbers, mean and spread: rest {mean:.4g} +- {spread:.4g}" in splits.train.describe()
        assert len(data.load(path, train_images=2).train) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": None}, "lacks label; expected array (or x), label (or y) and classes"),
        (
            {"array": WINDOWS[:, 0, 0]},
            "expected 'array' [n, ...] with 1 to 3 sizes after n, as many labels and sources",
        ),
        ({"array": WINDOWS[:7]}, "expected 'array' [n, ...] with 1 to 3 sizes after n, as many labels and sources"),
        ({"array": WINDOWS * np.where(np.arange(8) == 3, np.nan, 1)[:, None, None]}, "got nan at [3, 0, 0]"),
        ({"array": WINDOWS.astype(np.float64) * 1e300}, "expected finite numbers in 'array' of "),
        ({"array": WINDOWS * 1j}, "expected numbers in 'array' of "),
        ({"label": LABELS + 1}, "its 2 classes need labels from 0 to 1"),
        ({"label": LABELS.astype(str)}, "expected 'label' to be int [n] or numbers [n, classes], got <U"),
        ({"label": WINDOWS[:, 0, :2]}, "expected labels from 0 to 1 for each attribute, got "),
        ({"task": "sorting"}, "expected 'task' of regression, got 'sorting'"),
        ({"classes": [0, 1]}, "expected 'classes' to be str [classes], got int64 [2]"),
        ({"split": ["train"] * 8}, "expected 'split' to name each array 'train' or 'test'"),
        ({"sample_rate": 16000}, "expected 'sample_rate' as an integer, with waveforms [n, samples]"),
    ],
)
def test_what_does_not_fit_is_refused(path, changes, message):
    pack(path, **changes)
    text = refused(lambda: data.load(path))
    assert text.startswith(f"packed set {path}") or f"packed set {path}" in text
    assert message in text


def test_batches_are_the_arrays_in_the_order_of_all_clients(path):
    train = data.load(pack(path)).train
    batches = list(data.array_train_batches(train, batch_size=4, seed=3, epoch=2))
    order = training_order(6, 4, 3, 2)[:4]
    assert len(batches) == 1
    np.testing.assert_array_equal(batches[0][0], WINDOWS[order])
    np.testing.assert_array_equal(batches[0][1], LABELS[order])
    few = list(data.array_train_batches(train.subset([4, 5]), batch_size=3, seed=0, epoch=0))
    assert [len(labels) for _, labels in few] == [3]
    assert list(data.array_train_batches(train, batch_size=3, seed=0, epoch=0, start_step=1))[0][0].shape == (3, 5, 3)
    evaluated = list(data.array_eval_batches(train, batch_size=4))
    np.testing.assert_array_equal(np.concatenate([arrays for arrays, _ in evaluated]), WINDOWS[:6])
    assert [labels.tolist() for _, labels in evaluated] == [[0, 1, 0, 1], [0, 1]]
    assert refused(lambda: data.array_train_batches(train, batch_size=4, seed=-1, epoch=0)).startswith("expected seed")
    assert refused(lambda: data.array_eval_batches(train, batch_size=0)).startswith("expected batch_size")


def write_wav(path, samples, rate=RATE, channels=1, width=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(np.asarray(samples, f"<i{width}").tobytes() if width > 1 else bytes(len(samples)))


@pytest.fixture
def recordings(tmp_path):
    """Three words of 4, 5 and 9 samples."""
    for word, samples in (("no", [1, 2, 3, 4]), ("stop", [1, 2, 3, 4, 5]), ("yes", range(1, 10))):
        write_wav(tmp_path / "words" / "train" / word / "a.wav", samples)
        write_wav(tmp_path / "words" / "test" / word / "b.WAV", [-32768, 32767, 7, 9, len(word)])
    return tmp_path / "words"


def test_waveforms_are_cropped_and_padded_about_their_middle(recordings):
    splits = data.load(recordings, samples=6, sample_rate=RATE)
    assert splits.train.class_names == ("no", "stop", "yes")
    assert (splits.train.shape, splits.train.sample_rate) == ((6,), RATE)
    waveforms = [(splits.train.array(index) * 32768).tolist() for index in range(3)]
    assert waveforms == [[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 5, 0], [2, 3, 4, 5, 6, 7]]
    assert splits.test.array(0).tolist()[:2] == [-1, 32767 / 32768]
    assert splits.train.digest(0) == hashlib.sha256((recordings / "train/no/a.wav").read_bytes()).hexdigest()
    other = data.load(recordings, samples=4, sample_rate=RATE)
    assert (other.train.array(2) * 32768).tolist() == [3, 4, 5, 6]
    assert other.train.fingerprint() != splits.train.fingerprint()


def test_a_flat_folder_of_recordings_is_split_by_content(tmp_path):
    for word in ("no", "yes"):
        for index in range(12):
            write_wav(tmp_path / word / f"{index}.wav", [index, len(word)])
    (tmp_path / "no" / "notes.txt").write_text("x")
    splits = data.load(tmp_path, samples=2, sample_rate=RATE)
    assert splits.held_out
    assert len(splits.train) + len(splits.test) == 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 16000}, "got 1 channels, 16 bits and 16000 in "),
        ({"channels": 2}, "got 2 channels, 16 bits and 8000 in "),
        ({"width": 1}, "got 1 channels, 8 bits and 8000 in "),
        ({"samples": []}, "expected the samples of "),
    ],
)
def test_recordings_of_another_kind_are_refused(recordings, change, message):
    write_wav(recordings / "train" / "no" / "z.wav", **{"samples": [1, 2], **change})
    text = refused(lambda: data.load(recordings, samples=6, sample_rate=RATE))
    assert message in text
    assert "WAV folder" in text


def test_a_recording_that_is_cut_short_is_refused(recordings):
    path = recordings / "train" / "no" / "a.wav"
    content = path.read_bytes()
    for length in (0, 10, 44, len(content) - 2):
        path.write_bytes(content[:length])
        text = refused(lambda: data.load(recordings, samples=6, sample_rate=RATE))
        assert str(path) in text, length


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 6}, "expected samples and sample_rate, or neither of them, got 6 and None"),
        ({"samples": 0, "sample_rate": RATE}, "expected samples to be an integer of 1 or more, got 0"),
        ({"samples": 6, "sample_rate": 8e3}, "expected sample_rate to be an integer of 1 or more, got 8000.0"),
        ({}, "has no images ("),
    ],
)
def test_a_folder_needs_both_settings(recordings, arguments, message):
    assert message in refused(lambda: data.load(recordings, **arguments))
