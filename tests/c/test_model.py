"""What the C client refuses to open or to take, and what it says."""

import inspect
import json
import math
import shutil
import struct
import subprocess

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests import tiny_tflite
from tests.c import client
from tests.c.client import Refused
from tests.c.conftest import GOLDEN
from tests.c.program import adapt, write_random
from tests.c.test_state_file import with_names
from tinytl_tf.device import TrainableModel
from tinytl_tf.files import sha256
from tinytl_tf.tflite.manifest import StateEntry

MODEL, MANIFEST = GOLDEN / "model_float32.tflite", GOLDEN / "model_float32.manifest.json"
AS_EXPORTED, ON, OFF = 0, 1, 2


def refuse_open(c, path, name="a", **options):
    with pytest.raises(Refused) as error:
        c.open(path, name, **options)
    return error.value


def refuse(c, *words):
    with pytest.raises(Refused) as error:
        c.ask(*words)
    return error.value


@pytest.fixture
def copy(tmp_path):
    """A copy of the golden model with its manifest."""
    for path in (MODEL, MANIFEST):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / MODEL.name


def change_manifest(path, **changes):
    """Replaces fields, or removes those that are None; of `input` and `data` those that are given."""
    path = path.with_suffix(".manifest.json")
    values = json.loads(path.read_text("utf-8"))
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    text = json.dumps({key: value for key, value in values.items() if value is not None})
    path.write_text(text.replace("Infinity", "1e999"))


def test_missing_and_foreign_files(c, tmp_path):
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "text.tflite").write_bytes(b"hello, world")
    (tmp_path / "short.tflite").write_bytes(b"TFL3")
    for name, status, words in (
        ("none.tflite", "FILE", "No such file or directory"),
        (".", "FILE", "a folder or device"),
        ("empty.tflite", "FILE", "got 0"),
        ("text.tflite", "MODEL", "the mark TFL3"),
        ("short.tflite", "MODEL", "the mark TFL3"),
    ):
        error = refuse_open(c, tmp_path / name)
        assert (error.status, words in error.text) == (status, True), error.text
        assert "expected" in error.text
    error = refuse_open(c, MODEL, library=tmp_path / "libLiteRt.so")
    assert (error.status, "wheel of ai-edge-litert" in error.text) == ("LIBRARY", True)
    error = refuse_open(c, MODEL, library="libc.so.6")
    assert (error.status, "LiteRT 2.1.5 or later" in error.text) == ("LIBRARY", True)
    c.open(MODEL)


@pytest.mark.parametrize("threads", [-1, 65])
def test_bad_options(c, threads):
    assert refuse_open(c, MODEL, threads=threads).status == "ARGUMENT"
    assert refuse_open(c, MODEL, xnnpack=3).status == "ARGUMENT"
    c.open(MODEL, threads=64)


def test_every_flipped_byte_of_a_model_with_a_manifest_is_refused(c, copy):
    content = copy.read_bytes()
    for place in np.random.default_rng(0).integers(8, len(content), 20):
        changed = bytearray(content)
        changed[place] ^= 1
        copy.write_bytes(changed)
        error = refuse_open(c, copy)
        assert (error.status, "is damaged" in error.text) == ("MANIFEST", True)
    copy.write_bytes(content)
    c.open(copy)


