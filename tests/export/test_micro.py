"""Files for TensorFlow Lite Micro train as TensorFlow and LiteRT do, and do what each command says."""

import dataclasses
import hashlib
import json
import math
import shutil

import keras
import numpy as np
import pytest

from tests import tiny_network
from tests.damage import damaged, require_line
from tests.export.conftest import case_params
from tests.export.test_training import STEPS, learning_rate, native, relative
from tests.micro_files import BATCH, micro_file
from tinytl_tf.device import MicroModel, TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.export import export
from tinytl_tf.export.micro_lint import resolver_calls
from tinytl_tf.files import sha256
from tinytl_tf.tflite.manifest import Manifest, manifest_path
from tinytl_tf.tflite.micro_contract import COMMANDS, INPUTS, OUTPUTS
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime.micro_signature import MicroInterpreter

runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")

# float32 in another order of summation is 1e-7 of a loss; after 20 steps it measured at most 3e-6 of the state and
# 1e-3 of the update over all cases, where an element of a mask had flipped.
LOSS, STATE, UPDATE = 1e-4, 1e-4, 1e-2


def train(model, scheme, optimizer, steps=STEPS, batch_size=BATCH):
    images, labels = tiny_network.photos(STEPS, batch_size)
    rate = learning_rate(scheme, optimizer)
    return [model.train(*batch, rate) for batch in zip(images[:steps], labels[:steps], strict=True)]


# One of each kind of update; the others are slow.
QUICK_CASES = [("last", "adam", 1), ("tinytl-lb", "sgd", 8)]


@pytest.mark.parametrize(("scheme", "optimizer", "batch_size"), case_params(QUICK_CASES, pytest.mark.slow))
def test_20_steps_against_tensorflow(scheme, optimizer, batch_size):
    start, losses, end = native(scheme, optimizer, batch_size)
    model = MicroModel(micro_file(scheme, optimizer), batch_size=batch_size)
    np.testing.assert_array_equal(model.state(), start)
    results = train(model, scheme, optimizer, batch_size=batch_size)
    assert all(result.applied for result in results)
    np.testing.assert_allclose([result.loss for result in results], losses, rtol=LOSS)
    assert relative(model.state(), end) <= STATE
    assert relative(model.state() - start, end - start) <= UPDATE


@pytest.mark.slow
def test_20_steps_against_litert(exported):
    case = ("tinytl-lb", "sgd")
    litert = TrainableModel(exported(*case, BATCH), xnnpack=False, trust=True)
    model = MicroModel(micro_file(*case))
    assert (model.batch_size, model.image_size) == (litert.batch_size, litert.image_size)
    start = litert.state()
    np.testing.assert_array_equal(model.state(), start)
    image = tiny_network.photos(1, 1)[0][0, 0]
    for _ in range(2):
        expected, answer = litert.infer(image), model.infer(image)
        np.testing.assert_allclose(answer.logits, expected.logits, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-4)
        expected, results = train(litert, *case), train(model, *case)
        np.testing.assert_allclose([r.loss for r in results], [r.loss for r in expected], rtol=LOSS)
        np.testing.assert_allclose([r.accuracy for r in results], [r.accuracy for r in expected])
    assert relative(model.state() - start, litert.state() - start) <= UPDATE


