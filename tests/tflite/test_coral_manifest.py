"""A `coral.json` is read as it was written, or refused in one line; no file that it names is needed."""

import copy
import json
import os
import re

import pytest

from tests.damage import LARGE, NUMBERS, OTHERS, damaged, require_line
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.coral_manifest import CoralManifest, Quantized

MANIFEST = CoralManifest(
    split="block_3",
    files={name: f"{name}.tflite" for name in ("prefix", "suffix", "int8", "model")},
    sha256={name: letter * 64 for name, letter in (("prefix", "a"), ("suffix", "b"), ("int8", "c"), ("model", "d"))},
    image=Quantized((64, 64, 3), 0.0078, -1),
    features=Quantized((16, 16, 8), 0.083, -13),
    calibration_images=45,
    snr_db={"prefix": 28.8, "int8": 33.2},
    lint=("a remark",),
    rebake={"head/norm/beta": 4, "classifier/kernel": 3, "classifier/bias": 2},
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "coral.json"
    MANIFEST.write(path)
    return path


def read(path, text):
    """The manifest, or None where it is refused in one line."""
    path.write_text(text)
    try:
        return CoralManifest.read(path)
    except InputError as error:
        return require_line(error)


def test_it_comes_back_as_it_was_written(path):
    assert CoralManifest.read(path) == MANIFEST


@pytest.mark.parametrize("text", [*NUMBERS, *OTHERS, *LARGE], ids=lambda text: text[:10])
def test_what_is_no_object_is_refused(path, text):
    assert read(path, text) is None


# Values that leave a manifest which could be right, by the place in it.
TEXTS = {'" "', '"x"', '".."', '"/etc/passwd"', json.dumps("x" * 300)[:20]}
COUNTS = {"1", "2", str(2**31 - 1), str(2**31), str(2**53), str(2**63)}
RIGHT = {
    r"split|lint\.0": TEXTS - {json.dumps("x" * 300)[:20]},
    r"files\.\w+": {'" "', '"x"'},
    r"calibration_images": COUNTS,
    r"\w+\.scale": {*COUNTS, "0.5"},
    r"\w+\.zero_point": {"0", "-1", "1", "2"},
    r"image\.shape\.0|features\.shape\.[02]": {"1", "2"},
    r"snr_db\.\w+": {*COUNTS, "0", "-1", "0.5", "-0.0", "1e39", "1e308"},
    r"rebake\.[\w/]+": {"0", "1", "2", str(2**31 - 1)},
    r"lint": {"[]", json.dumps(["x"] * 1000)[:20]},
}
OTHER_CHANGES = {  # an element or a name that is another one, or one less or more
    r"features\.shape\.[02] (without|doubled|renamed)",
    r"image\.shape\.0 doubled",
    r"lint\.0 (without|doubled|renamed)",
    r"rebake\.[\w/]+ (without|renamed)",
}


@pytest.mark.parametrize("field", list(CoralManifest.__dataclass_fields__))
def test_each_damaged_field_is_refused_or_within_its_bounds(path, field):
    values = json.loads(path.read_text())
    for name, text in damaged(values, [field]):
        manifest = read(path, text)
        if manifest is None or manifest == MANIFEST:
            continue
        where, is_value, value = name.partition(" = ")
        if is_value:
            assert any(re.fullmatch(place, where) and value in right for place, right in RIGHT.items()), name
        else:
            assert any(re.fullmatch(change, name) for change in OTHER_CHANGES), name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["files"].pop("suffix"), "expected files of prefix, suffix, model and perhaps int8"),
        (lambda v: v["files"].update(other="x"), "expected files of prefix, suffix, model and perhaps int8"),
        (lambda v: v["files"].update(prefix="suffix.tflite"), "expected names of files in its own folder"),
        (lambda v: v["files"].update(prefix=".."), "expected names of files in its own folder"),
        (lambda v: v["files"].update(prefix="a/b"), "expected names of files in its own folder"),
        (lambda v: v["files"].update(prefix="a\0b"), "expected names of files in its own folder"),
        (lambda v: v["sha256"].pop("suffix"), "expected a sha256 of 64 hexadecimal digits for each file"),
        (lambda v: v["sha256"].update(suffix="A" * 64), "expected a sha256 of 64 hexadecimal digits for each file"),
        (lambda v: v["image"].update(shape=[64, 64, 4]), "expected an image of height, width and 3 channels"),
        (lambda v: v["features"].update(shape=[]), "expected features of 1 to 3 sizes"),
        (lambda v: v["features"].update(shape=[2**20] * 3), "expected sizes of 1 or more and at most 2147483647"),
        (lambda v: v["features"].update(scale=1e-40), "expected a scale above 0 that float32 holds"),
        (lambda v: v["features"].update(scale=1e39), "expected a scale above 0 that float32 holds"),
        (lambda v: v["image"].update(zero_point=128), "expected a zero_point from -128 to 127"),
        (lambda v: v.update(calibration_images=0), "expected calibration_images of 1 or more"),
        (lambda v: v["snr_db"].pop("int8"), "expected snr_db of int8 and prefix"),
        (lambda v: v.update(rebake={}), "expected rebake with an int8 file, and not without"),
        (lambda v: [v[name].pop("int8") for name in ("files", "sha256", "snr_db")], "expected rebake with an int8"),
        (lambda v: v["rebake"].update({"classifier/bias": 3}), "expected names of variables and numbers of"),
        (lambda v: v["rebake"].update({"classifier/bias": -1}), "expected names of variables and numbers of"),
        (lambda v: v["rebake"].update({"classifier/bias": 1.0}), "expected int as rebake.classifier/bias"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_named(path, change, words):
    values = copy.deepcopy(json.loads(path.read_text()))
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(InputError) as error:
        CoralManifest.read(path)
    require_line(error.value)
    assert str(error.value).startswith(words)


def test_parts_that_are_no_files_are_refused_and_not_waited_for(path):
    for make, reason in ((os.mkfifo, "Not a regular file"), (os.mkdir, "Is a directory")):
        make(path.with_name(f"{make.__name__}.tflite"))
        manifest = read(path, path.read_text().replace("prefix.tflite", f"{make.__name__}.tflite"))
        with pytest.raises(
            InputError, match=f"expected {make.__name__}.tflite in the folder of .*, got: {reason}; copy"
        ):
            manifest.part(path, "prefix")
        MANIFEST.write(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="got: Not a regular file; check the path"):
        CoralManifest.read(path)