def test_a_damaged_structure_is_refused_without_a_manifest(c, copy):
    copy.with_suffix(".manifest.json").unlink()
    content = copy.read_bytes()
    copy.write_bytes(content[: len(content) // 2])
    assert refuse_open(c, copy, trust=True).status == "MODEL"
    copy.write_bytes(b"\xff\xff\xff\x7f" + content[4:])
    assert refuse_open(c, copy, trust=True).status == "MODEL"
    copy.write_bytes(content)
    c.open(copy, trust=True)


def test_a_file_without_a_manifest_is_refused_unless_it_is_trusted(c, copy):
    manifest = copy.with_suffix(".manifest.json")
    text = manifest.read_bytes()
    manifest.unlink()
    error = refuse_open(c, copy)
    assert (error.status, "--trust" in error.text, str(manifest) in error.text) == ("MANIFEST", True, True)
    c.open(copy, trust=True)
    assert c.ask("info", "a")[8] == "0"
    # Trust is for a file without one: a manifest that is there is checked, also one that leads nowhere.
    manifest.symlink_to("nowhere.json")
    assert refuse_open(c, copy, "b", trust=True).status == "FILE"
    manifest.unlink()
    manifest.write_bytes(text.replace(b'"sha256": "', b'"sha256": "0'))
    assert refuse_open(c, copy, "b", trust=True).status == "MANIFEST"


def damaged_copies(content, count):
    """Bytes of a file with a few changed bytes each, reproducible."""
    rng = np.random.default_rng(3)
    for _ in range(count):
        changed = bytearray(content)
        for _ in range(rng.integers(1, 9)):
            changed[rng.integers(8, len(changed))] = rng.integers(256)
        yield bytes(changed)


def test_no_damaged_file_without_a_manifest_reaches_the_runtime(c, copy):
    """Some of them end the process there."""
    copy.with_suffix(".manifest.json").unlink()
    for content in damaged_copies(copy.read_bytes(), 60):
        copy.write_bytes(content)
        assert refuse_open(c, copy).status == "MANIFEST"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 1}, "format version 1 and contract 2, expected 2 and 2 or 3"),
        *(({"contract": value}, f"format version 2 and contract {value}, expected 2 and 2 or 3") for value in (1, 4)),
        ({"format_version": "2"}, "expected an integer"),
        ({"sha256": "0" * 64}, "one of the files is damaged"),
        ({"sha256": None}, "expected the fields sha256, task and labels"),
        ({"labels": ["a", "b", "c", "d", "e"]}, "other classes than its manifest"),
        ({"labels": ["stripes", "disk", "cross", "leaf"]}, "other classes than its manifest"),
        ({"labels": [*"abcd", ""]}, "a name that is not empty"),
        ({"labels": []}, "expected a string"),
        ({"labels": 5}, "expected a list"),
        ({"task": "multilabel"}, "other classes than its manifest"),
        ({"xnnpack": 1}, "expected true or false"),
        *(({"learning_rate": value}, "expected a number above 0") for value in (0, 0.0, -0.001, 1e39, 1e-60, 1e-400)),
        ({"learning_rate": "1"}, "expected a value"),
        ({"schedule": "linear"}, "expected the schedule cosine or constant"),
        ({"schedule": 1}, "expected a string"),
        *(({"input": {"central_fraction": value}}, "above 0 and at most 1") for value in (0, -1, 1.01, 1e999, 2**31)),
        ({"input": {"central_fraction": "1"}}, "expected a value"),
        ({"input": []}, "expected an object"),
        *(({"data": {"crop_area": value}}, "two rising") for value in ([0, 1], [0.5, 0.4], [0.5, 1.1], [-1, 1])),
        *(({"data": {"crop_aspect": value}}, "two rising") for value in ([0, 1], [2, 1], [1, 1e999])),
        *(({"data": {"crop_aspect": value}}, "two numbers") for value in ([1], [1, 2, 3])),
        ({"data": {"crop_area": []}}, "expected a value"),
        ({"data": {"crop_area": 1}}, "expected a list"),
        ({"data": {"crop": 1}}, "expected true or false"),
        ({"data": {"flip": "yes"}}, "expected true or false"),
        ({"data": {"color": "sepia"}}, "expected the color none, tf or torch"),
        ({"data": {"color": None}}, "expected a string"),
        *(({"data": {"split_seed": value}}, "expected an integer") for value in (-1, 1.5, "1", None)),
        ({"data": {"split_seed": 2**64}}, "expected a smaller integer"),
        ({"data": {"split": 1}}, "expected a string"),
        ({"spare_classes": 1}, "other classes than its manifest"),
        ({"spare_classes": -1}, "expected an integer"),
        ({"state": 1}, "expected a list"),
        (
            {"state": [{"name": "a", "shape": [2**30, 8], "offset": 0, "slot": ""}]},
            "expected a smaller integer",
        ),
        ({"state": [{"name": "a", "shape": [999999999, 9], "offset": 0, "slot": ""}]}, "expected a smaller shape"),
        ({"state": [{"name": "a", "shape": [1], "offset": -1, "slot": ""}]}, "expected an integer"),
    ],
)
def test_bad_manifest(c, copy, changes, words):
    change_manifest(copy, **changes)
    error = refuse_open(c, copy)
    assert (error.status, words in error.text) == ("MANIFEST", True), error.text


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        *(("classifier/bias", "offset", value) for value in (999999999, None)),
        *(("classifier/kernel", "offset", value) for value in (999999999, 25110)),
        *(("classifier/bias", "shape", value) for value in ([6], [8], [])),
        *(("classifier/kernel", "shape", value) for value in ([64, 6], [447], [90000, 7])),
        *((f"classifier/{part}", "name", "other") for part in ("bias", "kernel")),
    ],
)
def test_a_classifier_outside_of_the_state(c, tmp_path, name, field, value):
    path = tmp_path / "model_spare.tflite"
    shutil.copy(GOLDEN / path.name, path)
    manifest = json.loads((GOLDEN / "model_spare.manifest.json").read_text("utf-8"))
    size = sum(math.prod(entry["shape"]) for entry in manifest["state"])
    for entry in manifest["state"]:
        if (entry["name"], entry["slot"]) == (name, ""):
            entry[field] = size - 6 if value is None else value
    path.with_suffix(".manifest.json").write_text(json.dumps(manifest))
    error = refuse_open(c, path)
    assert (error.status, "bias and kernel of a classifier with 7 outputs" in error.text) == ("MANIFEST", True), (
        error.text
    )