@pytest.mark.parametrize(
    ("scheme", "optimizer"),
    [pytest.param("tinytl-b", "sgd", marks=pytest.mark.thorough), pytest.param("full", "adam", marks=pytest.mark.slow)],
)
def test_states_move_between_litert_and_micro(exported, tmp_path, scheme, optimizer):
    path = exported(scheme, optimizer, BATCH, save_optimizer=True)
    litert = TrainableModel(path, xnnpack=False, trust=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    model = MicroModel(micro_file(scheme, optimizer, save_optimizer=True, state_of=digest))
    # Steps of the one go on where those of the other ended, slots of the optimizer included.
    alone = TrainableModel(path, xnnpack=False, trust=True)
    train(litert, scheme, optimizer, steps=4)
    litert.save(tmp_path / "litert.tinytl")
    model.restore(tmp_path / "litert.tinytl")
    np.testing.assert_array_equal(model.state(), litert.state())
    train(model, scheme, optimizer, steps=4)
    model.save(tmp_path / "micro.tinytl")
    alone.restore(tmp_path / "micro.tinytl")
    np.testing.assert_array_equal(alone.state(), model.state())
    train(litert, scheme, optimizer, steps=4)
    assert relative(model.state(), litert.state()) <= STATE
    # A file of its own takes no state of another.
    own = MicroModel(micro_file(scheme, optimizer, save_optimizer=True))
    with pytest.raises(InputError, match="belongs to the model with SHA-256"):
        own.restore(tmp_path / "litert.tinytl")


def open_graph(path):
    arena = Manifest.read(path).micro["arena"]["bytes"]
    return MicroInterpreter(runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=arena))


@pytest.fixture
def graph():
    return open_graph(micro_file("tinytl-b", "sgd"))


@pytest.fixture
def photos():
    images, labels = tiny_network.photos(1, BATCH)
    return images[0], labels[0]


def accumulate(graph, photos, count=BATCH):
    images, labels = photos
    return [graph.run("accumulate", image=images[i : i + 1], label=labels[i : i + 1]) for i in range(count)]


RATE = np.float32([0.01])


