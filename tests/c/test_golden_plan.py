"""The golden plans, names and settings: the C client draws, takes and follows what the other clients do."""

import json
import re
import shutil
import struct
import zlib

import numpy as np
import pytest

from tests.c import plan
from tests.c.client import Refused
from tests.c.conftest import GOLDEN
from tests.c.program import adapt, write_ppm

PLANS = json.loads((GOLDEN / "plan.json").read_text("utf-8"))
SETTINGS = json.loads((GOLDEN / "settings.json").read_text("utf-8"))
NAMES = json.loads((GOLDEN / "names.json").read_text("utf-8"))
SIZES = {photo["photo"]: photo["size"] for photo in json.loads((GOLDEN / "pixels.json").read_text("utf-8"))["photos"]}
DECODED = {photo["photo"]: photo["decoded"] for photo in SETTINGS["photos"]}


@pytest.mark.parametrize("golden", PLANS["plans"], ids=lambda golden: golden["shows"])
def test_golden_plans(c, golden):
    count, batch, seed, how = len(golden["sizes"]), golden["batch_size"], golden["seed"], golden["augmentation"]
    (per_epoch,) = map(int, c.ask("steps", count, batch))
    assert len(golden["steps"]) == golden["epochs"] * per_epoch
    for number, step in enumerate(golden["steps"]):
        rate = c.ask("rate", golden["schedule"], golden["learning_rate"], number, len(golden["steps"]))
        assert float.fromhex(rate[0]) == pytest.approx(step["rate"], rel=1e-12)
        for place, photo in enumerate(step["photos"], number % per_epoch * batch):
            index, copy = map(int, c.ask("place", seed, step["epoch"], count, place))
            assert index == photo["photo"]
            area, aspect = how["crop_area"], how["crop_aspect"]
            ranges = map(repr, (*area, *aspect))
            size = golden["sizes"][index]
            words = c.ask(
                *("draw", seed, step["epoch"], index, copy, *size, int(how["crop"]), *ranges, int(how["flip"])),
                how["color"],
            )
            left, top, width, height = map(int, words[1:5])
            assert ([left, top, left + width, top + height] if words[0] == "1" else None) == photo["box"]
            assert (words[5] == "1") is photo["flip"]
            colors = [[name, float.fromhex(amount)] for name, amount in zip(words[6::2], words[7::2], strict=True)]
            assert colors == [[name, pytest.approx(amount, rel=1e-12)] for name, amount in photo["colors"]]


def test_the_rule_of_the_other_tests_holds_the_golden_photos_out():
    """`plan.is_held_out` takes the content of a file, so that its digest cannot be given."""
    for entry in PLANS["held_out"]:
        assert plan.is_held_out_by(entry["id"], entry["seed"]) is entry["held_out"]


def named(content):
    """A state file of `model_spare` whose class has this name."""
    state = (GOLDEN / "state_spare.tinytl").read_bytes()
    count = struct.unpack_from("<I", state, 44)[0]
    body = state[: 48 + 4 * count] + struct.pack("<I", len(content)) + content
    return body + struct.pack("<I", zlib.crc32(body))


def test_golden_names(c, tmp_path):
    c.open(GOLDEN / "model_spare.tflite")
    state = tmp_path / "state.tinytl"
    for name in (name for name in NAMES["accepted"] if name != "éclair"):  # which an exported class has
        state.write_bytes(named(name.encode()))
        c.ask("restore", "a", state)
        c.ask("save", "a", tmp_path / "again.tinytl")
        assert (tmp_path / "again.tinytl").read_bytes() == state.read_bytes()
    for entry in NAMES["refused"]:
        state.write_bytes(named(bytes.fromhex(entry["bytes"])))
        with pytest.raises(Refused):
            c.ask("restore", "a", state)


@pytest.mark.parametrize("run", SETTINGS["runs"], ids=lambda run: run["shows"])
def test_adapt_follows_the_golden_settings_unasked(built, tmp_path, run):
    """Each epoch is one step, so that its line has the loss of the step."""
    for suffix in (".tflite", ".manifest.json"):
        name = SETTINGS["model"].replace(".tflite", suffix)
        shutil.copy(GOLDEN / name, tmp_path / name)
    for split, photos in (("train", run["photos"]), ("test", SETTINGS["held_out"])):
        for photo in photos:
            pixels = np.fromfile(GOLDEN / DECODED[photo], np.uint8).reshape(*SIZES[photo], 3)
            write_ppm((tmp_path / "photos" / split / photo).with_suffix(".ppm"), pixels)
    assert len(run["steps"]) == SETTINGS["epochs"]
    output = adapt(
        built,
        f"--model={tmp_path / SETTINGS['model']}",
        f"--data={tmp_path / 'photos'}",
        f"--state_out={tmp_path / 'out.tinytl'}",
        f"--seed={SETTINGS['seed']}",
        f"--epochs={SETTINGS['epochs']}",
    )
    rate = run["steps"][0]["rate"]
    assert f"learning rate {rate:g}, constant\n" in output
    losses = [float(loss) for loss in re.findall(r"epoch \d of \d: loss ([\d.]+)", output)]
    expected = [step["without_xnnpack"]["loss"] for step in run["steps"]]
    assert losses == pytest.approx(expected, rel=SETTINGS["tolerances"]["loss"])
    right = [run[when]["without_xnnpack"]["accuracy"] for when in ("before", "after")]
    found = [float(value) for value in re.findall(r"\naccuracy \w+: ([\d.]+) %", output)]
    assert found == [pytest.approx(100 * value, abs=0.1) for value in right]