def test_manifest_of_another_path_and_of_another_model(c, copy, tmp_path):
    shutil.move(copy.with_suffix(".manifest.json"), tmp_path / "other.json")
    c.open(copy, manifest=tmp_path / "other.json")
    assert c.ask("info", "a")[8] == "1"
    assert refuse_open(c, copy, name="b", manifest=tmp_path / "none.json").status == "FILE"
    assert refuse_open(c, copy, name="b", manifest=GOLDEN / "model_int8.manifest.json").status == "MANIFEST"


@pytest.mark.parametrize("stem", ["model", ".hidden", "two.dots", "none"])
def test_the_manifest_is_found_where_python_finds_it(c, tmp_path, stem):
    from tinytl_tf.tflite.manifest import manifest_path

    path = tmp_path / "a.folder" / (stem if stem in ("none", ".hidden") else f"{stem}.tflite")
    path.parent.mkdir()
    shutil.copy(MODEL, path)
    manifest_path(path).write_text("no JSON")
    assert refuse_open(c, path).status == "MANIFEST"


@pytest.mark.parametrize("value", [0.003, 0.1, 12, 1e-05, 2.5e30, 1.1754944e-38, 3.4e38, 0.1234567890123456789])
def test_the_learning_rate_of_the_manifest(c, copy, value):
    change_manifest(copy, learning_rate=value)
    c.open(copy)
    assert np.float32(c.ask("info", "a")[13]) == np.float32(value)


def test_without_a_manifest_the_learning_rate_is_that_of_most_schemes(c, copy):
    c.open(copy)
    assert float(c.ask("info", "a")[13]) == pytest.approx(3e-3)
    copy.with_suffix(".manifest.json").unlink()
    c.open(copy, "b", trust=True)
    assert float(c.ask("info", "b")[13]) == pytest.approx(1e-3)