def test_commands_do_what_they_say_and_no_more(graph, photos):
    assert list(COMMANDS) == ["infer", "accumulate", "apply", "forget", "save", "restore", "reset"]
    assert graph.run("save").keys() == set(OUTPUTS)
    start = graph.run("save")["state"]
    logits = graph.run("infer", image=photos[0][:1])["logits"]
    accumulated = accumulate(graph, photos)
    assert [int(r["applied"][0]) for r in accumulated] == [1] * BATCH
    np.testing.assert_allclose(accumulated[0]["logits"], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(graph.run("save")["state"], start)  # nothing is applied yet
    np.testing.assert_array_equal(graph.run("infer", image=photos[0][:1])["logits"], logits)
    assert graph.run("apply", learning_rate=RATE)["applied"].tolist() == [1]
    learnt = graph.run("save")["state"]
    assert relative(learnt, start) > 1e-5
    assert graph.run("apply", learning_rate=RATE)["applied"].tolist() == [0]  # the sums are gone
    np.testing.assert_array_equal(graph.run("save")["state"], learnt)

    accumulate(graph, photos, 2)
    assert graph.run("forget")["applied"].tolist() == [1]
    assert graph.run("apply", learning_rate=RATE)["applied"].tolist() == [0]
    np.testing.assert_array_equal(graph.run("save")["state"], learnt)

    assert graph.run("reset")["applied"].tolist() == [1]
    np.testing.assert_array_equal(graph.run("save")["state"], start)
    assert graph.run("restore", state=learnt)["applied"].tolist() == [1]
    np.testing.assert_array_equal(graph.run("save")["state"], learnt)
    # After what went before, a step is the same to the last bit.
    graph.run("reset")
    accumulate(graph, photos)
    graph.run("apply", learning_rate=RATE)
    np.testing.assert_array_equal(graph.run("save")["state"], learnt)


def test_restore_and_reset_forget_the_sums(graph, photos):
    start = graph.run("save")["state"]
    for command, inputs in (("restore", {"state": start}), ("reset", {})):
        accumulate(graph, photos, 3)
        graph.run(command, **inputs)
        assert graph.run("apply", learning_rate=RATE)["applied"].tolist() == [0]
        np.testing.assert_array_equal(graph.run("save")["state"], start)


def spoil_label(graph, photos):
    graph.run("accumulate", image=photos[0][:1], label=np.int32([len(tiny_network.LABELS)]))
    return RATE


def spoil_label_below(graph, photos):
    graph.run("accumulate", image=photos[0][:1], label=np.int32([-1]))
    return RATE


def spoil_rate(graph, photos):
    return np.float32([np.nan])


def spoil_rate_with_infinity(graph, photos):
    return np.float32([np.inf])


@pytest.mark.parametrize("spoil", [spoil_label, spoil_label_below, spoil_rate, spoil_rate_with_infinity])
def test_a_refused_step_changes_nothing_and_leaves_nothing(graph, photos, spoil):
    start = graph.run("save")["state"]
    accumulate(graph, photos)
    rate = spoil(graph, photos)
    assert accumulate(graph, photos, 1)[0]["applied"].tolist() == [int(spoil in (spoil_rate, spoil_rate_with_infinity))]
    assert graph.run("apply", learning_rate=rate)["applied"].tolist() == [0]
    np.testing.assert_array_equal(graph.run("save")["state"], start)
    accumulate(graph, photos)
    assert graph.run("apply", learning_rate=RATE)["applied"].tolist() == [1]
    learnt = graph.run("save")["state"]
    graph.run("reset")
    accumulate(graph, photos)
    graph.run("apply", learning_rate=RATE)
    np.testing.assert_array_equal(graph.run("save")["state"], learnt)


def test_a_refused_step_leaves_slots_and_their_counter(photos):
    """The state has them: two steps are the same to the last bit with refused ones before, between and after."""
    path = micro_file("last", "adam", save_optimizer=True)
    plain, disturbed = open_graph(path), open_graph(path)
    rate = np.float32([1e-3])
    for step in range(3):
        for spoil in (spoil_label, spoil_rate):
            before = disturbed.run("save")["state"]
            accumulate(disturbed, photos, 2)
            assert disturbed.run("apply", learning_rate=spoil(disturbed, photos))["applied"].tolist() == [0]
            np.testing.assert_array_equal(disturbed.run("save")["state"], before)
        assert before[-1] == step  # the count of steps
        for graph in (plain, disturbed):
            accumulate(graph, photos, 2)
            assert graph.run("apply", learning_rate=rate)["applied"].tolist() == [1]
        np.testing.assert_array_equal(disturbed.run("save")["state"], plain.run("save")["state"])


def test_a_call_that_was_interrupted_leaves_nothing_to_the_next_one():
    plain, disturbed = (MicroModel(micro_file("tinytl-b", "sgd")) for _ in range(2))
    images, labels = tiny_network.photos(2, BATCH)
    graph = disturbed._runners["train"]._interpreter
    assert accumulate(graph, (images[1], labels[1]), 3)[-1]["applied"].tolist() == [1]
    for model in (plain, disturbed):
        assert model.train(images[0], labels[0], 0.01).applied
    np.testing.assert_array_equal(disturbed.state(), plain.state())


def test_a_step_that_has_diverged_is_refused(graph, photos):
    entries = {entry.name: entry for entry in Manifest.read(micro_file("tinytl-b", "sgd")).state}
    kernel = entries["classifier/kernel"]
    wild = graph.run("save")["state"].copy()
    weights = wild[kernel.offset : kernel.offset + math.prod(kernel.shape)].reshape(kernel.shape)
    weights[:] = np.float32([1.4e13, -1.4e13, 0, 0])
    assert graph.run("restore", state=wild)["applied"].tolist() == [1]  # its numbers add up to less than 1e15
    results = accumulate(graph, photos)
    assert not results[-1]["applied"].item()
    assert graph.run("apply", learning_rate=RATE)["applied"].tolist() == [0]
    np.testing.assert_array_equal(graph.run("save")["state"], wild)
    graph.run("reset")
    accumulate(graph, photos)
    assert graph.run("apply", learning_rate=RATE)["applied"].tolist() == [1]
    assert np.isfinite(graph.run("save")["state"]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e16])
def test_a_state_that_no_training_leads_to_is_refused(graph, value):
    start = graph.run("save")["state"]
    bad = start.copy()
    bad[3] = value
    assert graph.run("restore", state=bad)["applied"].tolist() == [0]
    np.testing.assert_array_equal(graph.run("save")["state"], start)


