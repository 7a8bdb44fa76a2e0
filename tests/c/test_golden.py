"""The C client computes what the golden files say, and what the Python client computes on this machine."""

import json

import numpy as np
import pytest

from tests.c.client import Refused
from tests.c.conftest import GOLDEN
from tests.c.names import BAD_NAMES, GOOD_NAMES, as_bytes
from tinytl_tf.device import TrainableModel
from tinytl_tf.files import sha256

AS_EXPORTED, ON, OFF = 0, 1, 2
DELEGATES = {"xnnpack": ON, "without_xnnpack": OFF}
LABELS = ("stripes", "disk", "cross", "leaf", "éclair")


def numbers(words):
    return np.array([float.fromhex(word) for word in words], np.float32)


def state_of(c, path, name="a"):
    c.ask("state", name, path)
    return np.fromfile(path, np.float32)


def read_golden(kernels):
    training = json.loads((GOLDEN / f"training_{kernels}.json").read_text("utf-8"))
    return training, [(GOLDEN / photo["pixels"]).read_bytes() for photo in training["photos"]]


def train(c, folder, pixels, step, name="a"):
    (folder / "batch.raw").write_bytes(b"".join(pixels[photo] for photo in step["photos"]))
    words = c.ask("train", name, folder / "batch.raw", step["learning_rate"], *step["labels"])
    return (*numbers(words[:2]), int(words[2]))


def answers(c, folder, pixels):
    logits, probabilities = [], []
    for image in pixels:
        (folder / "image.raw").write_bytes(image)
        first, second = np.split(numbers(c.ask("infer", "a", folder / "image.raw")), 2)
        logits.append(first)
        probabilities.append(second)
    return {"logits": np.array(logits), "probabilities": np.array(probabilities)}


def assert_answers(actual, expected, tolerances):
    for name in ("logits", "probabilities"):
        np.testing.assert_allclose(actual[name], expected[name], rtol=0, atol=tolerances[name])


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize("kernels", ["float32", "int8"])
def test_twenty_steps(c, tmp_path, kernels, delegate):
    training, pixels = read_golden(kernels)
    tolerances, path = training["tolerances"], GOLDEN / training["model"]
    c.open(path, xnnpack=DELEGATES[delegate])
    assert_answers(answers(c, tmp_path, pixels), training["before"][delegate], tolerances)
    exported = state_of(c, tmp_path / "exported.f32")
    c.ask("save", "a", tmp_path / "exported.tinytl")
    assert sha256(tmp_path / "exported.tinytl") == training["exported_state_sha256"]
    # The same steps in Python: a second model, and steps of both in turn.
    python = TrainableModel(path, xnnpack=delegate == "xnnpack", api="compiled_model")
    for step in training["steps"]:
        loss, accuracy, applied = train(c, tmp_path, pixels, step)
        images = np.frombuffer(b"".join(pixels[photo] for photo in step["photos"]), np.uint8)
        labels = np.array(step["labels"], np.int32)
        result = python.train(images.reshape(-1, 64, 64, 3), labels, float(np.float32(step["learning_rate"])))
        assert (loss, accuracy, bool(applied)) == (np.float32(result.loss), np.float32(result.accuracy), result.applied)
        expected = step[delegate]
        assert loss == pytest.approx(expected["loss"], rel=tolerances["loss"])
        assert accuracy == pytest.approx(expected["accuracy"], abs=tolerances["accuracy"])
        assert applied == expected["applied"]
    trained = state_of(c, tmp_path / "trained.f32")
    np.testing.assert_array_equal(trained, python.state())
    c.ask("save", "a", tmp_path / "c.tinytl")
    python.save(tmp_path / "python.tinytl")
    assert (tmp_path / "c.tinytl").read_bytes() == (tmp_path / "python.tinytl").read_bytes()
    for step in training["refused"]:
        with pytest.raises(Refused, match="expected labels of 0 to 4") as error:
            train(c, tmp_path, pixels, step)
        assert error.value.status == "ARGUMENT"
    np.testing.assert_array_equal(state_of(c, tmp_path / "same.f32"), trained)
    # The golden state, trained elsewhere: this one differs from it by little, and it is taken.
    c.ask("restore", "a", GOLDEN / training["state_after"])
    golden = state_of(c, tmp_path / "golden.f32")
    assert np.linalg.norm(trained - golden) <= tolerances["update"] * np.linalg.norm(golden - exported)
    assert_answers(answers(c, tmp_path, pixels), training["after"][delegate], tolerances)
    c.ask("save", "a", tmp_path / "again.tinytl")
    assert (tmp_path / "again.tinytl").read_bytes() == (GOLDEN / training["state_after"]).read_bytes()
    c.ask("reset", "a")
    np.testing.assert_array_equal(state_of(c, tmp_path / "reset.f32"), exported)


