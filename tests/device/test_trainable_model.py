import concurrent.futures
import dataclasses
import json
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests import tiny_tflite
from tests.tiny_tflite import BATCH, CLASSES, SIZE, STATE_SIZE
from tinytl_tf.data import Augmentation
from tinytl_tf.device import TrainableModel, TrainResult, evaluate
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import LABELS_ENTRY, DataSettings, InputSettings, StateEntry
from tinytl_tf.tflite.model import Model

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, [BATCH, SIZE, SIZE, 3], np.uint8)
LABELS = np.array([2, 0], np.int32)


class Reference:
    """The tiny model's softmax regression in float64."""

    def __init__(self):
        self.kernel = np.zeros([SIZE * SIZE * 3, CLASSES])
        self.bias = np.zeros(CLASSES)

    def infer(self, images):
        logits = (images.reshape(len(images), -1) / 127.5 - 1.0) @ self.kernel + self.bias
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        return logits, exponentials / exponentials.sum(-1, keepdims=True)

    def train(self, images, labels, learning_rate):
        logits, probabilities = self.infer(images)
        loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
        error = (probabilities - np.eye(CLASSES)[labels]) / len(labels)
        self.kernel -= learning_rate * (images.reshape(len(images), -1) / 127.5 - 1.0).T @ error
        self.bias -= learning_rate * error.sum(0)
        return loss, (logits.argmax(-1) == labels).mean()

    def state(self):
        return np.concatenate([self.kernel.ravel(), self.bias])


def outputs(model):
    return [model.state(), *(model.infer(image).logits for image in IMAGES)]


def assert_same(before, after):
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def trained(model_path):
    model = TrainableModel(model_path, trust=True)
    model.train(IMAGES, LABELS, 0.05)
    return model


def test_sizes_are_read_from_the_file(model_path):
    model = TrainableModel(model_path, trust=True)
    assert (model.batch_size, model.image_size, model.num_classes) == (BATCH, (SIZE, SIZE), CLASSES)
    assert model.state_size == STATE_SIZE
    assert len(model.fingerprint) == 32
    assert model.manifest is None
    assert model.class_names is None