def test_settings_of_the_manifest(c, copy):
    """Each has a value that is not the default."""
    data = {"split": "content", "split_seed": 2**64 - 1, "crop": True, "crop_area": [0.1, 0.75], "flip": True}
    data |= {"crop_aspect": [0.5, 4 / 3], "color": "torch"}
    change_manifest(copy, learning_rate=0.0123, schedule="constant", input={"central_fraction": 0.6}, data=data)
    c.open(copy)
    words = c.ask("settings", "a")
    assert [float.fromhex(words[index]) for index in (0, 2, 6, 7, 8, 9)] == [0.0123, 0.6, 0.1, 0.75, 0.5, 4 / 3]
    assert [int(words[index]) for index in (1, 3, 4, 5, 10, 11)] == [1, 2**64 - 1, 1, 1, 1, 2]


def test_settings_that_are_missing(c, copy):
    """An older manifest has no schedule and no rule of the split; a file alone is trained without augmentation."""
    change_manifest(copy, data={"flip": False, "color": "tf"})
    c.open(copy)
    words = c.ask("settings", "a")
    assert [int(words[index]) for index in (1, 3, 4, 5, 10, 11)] == [0, 0, 0, 1, 0, 1]
    copy.with_suffix(".manifest.json").unlink()
    c.open(copy, "b", trust=True)
    words = c.ask("settings", "b")
    assert [float.fromhex(words[index]) for index in (0, 2, 6, 7, 8, 9)] == [1e-3, 0.875, 0.22, 1, 3 / 4, 4 / 3]
    assert [int(words[index]) for index in (1, 3, 4, 5, 10, 11)] == [0, 0, 0, 0, 0, 0]


def test_xnnpack_as_exported(c, copy):
    change_manifest(copy, xnnpack=False)
    c.open(copy)
    assert c.ask("info", "a")[7] == "0"
    c.open(copy, "b", xnnpack=ON)
    assert c.ask("info", "b")[7] == "1"


def with_tensor(content, signature, name, change):
    """Bytes of a model after `change` got the place of a tensor's shape (length, then sizes) and of its type."""
    content = bytearray(content)
    model = schema.Model.GetRootAs(content, 0)
    for index in range(model.SignatureDefsLength()):
        definition = model.SignatureDefs(index)
        maps = [definition.Inputs(i) for i in range(definition.InputsLength())]
        maps += [definition.Outputs(i) for i in range(definition.OutputsLength())]
        for entry in maps:
            if (definition.SignatureKey(), entry.Name()) == (signature.encode(), name.encode()):
                table = model.Subgraphs(definition.SubgraphIndex()).Tensors(entry.TensorIndex())._tab
                shape = table.Vector(table.Offset(4)) - 4
                change(content, shape, table.Pos + table.Offset(6))
                return bytes(content)
    raise KeyError(name)


def no_rank(content, shape, _):
    struct.pack_into("<I", content, shape, 0)


def one_less(content, shape, _):
    struct.pack_into("<i", content, shape + 4, struct.unpack_from("<i", content, shape + 4)[0] - 1)


def as_int64(content, _, type_):
    content[type_] = schema.TensorType.INT64


def test_tensors_that_do_not_fit(c, tmp_path):
    content = MODEL.read_bytes()
    for signature, name, change, words in (
        ("train", "learning_rate", no_rank, "train.learning_rate has rank 0: the file has signatures of contract 1"),
        ("train", "loss", no_rank, "train.loss: expected type 1 and shape 1, got type 1 and rank 0"),
        ("restore", "state", one_less, "restore.state: expected type 1 and shape N"),
        ("train", "image", one_less, "train.label: expected type 2 and shape B"),
        ("infer", "image", one_less, "infer.image: expected type 3 and shape 1HW3"),
        ("train", "applied", as_int64, "train.applied: expected type 2 and shape 1, got type 4"),
    ):
        (tmp_path / "changed.tflite").write_bytes(with_tensor(content, signature, name, change))
        error = refuse_open(c, tmp_path / "changed.tflite", trust=True)
        assert (error.status, words in error.text) == ("MODEL", True), error.text


