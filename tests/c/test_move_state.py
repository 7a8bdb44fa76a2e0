"""States that move to another export of the same network, in C."""

import json
import shutil

import numpy as np
import pytest

from tests.c.client import Refused
from tests.c.conftest import GOLDEN
from tinytl_tf.device import read_state, write_state
from tinytl_tf.files import sha256
from tinytl_tf.tflite.manifest import Manifest

STATES = json.loads((GOLDEN / "states.json").read_text("utf-8"))
STATE, FROM, TO = GOLDEN / "state_float32.tinytl", GOLDEN / "model_float32.tflite", GOLDEN / "model_int8.tflite"


def manifest_of(tflite):
    return GOLDEN / tflite.replace(".tflite", ".manifest.json")


def changed(folder, tflite, **changes):
    """The manifest of a golden model with other fields."""
    path = folder / f"{len(list(folder.iterdir()))}.manifest.json"
    values = json.loads(tflite.with_suffix(".manifest.json").read_text("utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    return path


def refusal(c, *words):
    with pytest.raises(Refused) as error:
        c.ask("move", *words)
    return error.value


@pytest.mark.parametrize("entry", STATES["moved"], ids=lambda entry: f"{entry['from']} to {entry['to']}")
def test_a_moved_state_has_the_bytes_of_python(c, tmp_path, entry):
    output = tmp_path / "moved.tinytl"
    c.ask("move", GOLDEN / entry["file"], manifest_of(entry["from"]), manifest_of(entry["to"]), output)
    assert sha256(output) == entry["sha256"]
    c.open(GOLDEN / entry["to"])
    c.ask("restore", "a", output)


@pytest.mark.parametrize("entry", STATES["not_moved"], ids=lambda entry: entry["check"])
def test_a_state_of_another_network_is_not_moved(c, tmp_path, entry):
    words = {
        "classes": "expected the classes",
        "frozen": "other frozen weights",
        "fingerprint": "belongs to the model",
        "variables": "a difference at classifier/bias",
    }
    output = tmp_path / "moved.tinytl"
    error = refusal(c, GOLDEN / entry["file"], manifest_of(entry["from"]), manifest_of(entry["to"]), output)
    assert words[entry["check"]] in error.text
    assert error.status == ("FINGERPRINT" if entry["check"] == "fingerprint" else "MANIFEST")
    assert not list(tmp_path.iterdir())


def test_an_older_export_lacks_the_digest_of_the_frozen_weights(c, tmp_path):
    of = Manifest.read(FROM)
    for digests in ((None, of.frozen_sha256), ("", "0" * 64), ("0" * 64, None)):
        old, new = (changed(tmp_path, f, frozen_sha256=d) for f, d in zip((FROM, TO), digests, strict=True))
        c.ask("move", STATE, old, new, tmp_path / "moved.tinytl")
        assert sha256(tmp_path / "moved.tinytl") == STATES["moved"][0]["sha256"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "x" * 64}, "64 hexadecimal digits"),
        ({"sha256": "ab"}, "64 hexadecimal digits"),
        ({"state": []}, "parts of the state without gaps"),
        ({"state": None}, "parts of the state without gaps"),
        ({"state": [{"name": "a", "shape": [1], "offset": 1, "slot": ""}]}, "parts of the state without gaps"),
        ({"state": [{"name": "a", "offset": 0, "slot": ""}]}, "parts of the state without gaps"),
        ({"state": [{"shape": [1], "offset": 0, "slot": ""}]}, "parts of the state without gaps"),
        ({"state": [{"name": "a", "shape": [1], "offset": 0}]}, "parts of the state without gaps"),
        (
            {"state": [{"name": n, "shape": [2**30], "offset": 2**30 * i, "slot": ""} for i, n in enumerate("ab")]},
            "expected a smaller integer",
        ),
        ({"spare_classes": 1}, "parts of the state without gaps"),
        ({"format_version": 3}, "format version 3"),
        ({"labels": None}, "sha256, task and labels"),
    ],
)
def test_bad_manifests_are_refused(c, tmp_path, changes, words):
    output = tmp_path / "moved.tinytl"
    bad, good = changed(tmp_path, FROM, **changes), FROM.with_suffix(".manifest.json")
    for pair in ((bad, good), (good, bad)):
        error = refusal(c, STATE, *pair, output)
        assert (error.status, words in error.text) == ("MANIFEST", True), error.text
    assert not output.exists()


def test_a_missing_file_is_named(c, tmp_path):
    old, new = manifest_of(FROM.name), manifest_of(TO.name)
    for index in range(3):
        words = [STATE, old, new, tmp_path / "moved.tinytl"]
        words[index] = tmp_path / "none"
        assert f"at {tmp_path}/none" in refusal(c, *words).text


def test_a_state_that_could_not_be_restored_is_refused(c, tmp_path):
    of, values = Manifest.read(FROM), np.full(Manifest.read(FROM).state_size, -0.0, np.float32)
    fingerprint, output = bytes.fromhex(of.sha256), tmp_path / "moved.tinytl"
    write_state(tmp_path / "zeros.tinytl", values, fingerprint)
    c.ask("move", tmp_path / "zeros.tinytl", manifest_of(FROM.name), manifest_of(TO.name), output)
    to = Manifest.read(TO)
    assert not read_state(output, bytes.fromhex(to.sha256), to.state_size).values.view(np.uint32).any()
    values[0] = 2e15
    write_state(tmp_path / "large.tinytl", values, fingerprint)
    error = refusal(c, tmp_path / "large.tinytl", manifest_of(FROM.name), manifest_of(TO.name), output)
    assert (error.status, "magnitudes that add up to less than 1e15, got 2e+15" in error.text) == ("REFUSED", True)


def test_added_classes_must_fit(c, tmp_path):
    spare, state = GOLDEN / "model_spare.tflite", tmp_path / "spare.tinytl"
    shutil.copyfile(GOLDEN / "state_spare.tinytl", state)
    of = Manifest.read(spare)
    taken = changed(tmp_path, spare, labels=["zèbre", *of.labels[1:]])
    assert refusal(c, state, taken, taken, tmp_path / "moved.tinytl").status == "NAMES"
    c.ask("move", state, manifest_of(spare.name), manifest_of(spare.name), state)  # in place
    saved = read_state(state, bytes.fromhex(of.sha256), of.state_size)
    assert saved.added_classes == ("zèbre",)
    write_state(state, saved.values, bytes.fromhex(of.sha256), ("zèbre", "other"))
    error = refusal(c, state, manifest_of(spare.name), manifest_of(spare.name), tmp_path / "moved.tinytl")
    assert (error.status, "expected 7 outputs in use, got 6" in error.text) == ("OUTPUTS", True)