def test_the_default_rate_is_that_of_the_manifest(model_path, monkeypatch):
    model = TrainableModel(model_path, trust=True)
    assert model.default_learning_rate == 1e-3
    opened = dataclasses.replace(model._file, manifest=SimpleNamespace(learning_rate=0.125))
    monkeypatch.setattr(model, "_file", opened)
    assert model.default_learning_rate == 0.125


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_steps_equal_the_arithmetic(model_path, xnnpack, num_threads, api):
    model, reference = (
        TrainableModel(model_path, trust=True, num_threads=num_threads, xnnpack=xnnpack, api=api),
        Reference(),
    )
    rng = np.random.default_rng(1)
    for _ in range(10):
        images = rng.integers(0, 256, IMAGES.shape, np.uint8)
        labels = rng.integers(0, CLASSES, BATCH)
        result = model.train(images, labels, 0.02)
        loss, accuracy = reference.train(images, labels, 0.02)
        assert result.loss == pytest.approx(loss, rel=1e-5)
        assert result.accuracy == pytest.approx(accuracy)
        assert result.applied is True
    np.testing.assert_allclose(model.state(), reference.state(), rtol=1e-4, atol=1e-6)
    result = model.infer(IMAGES[0])
    logits, probabilities = reference.infer(IMAGES[:1])
    np.testing.assert_allclose(result.logits, logits[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result.probabilities, probabilities[0], rtol=1e-4)


def test_views_are_read_as_they_look(model_path):
    model = TrainableModel(model_path, trust=True)
    model.train(IMAGES[:, :, ::-1], LABELS[::-1], 0.05)
    other = TrainableModel(model_path, trust=True)
    other.train(IMAGES[:, :, ::-1].copy(), LABELS[::-1].copy(), 0.05)
    assert_same(outputs(model), outputs(other))


def test_a_step_that_is_not_finite_changes_nothing(model_path, api):
    model = TrainableModel(model_path, trust=True, api=api)
    model.set_state(np.full(STATE_SIZE, 3e38, np.float32))
    before = model.state()
    assert model.train(np.full_like(IMAGES, 255), LABELS, 0.1).applied is False
    np.testing.assert_array_equal(model.state(), before)


def test_a_saved_state_lives_on_in_another_model(trained, model_path, tmp_path, api):
    trained.save(tmp_path / "state.tinytl")
    other = TrainableModel(model_path, trust=True, api=api)
    other.restore(tmp_path / "state.tinytl")
    assert_same(outputs(trained), outputs(other))
    assert trained.train(IMAGES, LABELS, 0.05) == other.train(IMAGES, LABELS, 0.05)


def test_a_bad_state_file_leaves_the_model_as_it_was(trained, tmp_path):
    path = tmp_path / "state.tinytl"
    trained.save(path)
    good = path.read_bytes()
    trained.train(IMAGES, LABELS, 0.05)
    before = outputs(trained)
    damaged = bytearray(good)
    damaged[100] ^= 1
    for content in (b"", b"hello", good[:-1], good + b"\0", bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(InputError):
            trained.restore(path)
        assert_same(before, outputs(trained))


def test_a_state_of_another_model_is_refused(trained, tmp_path):
    trained.save(tmp_path / "state.tinytl")
    other_path = tmp_path / "other.tflite"
    other_path.write_bytes(tiny_tflite.build((*tiny_tflite.SIGNATURES, "reset")))
    with pytest.raises(InputError, match="belongs to the model with SHA-256"):
        TrainableModel(other_path, trust=True).restore(tmp_path / "state.tinytl")


@pytest.mark.parametrize("signatures", [tiny_tflite.SIGNATURES, (*tiny_tflite.SIGNATURES, "reset")])
def test_reset_puts_the_exported_state_back(tmp_path, signatures, api):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build(signatures))
    model = TrainableModel(path, api=api, trust=True)
    before = outputs(model)
    model.train(IMAGES, LABELS, 0.05)
    assert not np.array_equal(model.state(), before[0])
    model.reset()
    assert_same(before, outputs(model))


def test_reset_refuses_a_file_that_has_changed(trained, model_path):
    before = outputs(trained)
    changed = model_path.with_suffix(".new")
    changed.write_bytes(tiny_tflite.build((*tiny_tflite.SIGNATURES, "reset")))
    changed.replace(model_path)
    with pytest.raises(InputError, match="has changed since it was loaded"):
        trained.reset()
    assert_same(before, outputs(trained))


def test_threads_take_turns(model_path, api):
    model, alone = TrainableModel(model_path, trust=True, api=api), TrainableModel(model_path, trust=True)
    failures = []

    def work():
        try:
            for _ in range(100):
                model.train(IMAGES, LABELS, 0.001)
                model.infer(IMAGES[0])
                model.state()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(400):
        alone.train(IMAGES, LABELS, 0.001)
    assert not failures
    assert_same(outputs(alone), outputs(model))


RATE = 0.1
BAD_CALLS = {
    "float images": (
        lambda m: m.train(IMAGES / 255, LABELS, RATE),
        "expected images: uint8 [2, 4, 4, 3], got float64 [2, 4, 4, 3]",
    ),
    "one image": (
        lambda m: m.train(IMAGES[0], LABELS, RATE),
        "expected images: uint8 [2, 4, 4, 3], got uint8 [4, 4, 3]",
    ),
    "other size": (
        lambda m: m.train(IMAGES[:, :3], LABELS, RATE),
        "expected images: uint8 [2, 4, 4, 3], got uint8 [2, 3, 4, 3]",
    ),
    "list of images": (
        lambda m: m.train([*IMAGES], LABELS, RATE),
        "expected images: uint8 [2, 4, 4, 3], got list",
    ),
    "float labels": (lambda m: m.train(IMAGES, np.ones(2), RATE), "expected labels: integers [2], got float64 [2]"),
    "one label": (lambda m: m.train(IMAGES, LABELS[:1], RATE), "expected labels: integers [2], got int32 [1]"),
    "label 3": (lambda m: m.train(IMAGES, np.array([0, 3]), RATE), "expected labels from 0 to 2, got 3"),
    "label -1": (lambda m: m.train(IMAGES, np.array([-1, 0]), RATE), "expected labels from 0 to 2, got -1"),
    "label 2**32": (
        lambda m: m.train(IMAGES, np.array([2**32, 0]), RATE),
        "expected labels from 0 to 2, got 4294967296",
    ),
    "rate nan": (
        lambda m: m.train(IMAGES, LABELS, float("nan")),
        "expected a learning rate that is finite and not negative, got nan",
    ),
    "rate inf in float32": (
        lambda m: m.train(IMAGES, LABELS, 1e39),
        "expected a learning rate that is finite and not negative, got 1e+39",
    ),
    "rate below 0": (
        lambda m: m.train(IMAGES, LABELS, -1.0),
        "expected a learning rate that is finite and not negative, got -1.0",
    ),
    "rate text": (
        lambda m: m.train(IMAGES, LABELS, "fast"),
        "expected a learning rate that is finite and not negative, got 'fast'",
    ),
    "infer batch": (lambda m: m.infer(IMAGES), "expected image: uint8 [4, 4, 3], got uint8 [2, 4, 4, 3]"),
    "state type": (
        lambda m: m.set_state(np.zeros(STATE_SIZE)),
        "expected state: float32 [147], got float64 [147]",
    ),
    "state size": (
        lambda m: m.set_state(np.zeros(3, np.float32)),
        "expected state: float32 [147], got float32 [3]",
    ),
    "state nan": (
        lambda m: m.set_state(np.full(STATE_SIZE, np.nan, np.float32)),
        "cannot set the state: expected finite values, got nan at index 0 (147 in all); "
        "reset the model and train with a lower learning rate",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_input_is_named_and_changes_nothing(trained, call, message):
    before = outputs(trained)
    with pytest.raises(InputError) as error:
        call(trained)
    assert str(error.value) == message
    assert_same(before, outputs(trained))
    assert isinstance(trained.train(IMAGES, LABELS, RATE), TrainResult)


def refused(path, api="interpreter"):
    with pytest.raises(InputError) as error:
        TrainableModel(path, api=api, trust=True)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_missing_and_unreadable_files_are_named(tmp_path):
    missing = tmp_path / "none.tflite"
    assert refused(missing) == f"expected a .tflite file at {missing}, got: No such file or directory; check the path"
    assert refused(tmp_path) == f"expected a .tflite file at {tmp_path}, got a folder or device; check the path"


def test_threads_below_one_are_refused(model_path):
    with pytest.raises(InputError, match="expected num_threads from 1 to 256, got 0"):
        TrainableModel(model_path, trust=True, num_threads=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is truncated or corrupt (ValueError while reading it); copy or export it again"),
        (b"hello, not a model", "is not a .tflite file: expected the mark TFL3 at byte 4; check the path"),
        (tiny_tflite.__doc__.encode() * 9, "is not a .tflite file: expected the mark TFL3 at byte 4; check the path"),
    ],
)
def test_what_is_no_tflite_is_refused(tmp_path, content, message, api):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    assert refused(path, api) == f"{path} {message}"


def test_cut_and_damaged_models_are_refused(tmp_path, api):
    path = tmp_path / "model.tflite"
    content = tiny_tflite.build()
    path.write_bytes(content[:-1])
    assert refused(path, api).startswith(f"LiteRT cannot load {path}: ")
    path.write_bytes(content[:3000] + b"\xff" * 64 + content[3064:])
    assert refused(path, api).startswith(f"LiteRT cannot load {path}: ")


def test_missing_signatures_are_named(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build(("infer",)))
    assert refused(path) == (
        f"{path} has the signatures ['infer'], expected train, save, restore too; export it with `tinytl export`"
    )


def test_signatures_with_other_tensors_are_named(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build(("infer", "train", "save_too_little", "restore"), tiny_tflite.SIGNATURES))
    assert refused(path) == (
        f"{path}: restore.state: expected float32 [146], got float32 [147]; export it with `tinytl export`"
    )
    path.write_bytes(tiny_tflite.build(("infer", "train", "save", "reset"), tiny_tflite.SIGNATURES))
    assert refused(path) == f"{path}: restore.state is missing; export it with `tinytl export`"


def test_flex_operators_are_named(tmp_path):
    path = tmp_path / "model.tflite"
    operators = ("TFLITE_BUILTINS", "SELECT_TF_OPS")
    path.write_bytes(tiny_tflite.build((*tiny_tflite.SIGNATURES, "invert"), operators=operators))
    assert refused(path) == (
        f"{path} needs the operators FlexMatrixInverse, expected LiteRT's builtin operators only; "
        "export it with `tinytl export`"
    )


def test_manifest_gives_the_class_names(model_path):
    manifest = tiny_tflite.write_manifest(model_path, ["red", "green", "blue"])
    model = TrainableModel(model_path, trust=True)
    assert model.manifest == manifest
    assert model.class_names == ("red", "green", "blue")
    assert model.central_fraction == 0.875


def test_manifest_gives_the_part_of_a_photo_that_is_evaluated(model_path):
    settings = InputSettings("uint8", (4, 4), (0, 255), "RGB", 0.5)
    tiny_tflite.write_manifest(model_path, ["red", "green", "blue"], input=settings)
    assert TrainableModel(model_path, trust=True).central_fraction == 0.5


def test_a_manifest_that_does_not_fit_is_refused(model_path):
    tiny_tflite.write_manifest(model_path, ["a"])
    path = model_path.with_suffix(".manifest.json")
    assert refused(model_path) == f"expected 3 labels of {model_path}, got ('a',); export the model again"
    path.write_text("{")
    assert refused(model_path).startswith(f"expected JSON in {path}, got: Expecting property name")


@pytest.mark.parametrize("module", ["tinytl_tf.device", "tinytl_tf.cli.adapt"])
def test_no_tensorflow_is_imported(module):
    check = f"import sys, {module}; print([m for m in ('tensorflow', 'keras', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_state_that_the_file_refuses_is_an_error(model_path, monkeypatch):
    model = TrainableModel(model_path, trust=True)
    monkeypatch.setattr(model, "_run", lambda signature, **inputs: {"restored": np.int32([0])})
    with pytest.raises(InputError, match="^cannot set the state: no training leads to it "):
        model.set_state(np.zeros(STATE_SIZE, np.float32))


def test_slots_that_no_training_leaves_are_refused(model_path):
    """A valid checksum says nothing of them, and Adam takes their root."""
    size = STATE_SIZE // 3
    entries = (StateEntry("kernel", (size,), 0), StateEntry("kernel", (size,), size, "second_moment"))
    rest = STATE_SIZE - 2 * size
    entries += (StateEntry("step", (rest,), 2 * size, "step"),)
    tiny_tflite.write_manifest(model_path, ["red", "green", "blue"], state=entries)
    model = TrainableModel(model_path, trust=True)
    state = np.ones(STATE_SIZE, np.float32)
    model.set_state(state)
    for position, name in ((0, None), (size, "second_moment of kernel"), (STATE_SIZE - 1, "step of step")):
        bad = state.copy()
        bad[position] = -1
        if name is None:
            model.set_state(bad)
            model.set_state(state)
            continue
        with pytest.raises(InputError) as error:
            model.set_state(bad)
        assert str(error.value).startswith(f"cannot set the state: expected {name} of 0 or more, got -1.0; ")
        np.testing.assert_array_equal(model.state(), state)


def test_one_call_at_a_time_reaches_the_runtime(model_path, monkeypatch):
    model, inside, most = TrainableModel(model_path, trust=True), [], []

    def slow(**inputs):
        inside.append(None)
        most.append(len(inside))
        time.sleep(0.002)
        inside.pop()
        return {"state": np.zeros(STATE_SIZE, np.float32)}

    monkeypatch.setitem(model._runners, "save", slow)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: model.state(), range(20)))
    assert max(most) == 1