def test_a_negative_second_moment_is_refused():
    model = MicroModel(micro_file("last", "adam", save_optimizer=True))
    state = model.state()
    last = state.copy()
    last[-1] = -1
    with pytest.raises(InputError, match="step of step of 0 or more"):
        model.set_state(last)
    path = micro_file("last", "adam", save_optimizer=True)
    graph = open_graph(path)
    moment = next(e for e in Manifest.read(path).state if e.slot == "second_moment")
    for index in (moment.offset, state.size - 1):
        bad = state.copy()
        bad[index] = -1
        assert graph.run("restore", state=bad)["applied"].tolist() == [0]
    np.testing.assert_array_equal(graph.run("save")["state"], state)


def test_two_models_in_a_process_are_independent():
    one, other = (MicroModel(micro_file("tinytl-b", "sgd")) for _ in range(2))
    start = one.state()
    train(one, "tinytl-b", "sgd", steps=2)
    np.testing.assert_array_equal(other.state(), start)
    train(other, "tinytl-b", "sgd", steps=1)
    first = other.state()
    train(other, "tinytl-b", "sgd", steps=2)
    other.reset()
    train(other, "tinytl-b", "sgd", steps=1)
    np.testing.assert_array_equal(other.state(), first)


def test_the_manifest_says_what_firmware_needs():
    path = micro_file("tinytl-b", "sgd")
    manifest = Manifest.read(path)
    facts = manifest.micro
    assert (tuple(facts["inputs"]), tuple(facts["outputs"])) == (INPUTS, OUTPUTS)
    assert facts["commands"] == COMMANDS
    arena = facts["arena"]
    # It starts with that arena, and with no byte less.
    runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=arena["bytes"])
    for less in (1, 16):
        with pytest.raises(RuntimeError):
            runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=arena["bytes"] - less)
    assert facts["operators"] == list(resolver_calls(Model.read(path)))
    assert arena["head_bytes"] + arena["tail_bytes"] <= arena["bytes"]
    assert arena["tail_bytes"] > manifest.sizes["variable_bytes"]
    assert manifest.planned_peak_bytes == {"micro": arena["bytes"]}
    # The head is what the exporter laid out, and no tensor got a place of its own.
    assert manifest.passes["place_tensors"]["planned_peak_bytes"] == arena["head_bytes"]


def test_each_client_refuses_the_other_ones_file(exported, tmp_path):
    path = micro_file("tinytl-b", "sgd")
    with pytest.raises(InputError, match="is for TensorFlow Lite Micro; open it with tinytl_tf.device.MicroModel"):
        TrainableModel(path)
    copy = shutil.copy(path, tmp_path / "alone.tflite")
    with pytest.raises(InputError, match="which TensorFlow Lite Micro needs to run the file"):
        MicroModel(copy)
    with pytest.raises(InputError, match="expected a batch_size of 1 or more, got 0"):
        MicroModel(path, batch_size=0)


@pytest.fixture
def copied(tmp_path):
    """A copy of a file with its manifest, to damage."""
    path = micro_file("tinytl-b", "sgd")
    for name in (path.name, manifest_path(path).name):
        shutil.copy(path.with_name(name), tmp_path / name)
    return tmp_path / path.name


def test_an_arena_that_would_end_the_process_is_refused(copied):
    """The runtime ends the process at some arenas that are too small."""
    values = json.loads(manifest_path(copied).read_text())
    arena = values["micro"]["arena"]
    parts = {"head_bytes": 0, "tail_bytes": 0}
    for changed in (
        *({**arena, "bytes": number} for number in (0, 1, 16, 256, 4096, 82054, arena["bytes"] - 1, 2**31, 2**63, -1)),
        *({**parts, "bytes": number} for number in (0, 1, 16, 256, 4096)),
        *({**arena, name: 0} for name in parts),
    ):
        manifest_path(copied).write_text(json.dumps(values | {"micro": values["micro"] | {"arena": changed}}))
        with pytest.raises(InputError, match=r"expected a micro.arena with room for head and tail|planned_peak_bytes"):
            MicroModel(copied)