def test_names_that_do_not_fit(c, tmp_path):
    # Names are changed in the file itself, which leaves its structure as it is.
    for old, new, words in (
        (b"restore\0", b"restorf\0", "none called restore"),
        (b"learning_rate\0", b"learning_ratf\0", "train.learning_rate is missing"),
        (b"probabilities\0", b"probabilitief\0", "infer.probabilities is missing"),
        (b"applied\0", b"applief\0", "train.applied is missing"),
        (b'"contract"', b'"contracu"', "contract 0"),
        (b'"classification"', b'"clazzification"', "the task clazzification"),
    ):
        (tmp_path / "changed.tflite").write_bytes(MODEL.read_bytes().replace(old, new))
        error = refuse_open(c, tmp_path / "changed.tflite", trust=True)
        assert (error.status, words in error.text) == ("MODEL", True), (old, error.text)


def test_a_model_without_reset_goes_back_to_its_exported_state(c, tmp_path):
    path, batch = tmp_path / "no_reset.tflite", tmp_path / "batch.raw"
    path.write_bytes(MODEL.read_bytes().replace(b"reset\0", b"resew\0"))
    batch.write_bytes(np.random.default_rng(0).bytes(4 * 64 * 64 * 3))
    c.open(path, trust=True)
    first = c.ask("train", "a", batch, 0.001, 0, 1, 2, 3)
    assert c.ask("train", "a", batch, 0.001, 0, 1, 2, 3) != first
    c.ask("reset", "a")
    assert c.ask("train", "a", batch, 0.001, 0, 1, 2, 3) == first


def test_several_attributes(c, built, tmp_path):
    path = tmp_path / "attributes.tflite"
    path.write_bytes(tiny_tflite.build(tiny_tflite.ATTRIBUTES, tiny_tflite.SIGNATURES))
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    images.tofile(tmp_path / "images.raw")
    labels = np.array([[1, 0, 1], [0, 0.5, 1]], np.float32)
    python = TrainableModel(path, trust=True)
    c.open(path, trust=True)
    assert c.ask("info", "a")[6] == "1"
    for _ in range(3):
        words = c.ask("attributes", "a", tmp_path / "images.raw", 0.01, *labels.ravel())
        expected = python.train(images, labels, 0.01)
        assert float.fromhex(words[0]) == pytest.approx(expected.loss, rel=1e-6)
        assert float.fromhex(words[1]) == pytest.approx(expected.accuracy)
    assert "tinytl_train_multilabel" in refuse(c, "train", "a", tmp_path / "images.raw", 0.01, 0, 1).text
    for bad in (-0.1, 1.1, "nan"):
        error = refuse(c, "attributes", "a", tmp_path / "images.raw", 0.01, 0, 0, 0, 0, 0, bad)
        assert (error.status, "at index 5" in error.text) == ("ARGUMENT", True)
    assert refuse(c, "attributes", "a", tmp_path / "images.raw", 0.01, 0, 0, 0).status == "ARGUMENT"
    (tmp_path / "data" / "a").mkdir(parents=True)
    arguments = (f"--model={path}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/x.tinytl", "--trust")
    assert "got one for several attributes" in adapt(built, *arguments, status=2)
    c.open(MODEL, "b")
    assert "tinytl_train()" in refuse(c, "attributes", "b", tmp_path / "images.raw", 0.01, *([0] * 20)).text