@pytest.mark.parametrize("xnnpack", [None, True, False])
def test_a_changed_byte_is_found_by_the_manifest_whatever_the_flags(model_path, xnnpack):
    tiny_tflite.write_manifest(model_path, ["red", "green", "blue"])
    content = bytearray(model_path.read_bytes())
    content[len(content) // 2] ^= 1
    model_path.write_bytes(content)
    with pytest.raises(InputError, match="^expected the manifest of the .tflite with sha256 "):
        TrainableModel(model_path, trust=True, xnnpack=xnnpack)


def test_an_error_of_the_runtime_is_told_in_words(model_path, monkeypatch):
    model = TrainableModel(model_path, trust=True)

    def broken(**inputs):
        raise RuntimeError("tensor 3\nfailed to invoke")

    monkeypatch.setitem(model._runners, "infer", broken)
    with pytest.raises(InputError, match=r"^LiteRT cannot run infer of .*: tensor 3 failed to invoke; load the model"):
        model.infer(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("num_threads", [True, 1.0, 10**9, -1, "2"])
def test_threads_that_are_no_number_of_threads_are_refused(model_path, num_threads):
    with pytest.raises(InputError, match="^expected num_threads from 1 to 256, got "):
        TrainableModel(model_path, trust=True, num_threads=num_threads)


def test_without_a_manifest_training_images_are_left_as_they_are(model_path):
    model = TrainableModel(model_path, trust=True)
    assert model.augmentation == Augmentation(crop=False, flip=False)
    tiny_tflite.write_manifest(model_path, ["red", "green", "blue"], data=DataSettings(flip=False, color="tf"))
    assert TrainableModel(model_path, trust=True).augmentation == Augmentation(flip=False, color="tf")


@pytest.mark.parametrize("xnnpack", ["no", 0, 1.0])
def test_xnnpack_is_yes_or_no(model_path, xnnpack):
    with pytest.raises(InputError, match="^expected xnnpack of True, False or None, got "):
        TrainableModel(model_path, trust=True, xnnpack=xnnpack)


def test_a_file_of_contract_1_is_refused_before_it_runs(tmp_path, api):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build(("infer", "train_of_contract_1", "save", "restore"), tiny_tflite.SIGNATURES))
    assert refused(path, api).startswith(f"{path} has signatures of contract 1, and their numbers of rank 0 ")


def with_names(path, **values):
    model = Model.read(path)
    model.set_metadata(LABELS_ENTRY, json.dumps({"contract": 2, "task": "classification"} | values).encode())
    path.write_bytes(model.to_bytes())


@pytest.mark.parametrize("labels", [["a", "a", "b"], ["e\u0301", "\u00e9", "b"], ["", "a", "b"], []])
def test_names_inside_the_file_are_names(model_path, labels):
    """Of two equal ones the last was taken."""
    with_names(model_path, labels=labels)
    assert "expected names, none twice; export it again" in refused(model_path)


@pytest.mark.parametrize(
    "text",
    ["[" * 10**5, "{}", '"x"', "\0", '{"contract": 2, "task": "classification", "labels": 3}']
    + [
        f'{{"contract": 2, "task": "classification", "labels": {labels}, "spare_classes": {spare}}}'
        for labels, spare in (
            ("[1]", "0"),
            ('["\\ud800"]', "0"),
            *(('["a"]', number) for number in ("-1", "0.5", "1e400", "NaN", str(10**30), "9" * 5000, "true", "null")),
        )
    ],
)
def test_damaged_names_inside_the_file_are_refused(model_path, text):
    model = Model.read(model_path)
    model.set_metadata(LABELS_ENTRY, text.encode())
    model_path.write_bytes(model.to_bytes())
    assert "has names of its outputs that cannot be read (" in refused(model_path)


def test_what_the_file_and_its_manifest_say_has_to_agree(model_path):
    with_names(model_path, labels=["a", "b", "c"])
    tiny_tflite.write_manifest(model_path, ["a", "c", "b"])
    assert "copy both files of one export" in refused(model_path)
    tiny_tflite.write_manifest(model_path, ["a", "b", "c"], task="multilabel")
    assert "copy both files of one export" in refused(model_path)
    tiny_tflite.write_manifest(model_path, ["a", "b", "c"])
    assert TrainableModel(model_path, trust=True).class_names == ("a", "b", "c")
    with_names(model_path, labels=["a", "b", "c"], contract=1)
    model_path.with_suffix(".manifest.json").unlink()
    assert "has signatures of contract 1, expected 2 or 3; export" in refused(model_path)
    with_names(model_path, labels=["a", "b", "c"], task="detection")
    assert "is for the task 'detection', expected one of classification, multilabel" in refused(model_path)


def test_a_deeply_nested_manifest_is_refused(model_path):
    model_path.with_suffix(".manifest.json").write_text("[" * 10**5)
    assert refused(model_path).startswith(f"expected JSON in {model_path.with_suffix('.manifest.json')}, got: ")


@pytest.fixture
def attributes_path(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build(tiny_tflite.ATTRIBUTES, tiny_tflite.SIGNATURES))
    return path


def test_several_attributes(attributes_path, api):
    """The task is known from the file alone, by the type of its labels."""
    model = TrainableModel(attributes_path, api=api, trust=True)
    labels = np.array([[1, 0, 0.5], [0, 1, 1]], np.float32)
    assert model.task.name == "multilabel"
    result = model.train(IMAGES, labels, 0.05)
    assert result.loss == pytest.approx(np.log(2))
    answers = np.stack([model.infer(image).logits for image in IMAGES])
    evaluated = evaluate(model, [(IMAGES, labels)])
    assert evaluated.accuracy == pytest.approx(((answers > 0) == (labels > 0.5)).mean())
    assert evaluated.loss == pytest.approx(np.mean(np.logaddexp(0, answers) - labels * answers), rel=1e-5)
    assert evaluated.loss < result.loss
    for bad in (LABELS, labels[:1], labels + 1, np.full_like(labels, np.nan)):
        before = outputs(model)
        with pytest.raises(InputError, match="^expected labels"):
            model.train(IMAGES, bad, 0.05)
        assert_same(before, outputs(model))


def test_a_manifest_of_another_task_is_refused(attributes_path):
    tiny_tflite.write_manifest(attributes_path, ["red", "green", "blue"])
    assert refused(attributes_path).startswith(
        f"{attributes_path}: train.label: expected int32 [2], got float32 [2, 3]; "
    )
