"""What a device has learnt comes home: into the Keras model, into a new file, into an average of many."""

import dataclasses
import hashlib
import json
import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from tests import tiny_network
from tinytl_tf.device import TrainableModel, read_state, write_state
from tinytl_tf.errors import InputError
from tinytl_tf.export.exporter import export
from tinytl_tf.state import average_states, load_state, read_variables
from tinytl_tf.tflite.manifest import DataSettings, InputSettings, Manifest, StateEntry, frozen_sha256

LABELS = list(tiny_network.LABELS)
# A made-up file: the state files and manifests of these tests need no model.
VARIABLES = (StateEntry("head/beta", (2,), 0), StateEntry("classifier/kernel", (2, 2), 2))
SLOTS = (StateEntry("head/beta", (2,), 6, "velocity"), StateEntry("step", (1,), 8, "step"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A file of `tinytl-lb` whose state has Adam's slots, and a state after four steps on the device."""
    folder = tmp_path_factory.mktemp("home")
    export(
        tiny_network.build("tinytl-lb"),
        folder / "m.tflite",
        labels=LABELS,
        optimizer="adam",
        batch_size=2,
        save_optimizer=True,
    )
    device = TrainableModel(folder / "m.tflite")
    for batch in zip(*tiny_network.photos(4, 2), strict=True):
        assert device.train(*batch, 0.01).applied
    device.save(folder / "mine.tinytl")
    return folder


@pytest.fixture
def photo():
    return tiny_network.photos(1, 1)[0][0, 0]


def logits(model, photo):
    return model.predict(photo[np.newaxis].astype(np.float32), verbose=0)[0]


def test_the_model_answers_as_the_device_does(exported, photo):
    device = TrainableModel(exported / "m.tflite")
    device.restore(exported / "mine.tinytl")
    model = tiny_network.build("tinytl-lb")
    before = logits(model, photo)
    load_state(model, exported / "mine.tinytl", exported / "m.tflite")
    np.testing.assert_allclose(logits(model, photo), device.infer(photo).logits, rtol=1e-4, atol=1e-5)
    assert np.abs(logits(model, photo) - before).max() > 0.01


def test_slots_lie_where_the_manifest_says(exported):
    """After Adam's first step both moments are of one gradient, and the variable has moved against it."""
    device = TrainableModel(exported / "m.tflite")
    before, photos = device.state(), tiny_network.photos(1, 2)
    assert device.train(photos[0][0], photos[1][0], 0.01).applied
    after = device.state()
    entries = Manifest.read(exported / "m.tflite").state
    parts = {(e.name, e.slot): slice(e.offset, e.offset + math.prod(e.shape)) for e in entries}
    assert after[parts["step", "step"]] == [1]
    moved = 0
    for name in {entry.name for entry in entries if not entry.slot}:
        first = after[parts[name, "first_moment"]]
        np.testing.assert_allclose(after[parts[name, "second_moment"]], 0.1 * first**2, rtol=1e-3, atol=1e-12)
        clear = np.abs(first) > 1e-4
        step = (after - before)[parts[name, ""]][clear]
        np.testing.assert_allclose(step, -0.01 * np.sign(first[clear]), rtol=0.01, atol=1e-6)
        moved += clear.sum()
    assert moved > 100


@pytest.mark.thorough
def test_it_is_baked_into_a_new_file(exported, photo, tmp_path):
    model = tiny_network.build("tinytl-lb")
    load_state(model, exported / "mine.tinytl", exported / "m.tflite")
    export(model, tmp_path / "new.tflite", labels=LABELS, batch_size=2)
    old, new = TrainableModel(exported / "m.tflite"), TrainableModel(tmp_path / "new.tflite")
    old.restore(exported / "mine.tinytl")
    images, labels = tiny_network.photos(1, 2)
    new.train(images[0], labels[0], 0.01)
    new.reset()
    np.testing.assert_allclose(new.infer(photo).logits, old.infer(photo).logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(new.state(), old.state()[: new.state_size])


def test_the_model_has_to_be_that_of_the_export(exported):
    model = tiny_network.build("tinytl-b")
    before = [variable.numpy() for variable in model.weights]
    with pytest.raises(InputError, match=r"_lite_residual/.* got none; build it with its branches$"):
        load_state(model, exported / "mine.tinytl", exported / "m.tflite")
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_model_with_other_frozen_weights_is_refused(exported):
    model = tiny_network.build("tinytl-lb")
    frozen = next(variable for variable in model.weights if not variable.trainable)
    frozen.assign(frozen.numpy() + np.float32(1e-3))
    before = [variable.numpy() for variable in model.weights]
    with pytest.raises(InputError) as error:
        load_state(model, exported / "mine.tinytl", exported / "m.tflite")
    assert str(error.value) == (
        f"expected the frozen weights of the network that {exported / 'm.tflite'} was exported from, got other ones in "
        "the model; give the model of the export, with its weights"
    )
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_frozen_weights_are_not_compared_where_the_manifest_lacks_their_digest(exported, tmp_path):
    for name in ("m.tflite", "mine.tinytl"):
        (tmp_path / name).write_bytes((exported / name).read_bytes())
    manifest = json.loads((exported / "m.manifest.json").read_text())
    del manifest["frozen_sha256"]
    (tmp_path / "m.manifest.json").write_text(json.dumps(manifest))
    model = tiny_network.build("tinytl-lb")
    frozen = next(variable for variable in model.weights if not variable.trainable)
    frozen.assign(frozen.numpy() + np.float32(1e-3))
    load_state(model, tmp_path / "mine.tinytl", tmp_path / "m.tflite")


@pytest.mark.thorough
def test_the_scheme_and_added_branches_of_the_model_make_no_difference(tmp_path):
    small = tiny_network.build("tinytl-b")
    manifest = export(small, tmp_path / "b.tflite", labels=LABELS, batch_size=1)
    assert manifest.frozen_sha256 == frozen_sha256({v.path: v.numpy() for v in small.non_trainable_weights})
    device = TrainableModel(tmp_path / "b.tflite")
    device.save(tmp_path / "b.tinytl")
    load_state(tiny_network.build("tinytl-lb"), tmp_path / "b.tinytl", tmp_path / "b.tflite")


def test_the_digest_of_frozen_weights_is_what_the_document_says():
    values = {"stem/kernel": np.array([[1, 2]]), "head/beta": np.array([0.5])}
    text = b"head/beta\0001\0" + np.float32(0.5).tobytes() + b"stem/kernel\0001,2\0" + np.array([1, 2], "<f4").tobytes()
    assert frozen_sha256(values) == hashlib.sha256(text).hexdigest()
    assert frozen_sha256(dict(reversed(values.items()))) == frozen_sha256(values)
    assert frozen_sha256(values | {"stem/kernel": np.array([[1], [2]])}) != frozen_sha256(values)


def made_up(folder, name, state=VARIABLES, **changes):
    """Writes a file that is no model, with a manifest."""
    content = name.encode()
    path = folder / f"{name}.tflite"
    path.write_bytes(content)
    manifest = Manifest(
        labels=("daisy", "rose"),
        spare_classes=0,
        task="classification",
        input=InputSettings("uint8", (32, 32), (0, 255), "RGB", 1.0),
        data=DataSettings(),
        backbone="none",
        scheme="tinytl-b",
        optimizer="momentum",
        batch_size=1,
        label_smoothing=0.0,
        profile="balanced",
        xnnpack=True,
        frozen_weights="float32",
        signatures={},
        state=tuple(state),
        sizes={},
        operators=(),
        min_runtime_version="2.7.0",
        planned_peak_bytes={},
        passes={},
        sha256=hashlib.sha256(content).hexdigest(),
        tools={},
        parity={},
        tolerances={},
    )
    dataclasses.replace(manifest, **changes).write(path)
    return path


def saved(tflite, name, values):
    path = tflite.with_name(name)
    write_state(path, np.array(values, np.float32), hashlib.sha256(tflite.read_bytes()).digest())
    return path


def test_the_average_of_two_files_is_by_name(tmp_path):
    one = made_up(tmp_path, "one", VARIABLES + SLOTS)
    turned = (StateEntry("classifier/kernel", (2, 2), 0), StateEntry("head/beta", (2,), 4))
    two = made_up(tmp_path, "two", turned)
    first = saved(one, "a.tinytl", [1, 2, 3, 4, 5, 6, 7, 8, 9])
    second = saved(two, "b.tinytl", [30, 40, 50, 60, 10, 20])
    average_states([first, (second, two)], one, tmp_path / "all.tinytl", weights=[3, 1])
    variables = read_variables(tmp_path / "all.tinytl", one)
    np.testing.assert_allclose(variables["head/beta"], [3.25, 6.5])
    np.testing.assert_allclose(variables["classifier/kernel"], [[9.75, 13], [16.25, 19.5]])
    whole = read_state(tmp_path / "all.tinytl", hashlib.sha256(one.read_bytes()).digest(), 9).values
    np.testing.assert_array_equal(whole[6:], 0)  # with a count of 0 the slots start again
    average_states([(first, one), second], two, tmp_path / "all.tinytl")
    np.testing.assert_allclose(read_variables(tmp_path / "all.tinytl", two)["head/beta"], [5.5, 11])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ("rose", "daisy")}, "expected the classes daisy, rose of {folder}/one.tflite in this order, got "),
        (
            {"frozen_sha256": "2" * 64},
            "expected a file of the network of {folder}/one.tflite, got one with other frozen",
        ),
        ({"state": VARIABLES[:1]}, "expected the trained variables of {folder}/one.tflite in {folder}/b.tinytl, got a"),
    ],
)
def test_an_average_of_different_things_is_refused(tmp_path, changes, message):
    one, two = made_up(tmp_path, "one", frozen_sha256="1" * 64), made_up(tmp_path, "two", **changes)
    states = [saved(one, "a.tinytl", range(6)), (saved(two, "b.tinytl", range(2 if "state" in changes else 6)), two)]
    with pytest.raises(InputError) as error:
        average_states(states, one, tmp_path / "all.tinytl")
    assert str(error.value).startswith(message.format(folder=tmp_path))
    assert not (tmp_path / "all.tinytl").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "expected 2 weights, one for each state, got 1"),
        ([1, -1], "expected finite weights of 0 or more, not all 0, got [1, -1]"),
        ([0, 0], "expected finite weights of 0 or more, not all 0, got [0, 0]"),
        ([1, float("nan")], "expected finite weights of 0 or more, not all 0, got [1, nan]"),
    ],
)
def test_weights_that_make_no_average(tmp_path, weights, message):
    one = made_up(tmp_path, "one")
    state = saved(one, "a.tinytl", range(6))
    with pytest.raises(InputError) as error:
        average_states([state, state], one, tmp_path / "all.tinytl", weights=weights)
    assert str(error.value) == message