def write_wide_model(folder, monkeypatch, labels, outputs):
    """Writes a linear model with a manifest; outputs without a label are spare."""
    features = tiny_tflite.SIZE**2 * 3
    monkeypatch.setattr(tiny_tflite, "CLASSES", outputs)
    monkeypatch.setattr(tiny_tflite, "STATE_SIZE", (features + 1) * outputs)
    path = folder / "wide.tflite"
    path.write_bytes(inspect.unwrap(tiny_tflite.build)(tiny_tflite.SIGNATURES))
    parts = [StateEntry("classifier/kernel", (features, outputs), 0)]
    parts.append(StateEntry("classifier/bias", (outputs,), features * outputs))
    tiny_tflite.write_manifest(path, labels, spare_classes=outputs - len(labels), state=tuple(parts))
    return path


def test_thousands_of_classes_are_adapted(built, tmp_path, monkeypatch):
    labels = [f"class {index:04d}" for index in range(4200)]
    path = write_wide_model(tmp_path, monkeypatch, labels, len(labels))
    for label in (labels[0], labels[4100], labels[-1]):
        write_random(tmp_path / "data" / "train" / label / "x.ppm", labels.index(label))
    output = adapt(built, f"--model={path}", f"--data={tmp_path}/data", f"--state_out={tmp_path}/x.tinytl")
    assert "class 4100: class 4100, 1 images\nclass 4101: class 4101, 0 images\n" in output
    assert "\n3 images to train; nothing is held out" in output