def test_xnnpack_is_on_or_off(c, tmp_path):
    """Else the test above could run one thing twice."""
    training, pixels = read_golden("int8")
    for name, xnnpack in (("a", ON), ("b", OFF)):
        c.open(GOLDEN / "model_int8.tflite", name, xnnpack=xnnpack)
    losses = [train(c, tmp_path, pixels, training["steps"][0], name)[0] for name in "ab"]
    assert losses[0] != losses[1]


def test_info_and_labels(c, tmp_path):
    model = GOLDEN / "model_float32.tflite"
    state_size = (len((GOLDEN / "state_float32.tinytl").read_bytes()) - 52) // 4
    c.open(model)
    sizes, none_spare = ["64", "64", "5", "4", str(64 * 64 * 3), str(state_size)], ["5", "0"]
    assert c.ask("info", "a") == [*sizes, "0", "1", "1", sha256(model), "1", *none_spare, "0.00300000003"]
    assert tuple(c.ask("label", "a", index)[0] for index in range(5)) == LABELS
    # Without a manifest the names come from the .tflite itself.
    alone = tmp_path / "alone.tflite"
    alone.write_bytes(model.read_bytes())
    c.open(alone, "b", trust=True)
    assert c.ask("info", "b") == [*sizes, "0", "1", "0", sha256(model), "1", *none_spare, "0.00100000005"]
    assert tuple(c.ask("label", "b", index)[0] for index in range(5)) == LABELS


def test_a_step_that_is_not_finite_changes_nothing(c, tmp_path):
    training, pixels = read_golden("float32")
    c.open(GOLDEN / "model_float32.tflite")
    before = state_of(c, tmp_path / "before.f32")
    step = training["steps"][0] | {"learning_rate": 3e38}
    assert train(c, tmp_path, pixels, step)[2] == 0
    np.testing.assert_array_equal(state_of(c, tmp_path / "after.f32"), before)
    assert train(c, tmp_path, pixels, training["steps"][0])[2] == 1
    assert (state_of(c, tmp_path / "moved.f32") != before).any()


def test_two_models_do_not_share_a_state(c, tmp_path):
    training, pixels = read_golden("float32")
    c.open(GOLDEN / "model_float32.tflite")
    c.open(GOLDEN / "model_float32.tflite", "b")
    train(c, tmp_path, pixels, training["steps"][0])
    a, b = (state_of(c, tmp_path / f"{name}.f32", name) for name in "ab")
    assert (a != b).any()
    c.ask("save", "a", tmp_path / "a.tinytl")
    c.ask("close", "a")
    c.ask("restore", "b", tmp_path / "a.tinytl")
    np.testing.assert_array_equal(state_of(c, tmp_path / "b.f32", "b"), a)