@pytest.mark.parametrize("weights", [[1e308, 1e308], [1e308, 5e307], [5e-324, 5e-324], [1e-300, 1e-300]])
def test_weights_of_any_size_average(tmp_path, weights):
    """The sum of two of 1e308 is infinite: the average was all zeros."""
    one = made_up(tmp_path, "one")
    states = [saved(one, "a.tinytl", [1, 2, 3, 4, 5, 6]), saved(one, "b.tinytl", [1, 2, 3, 4, 5, 12])]
    average_states(states, one, tmp_path / "all.tinytl", weights=weights)
    shares = [Fraction(weight) / sum(map(Fraction, weights)) for weight in weights]
    last = float(6 * shares[0] + 12 * shares[1])
    values = read_variables(tmp_path / "all.tinytl", one)
    np.testing.assert_allclose(values["classifier/kernel"], [[3, 4], [5, last]])


def test_equal_states_average_to_themselves_to_the_last_bit(tmp_path):
    """The bias of a spare output has to stay exactly -10000: three thirds of it were a little less."""
    one = made_up(tmp_path, "one")
    values = np.float32([-1e4, 0.1, 1 / 3, 1e-20, -7.7, 1e14])
    state = saved(one, "a.tinytl", values)
    average_states([state] * 3, one, tmp_path / "all.tinytl")
    assert (tmp_path / "all.tinytl").read_bytes() == state.read_bytes()