def test_a_class_whose_name_makes_all_names_too_long_is_refused(c, tmp_path, monkeypatch):
    """A megabyte of names needs over 4,000 spare outputs."""
    outputs, features = 4200, tiny_tflite.SIZE**2 * 3
    path = write_wide_model(tmp_path, monkeypatch, ["a", "b"], outputs)
    c.open(path)
    names = [f"{index:04d}" + "x" * 250 for index in range(2**20 // 255)]
    names.append("y" * (2**20 - len("\n".join(names)) - 4))
    values = np.zeros((features + 1) * outputs, np.float32)
    values[features * outputs + 2 + len(names) :] = -10000
    state = with_names("\n".join(names).encode(), values, sha256(path))
    (tmp_path / "full.tinytl").write_bytes(state)
    c.ask("restore", "a", tmp_path / "full.tinytl")
    before = c.ask("info", "a")
    with pytest.raises(Refused, match="1048576 bytes") as error:
        c.add("zzz")
    assert error.value.status == "NAMES"
    assert c.ask("info", "a") == before
    c.ask("save", "a", tmp_path / "same.tinytl")
    assert (tmp_path / "same.tinytl").read_bytes() == state
    assert c.add("zz") == 2 + len(names)
    with pytest.raises(Refused, match="1048576 bytes"):
        c.add("w")


def test_arguments_are_checked(c, tmp_path):
    c.open(MODEL)
    size, batch = 64 * 64 * 3, tmp_path / "batch.raw"
    for length in (0, size - 1, size + 1):
        (tmp_path / "image.raw").write_bytes(bytes(length))
        error = refuse(c, "infer", "a", tmp_path / "image.raw")
        assert (error.status, f"of {size}, got {length};" in error.text) == ("ARGUMENT", True)
    for length in (0, size, 4 * size - 1, 4 * size + 1):
        batch.write_bytes(bytes(length))
        error = refuse(c, "train", "a", batch, 0.001, 0, 1, 2, 3)
        assert (error.status, f"of {4 * size}, got {length};" in error.text) == ("ARGUMENT", True)
    batch.write_bytes(bytes(4 * size))
    for labels in ((), (0, 1, 2), (0, 1, 2, 3, 4)):
        assert f"of 4, got {len(labels)};" in refuse(c, "train", "a", batch, 0.001, *labels).text
    for label in (-1, 5, 2**31 - 1, -(2**31)):
        error = refuse(c, "train", "a", batch, 0.001, 0, 1, 2, label)
        assert error.text == f"expected labels of 0 to 4, got {label} at index 3; pass the index of a class"
    for rate in ("nan", "inf", "-inf", "-0.001"):
        error = refuse(c, "train", "a", batch, rate, 0, 1, 2, 3)
        assert (error.status, "learning rate" in error.text) == ("ARGUMENT", True)
    assert c.ask("train", "a", batch, 0.001, 0, 1, 2, 3)[2] == "1"


def test_null_is_refused_and_threads_have_models_of_their_own(built):
    """`arguments.c` passes NULL for each pointer, and trains two models in two threads at once."""
    command = [built / "arguments", MODEL, client.find_library()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout == "98 wrong calls refused, 2 threads computed what one does\n"


def names_of(c, tmp_path, text):
    """What the reader of manifests says: fields, and then the labels."""
    path = tmp_path / "names.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    words = c.ask("names", path)
    return " ".join(words[:5]), [bytes.fromhex(word) for word in words[5:]]


def test_json(c, tmp_path):
    labels = ["a", "é", "\U0001f600", 'q"\\/\b\f\n\r\t', "日本", "\x7f"]
    for ascii_only in (False, True):
        text = json.dumps({"contract": 2, "task": "classification", "labels": labels}, ensure_ascii=ascii_only)
        fields = ("0 2 1 - classification", [label.encode() for label in labels])
        assert names_of(c, tmp_path, text) == fields
        assert names_of(c, tmp_path, text.replace("/", "\\/").replace("\\n", "\\u000A")) == fields
    nested = '{"x": ' + "[" * 31 + "]" * 31 + ', "y": {"a": [1, -2.5e+3, 0, true, false, null, "]"]}, "contract": 7}'
    assert names_of(c, tmp_path, nested) == ("0 7 1 - -", [])
    assert names_of(c, tmp_path, ' {"labels" : [ "x" ] , "xnnpack":false}\n') == ("0 0 0 - -", [b"x"])
    assert names_of(c, tmp_path, "{}") == ("0 0 1 - -", [])


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "1", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1 "b":2}', '{"a":1}x', '{"a":[1,]}', '{"a":[1}'),
        *('{"a":01}', '{"a":1.}', '{"a":.5}', '{"a":1e}', '{"a":-}', '{"a":+1}', '{"a":nul}', '{"a":NaN}', "{a:1}"),
        *('{"a":"', '{"a":"\\', '{"a":"\\"', '{"a":"\\u12', '{"a":"\\u12"}', '{"a":"\\x"}', '{"a":"\\u0000"}'),
        *('{"a":"\\ud800"}', '{"a":"\\ud800\\u0041"}', '{"a":"\\udc00"}', '{"a":"\n"}', "{'a':1}"),
        *('{"data":{"crop":true,"crop":true}}', '{"input":{"central_fraction":1,"central_fraction":1}}'),
        *('{"contract":2,"contract":2}', '{"contract":-1}', '{"contract":2.0}', '{"contract":1234567890}'),
        *('{"contract":02}', '{"task":1}', '{"labels":["a",1]}', '{"labels":["a"', '{"labels":["a",'),
        '{"x":' + "[" * 40 + "]" * 40 + "}",
        '{"x":' + "[" * 100_000,
        '{"x":' + '{"a":' * 100_000,
    ],
)
def test_bad_json(c, tmp_path, text):
    with pytest.raises(Refused, match="cannot read names: expected .* at byte") as error:
        names_of(c, tmp_path, text)
    assert error.value.status == "MANIFEST"


@pytest.mark.parametrize("name", ["model_float32", "model_array"])
def test_bytes_changed_in_a_manifest_end_no_process(c, tmp_path, name):
    content, rng, refused = (GOLDEN / f"{name}.manifest.json").read_bytes(), np.random.default_rng(0), 0
    for _ in range(500):
        changed = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            changed[rng.integers(len(changed))] = rng.integers(256)
        changed = changed[: rng.integers(len(changed)) if rng.random() < 0.2 else len(changed)]
        try:
            names_of(c, tmp_path, bytes(changed))
        except Refused:
            refused += 1
    assert refused > 50