@pytest.mark.parametrize("delegate", DELEGATES)
def test_an_added_class(c, tmp_path, delegate):
    spare = json.loads((GOLDEN / "spare.json").read_text("utf-8"))
    _, pixels = read_golden("float32")
    tolerances = spare["tolerances"]
    c.open(GOLDEN / spare["model"], xnnpack=DELEGATES[delegate])
    exported = state_of(c, tmp_path / "exported.f32")
    assert c.ask("info", "a")[2:3] + c.ask("info", "a")[11:13] == ["5", "7", "2"]
    with pytest.raises(Refused, match="expected labels of 0 to 4, got 5"):
        train(c, tmp_path, pixels, spare["steps"][0])
    assert c.add(spare["class"]) == spare["label"]
    assert c.ask("info", "a")[2:3] + c.ask("info", "a")[11:13] == ["6", "7", "1"]
    assert c.ask("label", "a", 5) == [spare["class"]]
    c.ask("save", "a", tmp_path / "added.tinytl")
    assert sha256(tmp_path / "added.tinytl") == spare["added_state_sha256"]
    for step in spare["steps"]:
        loss, _, applied = train(c, tmp_path, pixels, step)
        assert loss == pytest.approx(step[delegate]["loss"], rel=tolerances["loss"])
        assert applied == 1
    for step in spare["refused"]:
        with pytest.raises(Refused, match="expected labels of 0 to 5, got 6"):
            train(c, tmp_path, pixels, step)
    # In another model, as another device has it.
    c.ask("reset", "a")
    assert c.ask("info", "a")[2:3] + c.ask("info", "a")[11:13] == ["5", "7", "2"]
    np.testing.assert_array_equal(state_of(c, tmp_path / "state.f32"), exported)
    c.ask("restore", "a", GOLDEN / spare["state_after"])
    assert c.ask("label", "a", 5) == [spare["class"]]
    assert_answers(answers(c, tmp_path, pixels), spare["after"][delegate], tolerances)
    c.ask("save", "a", tmp_path / "again.tinytl")
    assert (tmp_path / "again.tinytl").read_bytes() == (GOLDEN / spare["state_after"]).read_bytes()
    c.ask("restore", "a", tmp_path / "added.tinytl")
    assert c.add("b") == 6
    with pytest.raises(Refused, match="exported with 2; export it with more") as error:
        c.add("c")
    assert error.value.status == "OUTPUTS"


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_name_is_taken_and_saved_as_it_is(c, tmp_path, name):
    c.open(GOLDEN / "model_spare.tflite")
    assert c.add(name) == 5
    c.ask("save", "a", tmp_path / "named.tinytl")
    assert name.encode() == (tmp_path / "named.tinytl").read_bytes()[-4 - len(name.encode()) : -4]
    c.ask("restore", "a", tmp_path / "named.tinytl")
    c.ask("save", "a", tmp_path / "again.tinytl")
    assert (tmp_path / "again.tinytl").read_bytes() == (tmp_path / "named.tinytl").read_bytes()


def test_classes_that_cannot_be_added(c, tmp_path):
    c.open(GOLDEN / "model_spare.tflite")
    before = c.ask("info", "a")
    for name in ("éclair", *map(as_bytes, BAD_NAMES.values())):
        with pytest.raises(Refused) as error:
            c.add(name)
        assert error.value.status == "NAMES"
    assert c.ask("info", "a") == before
    c.add("b")
    with pytest.raises(Refused, match="different names"):
        c.add("b")
    # A state of other classes is no state of these.
    state_of(c, tmp_path / "added.f32")
    c.ask("reset", "a")
    with pytest.raises(Refused, match="expected 5 outputs in use, got 6") as error:
        c.ask("set", "a", tmp_path / "added.f32")
    assert error.value.status == "OUTPUTS"
    assert c.ask("info", "a") == before
    alone = tmp_path / "alone.tflite"
    alone.write_bytes((GOLDEN / "model_spare.tflite").read_bytes())
    c.open(alone, "b", trust=True)
    assert c.ask("info", "b")[11:13] == ["7", "2"]
    with pytest.raises(Refused, match="which has the position of the classifier") as error:
        c.add("c", "b")
    assert error.value.status == "MANIFEST"