USED = ["labels", "task", "input", "batch_size", "signatures", "state", "micro"]


def test_a_damaged_manifest_is_refused_or_the_file_runs(copied):
    values, opened = json.loads(manifest_path(copied).read_text()), 0
    state = MicroModel(copied).state()
    for _, text in damaged(values, USED, ["0", "-1", "1", "2", "96", str(2**63), "null", '"x"', "[]", "{}"]):
        manifest_path(copied).write_text(text)
        try:
            model = MicroModel(copied)
        except InputError as error:
            require_line(error)
            continue
        opened += 1
        np.testing.assert_array_equal(model.state(), state)
        assert model.image_size == (64, 64)
    assert 10 < opened < 100, opened


@pytest.mark.parametrize(
    ("inputs", "task"), [("array", "classification"), ("array", "regression"), ("image", "regression")]
)
def test_arrays_and_regression_are_refused(tmp_path, inputs, task):
    """TensorFlow Lite Micro trains on images alone, with classes or attributes."""
    source = keras.Input((40, 6) if inputs == "array" else (8, 8, 3))
    model = keras.Model(source, keras.layers.Dense(2, name="classifier")(keras.layers.Flatten()(source)))
    with pytest.raises(InputError) as error:
        export(model, tmp_path / "x.tflite", labels=["a", "b"], task=task, inputs=inputs, target="micro")
    require_line(error.value)
    assert str(error.value) == (
        "expected images and a classification or attributes for TensorFlow Lite Micro, got "
        f"{inputs} and {task}; export for LiteRT"
    )
    assert not list(tmp_path.iterdir())


def test_a_manifest_of_arrays_is_none_of_micro(copied):
    values = json.loads(manifest_path(copied).read_text())
    window = {"dtype": "float32", "shape": [40, 6], "meaning": ""}
    values |= {"inputs": {"array": window}, "contract": 3, "data": {"split_seed": 0}}
    del values["input"]
    manifest_path(copied).write_text(json.dumps(values))
    with pytest.raises(InputError, match="expected images as the input of a file for TensorFlow Lite Micro, got "):
        MicroModel(copied)


def test_a_file_for_litert_is_not_run_for_its_manifest(exported, copied):
    """It ends the process."""
    shutil.copy(exported("tinytl-b", "sgd", BATCH), copied)
    manifest = dataclasses.replace(Manifest.read(micro_file("tinytl-b", "sgd")), sha256=sha256(copied))
    manifest.write(copied)
    with pytest.raises(
        InputError, match="expected a file for TensorFlow Lite Micro, got .* with signatures for LiteRT"
    ):
        MicroModel(copied)


def test_a_manifest_of_other_tensors_is_refused(copied):
    other = Manifest.read(micro_file("last", "adam", save_optimizer=True))
    own = Manifest.read(copied)
    facts = other.micro | {"arena": own.micro["arena"]}  # with the room that the file needs
    peak = own.planned_peak_bytes
    dataclasses.replace(other, sha256=sha256(copied), micro=facts, planned_peak_bytes=peak).write(copied)
    with pytest.raises(InputError, match="inputs.state: expected .* of its manifest, got .*; copy both files of one"):
        MicroModel(copied)


def test_a_damaged_file_is_refused_before_the_runtime_sees_it(tmp_path):
    path = micro_file("tinytl-b", "sgd")
    for name in (path.name, path.with_suffix(".manifest.json").name):
        shutil.copy(path.with_name(name), tmp_path / name)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / path.name).write_bytes(content)
    with pytest.raises(InputError, match="SHA-256|sha256"):
        MicroModel(tmp_path / path.name)


def test_without_the_package_there_is_a_remedy(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="expected the package tflite-micro.*pip install tflite-micro"):
        MicroModel(micro_file("tinytl-b", "sgd"))