def test_an_average_that_no_model_would_restore_is_not_written(tmp_path):
    one = made_up(tmp_path, "one")
    states = [saved(one, "a.tinytl", [1e15, *range(5)]), saved(one, "b.tinytl", [2e15, *range(5)])]
    with pytest.raises(InputError, match=r"^cannot write .*all\.tinytl: expected magnitudes that add up to less"):
        average_states(states, one, tmp_path / "all.tinytl")
    assert not (tmp_path / "all.tinytl").exists()


def test_a_model_with_two_variables_of_one_path_is_refused(tmp_path):
    """Two towers with equal inner names: what the device had learned went into one of the two, without a word."""
    one = made_up(tmp_path, "one")
    state = saved(one, "a.tinytl", range(6))
    variables = [SimpleNamespace(path=path, shape=shape) for path, shape in [("head/beta", (2,))] * 2]
    with pytest.raises(InputError, match="^expected variables of different paths, got 'head/beta' twice in the "):
        load_state(SimpleNamespace(weights=variables), state, one)


def test_a_manifest_with_two_parts_of_one_name_is_refused(tmp_path):
    twice = (StateEntry("a/kernel", (2, 2), 0), StateEntry("a/kernel", (2,), 4))
    with pytest.raises(InputError, match="^expected state entries of different names, got 'a/kernel' twice in "):
        read_variables(tmp_path / "a.tinytl", made_up(tmp_path, "one", twice))


@pytest.mark.parametrize("states", [[], "a.tinytl"])
def test_no_list_of_states(tmp_path, states):
    with pytest.raises(InputError, match=r"^expected a list of state files, got "):
        average_states(states, made_up(tmp_path, "one"), tmp_path / "all.tinytl")


def test_a_state_of_another_file_is_refused(tmp_path):
    one, two = made_up(tmp_path, "one"), made_up(tmp_path, "two")
    with pytest.raises(InputError, match=r"a\.tinytl belongs to the model with SHA-256 "):
        read_variables(saved(two, "a.tinytl", range(6)), one)
