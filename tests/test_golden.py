"""The golden files are what golden/make.py makes and what the Python client computes; current exports are like them."""

import hashlib
import json
import math
import pathlib
import struct
import zlib

import make
import make_array
import make_eager
import make_model
import make_names
import make_pixels
import make_plan
import make_settings
import make_spare
import make_states
import make_training
import numpy as np
import pytest
from make_photos import PHOTOS, encode
from PIL import Image

from tinytl_tf import data
from tinytl_tf.data.augmentation import COLORS
from tinytl_tf.data.classes import check_name
from tinytl_tf.data.decode import decode, deep_maximum
from tinytl_tf.data.resizing import central_box, resize
from tinytl_tf.device import TrainableModel, adapt, read_state, write_state
from tinytl_tf.errors import InputError
from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.export.operator_audit import audit
from tinytl_tf.export.packing import state_entries
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.memory import planned_peak
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.tflite.manifest import CONTRACT, FORMAT_VERSION, Manifest
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import APIS, load_signatures

FOLDER = pathlib.Path(__file__).parents[1] / "golden"
SIZE = make_model.SIZE
PIXELS = json.loads((FOLDER / "pixels.json").read_text(encoding="utf-8"))
STATES = json.loads((FOLDER / "states.json").read_text(encoding="utf-8"))
TRAINING = {
    kernels: json.loads((FOLDER / f"training_{kernels}.json").read_text(encoding="utf-8")) for kernels in make.KERNELS
}
SETTINGS = json.loads((FOLDER / "settings.json").read_text(encoding="utf-8"))
SPARE = json.loads((FOLDER / "spare.json").read_text(encoding="utf-8"))
INPUTS = make.read_pixels(FOLDER)
OF_FLOAT32 = FOLDER / "model_float32.tflite"
# Relative difference of a loss from eager TensorFlow's, over the steps of the plan: the order of summation makes 1e-5.
EAGER_LOSS = 1e-4


def content(path):
    return (FOLDER / "photos" / path).read_bytes()


def raw(name, shape=(SIZE, SIZE)):
    return np.frombuffer((FOLDER / name).read_bytes(), np.uint8).reshape(*shape, 3)


def is_close(actual, expected, tolerance):
    difference = np.abs(actual.astype(int) - expected)
    bounds = PIXELS["tolerances"][tolerance]
    return difference.max() <= bounds["largest"] and difference.mean() <= bounds["mean"]


# --- Photos and pixels ---


def test_no_file_is_missing_and_none_is_left_over():
    made = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    named = {f"photos/{photo['photo']}" for photo in PIXELS["photos"]}
    named |= {entry[key] for entry in PIXELS["photos"] for key in ("pixels", "decoded") if entry[key]}
    named |= {change["pixels"] for change in PIXELS["changes"]} | {
        STATES["small"]["file"],
        "pixels.json",
        "states.json",
    }
    named |= {SPARE["model"], "model_spare.manifest.json", SPARE["state_after"], "spare.json"}
    for kernels, training in TRAINING.items():
        manifest = f"model_{kernels}.manifest.json"
        named |= {training["model"], manifest, training["state_after"], f"training_{kernels}.json"}
    named |= {make_array.ARRAYS} | {
        f"{stem}{kind.name}{suffix}"
        for kind in make_array.KINDS
        for stem, suffix in (("model_", ".tflite"), ("model_", ".manifest.json"), ("state_", ".tinytl"), ("", ".json"))
    }
    named |= {"names.json", "plan.json", "settings.json", SETTINGS["model"], "model_settings.manifest.json"}
    scripts = {path for path in made if path.endswith((".py", ".pyc"))}
    assert made - scripts == named | {"README.md"}


def test_the_whole_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.suffix != ".pyc") < 2_600_000


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.path)
def test_photos_are_those_of_the_script(photo):
    """JPEG's and PNG's bytes are those of some version of a library; what they show is not."""
    committed, made = (decode(data, photo.path) for data in (content(photo.path), encode(photo)))
    assert committed.shape == (*photo.size, 3)
    if photo.lossless:
        np.testing.assert_array_equal(committed, made)
    else:
        assert is_close(committed, made, "JPEG")
    with Image.open(FOLDER / "photos" / photo.path) as image:
        assert image.mode == photo.kind
        assert image.getexif().get(0x0112, 1) == photo.orientation


@pytest.mark.parametrize("entry", PIXELS["photos"], ids=lambda entry: entry["photo"])
def test_photos_become_the_pixels(entry):
    photo = next(photo for photo in PHOTOS if photo.path == entry["photo"])
    assert is_close(make_pixels.model_input(content(photo.path), photo), raw(entry["pixels"]), entry["tolerance"])
    if entry["decoded"]:
        np.testing.assert_array_equal(decode(content(photo.path), "x"), raw(entry["decoded"], entry["size"]))


@pytest.mark.parametrize("index", range(len(make_pixels.CHANGES)))
def test_changes_become_the_pixels(index):
    entry, change = PIXELS["changes"][index], make_pixels.CHANGES[index]
    assert is_close(make_pixels.changed(content(entry["photo"]), change), raw(entry["pixels"]), entry["tolerance"])


def test_the_list_of_pixels_is_current():
    assert json.loads(json.dumps(make_pixels.describe())) == PIXELS
    assert {photo["orientation"] for photo in PIXELS["photos"]} == {1, 3, 4, 5, 6, 7, 8}
    assert deep_maximum([(FOLDER / "photos" / photo.path, photo.path) for photo in PHOTOS]) == 2**16 - 1


def fit(image, box=None):
    box = central_box(*image.shape[:2], (SIZE, SIZE)) if box is None else box
    return np.asarray(resize(image, (SIZE, SIZE), box))


def stored(photo):
    """Decoded by Pillow alone: neither turned nor put on white."""
    with Image.open(FOLDER / "photos" / photo.path) as image:
        return np.asarray(image.convert("RGBA"))[..., :3]


def shrunk(photo):
    return decode(content(photo.path), "x", make_pixels.SHRUNK_SIDE)


def as_linear(photo):
    return (255 * (shrunk(photo) / 255) ** (1 / 2.2)).astype(np.uint8)


MISTAKES = {
    "not turned": (lambda p: p.orientation > 1, lambda p: fit(stored(p))),
    "on black": (lambda p: p.kind in ("RGBA", "P"), lambda p: fit(stored(p))),
    "whole photo": (lambda p: True, lambda p: fit(shrunk(p), (0, 0, *shrunk(p).shape[1::-1]))),
    "stretched": (lambda p: p.size[0] != p.size[1], lambda p: fit(shrunk(p), (4, 4, *shrunk(p).shape[1::-1]))),
    "BGR": (lambda p: p.kind not in ("L", "I;16"), lambda p: fit(shrunk(p))[..., ::-1]),
    "mirrored": (lambda p: True, lambda p: fit(shrunk(p))[:, ::-1]),
    "not shrunk first": (lambda p: p.path == "leaf/large.png", lambda p: fit(decode(content(p.path), "x"))),
    "gamma applied": (lambda p: "gamma" in p.options, lambda p: fit(as_linear(p))),
    "not antialiased": (
        lambda p: min(p.size) > 1.5 * SIZE and p.lossless,
        lambda p: np.asarray(Image.fromarray(fit(shrunk(p))).resize((32, 32)).resize((SIZE, SIZE))),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_farther_than_the_tolerance(mistake):
    is_concerned, make_it = MISTAKES[mistake]
    concerned = [photo for photo in PHOTOS if is_concerned(photo)]
    assert concerned
    for photo in concerned:
        expected = raw(make_pixels.pixels_file(photo))
        assert not is_close(make_it(photo), expected, make_pixels.tolerance(photo)), photo.path


# --- What a client computes ---


def outside(actual, expected, kernels, what):
    """Which of the values are out of tolerance; losses are relative, the others absolute."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    difference = np.abs(actual - expected) / (np.abs(expected) if what == "loss" else 1)
    return np.argwhere(~(difference <= TRAINING[kernels]["tolerances"][what])).tolist()


def take(model, steps):
    return [model.train(INPUTS[step["photos"]], np.array(step["labels"]), step["learning_rate"]) for step in steps]


def references(kernels):
    """What a step of a file with kernels of this type is compared with."""
    return (*make_training.DELEGATES, *(("tensorflow",) if kernels == "float32" else ()))


def assert_answers(model, images, expected, kernels):
    results = [model.infer(image) for image in images]
    for what in ("logits", "probabilities"):
        assert not outside([getattr(result, what) for result in results], expected[what], kernels, what)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("kernels", make.KERNELS)
def test_the_client_computes_the_golden_figures(kernels, xnnpack, api, tmp_path):
    golden = TRAINING[kernels]
    model = TrainableModel(FOLDER / golden["model"], xnnpack=xnnpack, api=api)
    images = np.stack([raw(photo["pixels"]) for photo in golden["photos"]])
    exported = model.state()
    model.save(tmp_path / "exported.tinytl")
    digest = hashlib.sha256((tmp_path / "exported.tinytl").read_bytes()).hexdigest()
    assert digest == golden["exported_state_sha256"]
    for delegate in make_training.DELEGATES:
        assert_answers(model, images, golden["before"][delegate], kernels)

    results = take(model, golden["steps"])
    for delegate in make_training.DELEGATES:
        expected = [step[delegate] for step in golden["steps"]]
        for what in ("loss", "accuracy"):
            actual = [getattr(result, what) for result in results]
            assert not outside(actual, [step[what] for step in expected], kernels, what), delegate
        assert [int(result.applied) for result in results] == [step["applied"] for step in expected]
    if kernels == "float32":
        expected = np.array([step["tensorflow"]["loss"] for step in golden["steps"]])
        np.testing.assert_allclose([result.loss for result in results], expected, rtol=EAGER_LOSS)
        assert [result.accuracy for result in results] == [step["tensorflow"]["accuracy"] for step in golden["steps"]]
    state = model.state()
    model.restore(FOLDER / golden["state_after"])
    expected = model.state()
    update = np.linalg.norm(state - expected) / np.linalg.norm(expected - exported)
    assert update <= golden["tolerances"]["update"]
    for delegate in make_training.DELEGATES:
        assert_answers(model, images, golden["after"][delegate], kernels)
    model.save(tmp_path / "again.tinytl")
    assert (tmp_path / "again.tinytl").read_bytes() == (FOLDER / golden["state_after"]).read_bytes()

    for step in golden["refused"]:
        with pytest.raises(InputError, match="labels"):
            model.train(images[step["photos"]], np.array(step["labels"]), step["learning_rate"])
    np.testing.assert_array_equal(model.state(), expected)
    model.reset()
    np.testing.assert_array_equal(model.state(), exported)


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("kernels", make.KERNELS)
def test_training_goes_on_from_the_golden_state(kernels, xnnpack):
    golden = TRAINING[kernels]
    model = TrainableModel(FOLDER / golden["model"], xnnpack=xnnpack)
    model.restore(FOLDER / golden["state_after"])
    results = take(model, golden["continued"])
    for reference in references(kernels):
        for what in ("loss", "accuracy"):
            expected = [step[reference][what] for step in golden["continued"]]
            assert not outside([getattr(result, what) for result in results], expected, kernels, what), reference


def test_the_velocity_of_the_golden_state_counts():
    golden = TRAINING["float32"]
    model = TrainableModel(FOLDER / golden["model"])
    model.restore(FOLDER / golden["state_after"])
    state = model.state()
    for entry in model.manifest.state:
        if entry.slot == "velocity":
            state[entry.offset : entry.offset + math.prod(entry.shape)] = 0
    model.set_state(state)
    losses = [result.loss for result in take(model, golden["continued"])]
    assert outside(losses, [step["xnnpack"]["loss"] for step in golden["continued"]], "float32", "loss")


@pytest.mark.thorough
def test_eager_tensorflow_gives_the_golden_losses():
    model = make_model.build(INPUTS)
    before = model.get_weights()
    results = make_eager.train(model, INPUTS)
    golden = TRAINING["float32"]
    for what in ("loss", "accuracy"):
        expected = [step["tensorflow"][what] for step in golden["steps"] + golden["continued"]]
        assert not outside([result[what] for result in results], expected, "float32", what)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("kernels", make.KERNELS)
def test_the_file_itself_refuses_steps(kernels, xnnpack, api):
    signatures = load_signatures(FOLDER / TRAINING[kernels]["model"], xnnpack=xnnpack, api=api)
    before = signatures["save"]()["state"]
    for step in TRAINING[kernels]["refused"]:
        outputs = signatures["train"](
            image=INPUTS[step["photos"]],
            label=np.array(step["labels"], np.int32),
            learning_rate=np.float32([step["learning_rate"]]),
        )
        assert outputs["applied"].tolist() == [step["applied"]] == [0]
        np.testing.assert_array_equal(signatures["save"]()["state"], before)


WRONG_STEPS = {
    "constant rate": lambda step: (INPUTS[step["photos"]], step["labels"], make_training.RATE),
    "BGR": lambda step: (INPUTS[step["photos"]][..., ::-1], step["labels"], step["learning_rate"]),
    "another order": lambda step: (INPUTS[step["photos"]][::-1], step["labels"], step["learning_rate"]),
    "classes sorted": lambda step: (
        INPUTS[step["photos"]],
        [sorted(make_model.LABELS).index(make_model.LABELS[label]) for label in step["labels"]],
        step["learning_rate"],
    ),
}


@pytest.mark.parametrize("mistake", WRONG_STEPS)
@pytest.mark.parametrize("kernels", make.KERNELS)
def test_wrong_steps_are_farther_than_the_tolerance(kernels, mistake):
    steps = TRAINING[kernels]["steps"]
    model = TrainableModel(FOLDER / TRAINING[kernels]["model"])
    losses = []
    for step in steps:
        images, labels, rate = WRONG_STEPS[mistake](step)
        losses.append(model.train(np.ascontiguousarray(images), np.array(labels), rate).loss)
    for delegate in make_training.DELEGATES:
        assert outside(losses, [step[delegate]["loss"] for step in steps], kernels, "loss")


def test_something_is_learnt():
    for training in TRAINING.values():
        losses = [step["xnnpack"]["loss"] for step in training["steps"]]
        accuracies = [step["xnnpack"]["accuracy"] for step in training["steps"]]
        assert np.mean(losses[-3:]) < 0.75 * np.mean(losses[:3])
        assert np.mean(accuracies[:3]) < 0.5
        assert np.mean(accuracies[-3:]) > 0.75


# --- The files are current ---


def test_the_lists_of_steps_are_current():
    for kernels, training in TRAINING.items():
        assert training["tolerances"] == make_training.TOLERANCES[kernels]
        inputs = ("photos", "labels", "learning_rate")
        assert [{key: step[key] for key in inputs} for step in training["steps"]] == make_training.plan()
        assert [{key: step[key] for key in inputs} for step in training["continued"]] == make_training.continued()
        assert all(set(references(kernels)) <= step.keys() for step in training["steps"] + training["continued"])
        assert [{key: step[key] for key in inputs} for step in training["refused"]] == make_training.refused()
        rates = [
            SCHEDULES[training["schedule"]](k, len(training["steps"]), training["base_learning_rate"])
            for k in range(len(training["steps"]))
        ]
        assert [step["learning_rate"] for step in training["steps"]] == pytest.approx(rates, rel=1e-6, abs=1e-12)


@pytest.fixture(scope="module")
def current():
    """Trained variables, and the files that this code makes, by the type of their kernels: export without checks."""
    model = make_model.build(INPUTS)
    module = TrainableModule(
        model,
        model.trainable_variables,
        optimizer=get_optimizer(make_model.OPTIMIZER),
        batch_size=make_model.BATCH_SIZE,
        save_optimizer=True,
    )
    float32, _ = build_file(module)
    return model.trainable_variables, {"float32": float32, "int8": with_int8_kernels(float32)}


def structure(model):
    """Operators with what they read and write, graph by graph as the signatures reach them."""
    order = [model.signatures[name].graph for name in sorted(model.signatures)]
    for index in order:  # grows
        nested = [number for operator in model.graphs[index].operators for number in operator.nested]
        order += [number for number in dict.fromkeys(nested) if number not in order]
    assert sorted(order) == list(range(len(model.graphs)))

    def describe(graph, index):
        return None if index < 0 else (graph.tensors[index].dtype, graph.tensors[index].shape)

    return [
        (
            operator.name,
            operator.version,
            [order.index(number) for number in operator.nested],
            [describe(graph, index) for index in (*operator.inputs, *operator.outputs)],
        )
        for graph in (model.graphs[index] for index in order)
        for operator in graph.operators
    ]


@pytest.mark.parametrize("kernels", make.KERNELS)
def test_the_models_are_as_current_code_makes_them(kernels, current):
    variables, contents = current
    path = FOLDER / f"model_{kernels}.tflite"
    golden, new, manifest = Model.read(path), Model.from_bytes(contents[kernels]), Manifest.read(path)
    assert structure(golden) == structure(new)
    assert audit(golden) == audit(new)
    assert golden.signatures.keys() == new.signatures.keys() == manifest.signatures.keys()
    for name, signature in new.signatures.items():
        for part in ("inputs", "outputs"):
            tensors = {key: (tensor.dtype, tensor.shape) for key, tensor in getattr(signature, part).items()}
            assert {k: (t.dtype, t.shape) for k, t in getattr(golden.signature(name), part).items()} == tensors
            assert {k: (t["dtype"], tuple(t["shape"])) for k, t in manifest.signatures[name][part].items()} == tensors
        assert manifest.planned_peak_bytes[name] == planned_peak(new, name).peak_bytes
    assert (manifest.contract, manifest.format_version) == (CONTRACT, FORMAT_VERSION)
    assert manifest.labels == make_model.LABELS
    assert manifest.state == state_entries(variables, get_optimizer(make_model.OPTIMIZER), True)
    assert any(entry.slot for entry in manifest.state)
    assert manifest.sizes["constant_bytes"] == new.constant_bytes
    assert manifest.sizes["variable_bytes"] == sum(new.resource_variables.values())
    assert manifest.sizes["file_bytes"] == path.stat().st_size == pytest.approx(len(contents[kernels]), abs=1000)


@pytest.mark.parametrize("kernels", make.KERNELS)
def test_a_new_model_trains_like_the_golden_one(kernels, current, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(current[1][kernels])
    losses = [step["loss"] for step in make_training.train(load_signatures(path), INPUTS)]
    assert not outside(losses, [step["xnnpack"]["loss"] for step in TRAINING[kernels]["steps"]], kernels, "loss")


# --- Spare classes ---


@pytest.mark.parametrize("xnnpack", [True, False])
def test_an_added_class_trains_as_the_golden_one(xnnpack, tmp_path):
    model = TrainableModel(FOLDER / SPARE["model"], xnnpack=xnnpack)
    assert model.add_class(SPARE["class"]) == SPARE["label"]
    model.save(tmp_path / "added.tinytl")
    assert hashlib.sha256((tmp_path / "added.tinytl").read_bytes()).hexdigest() == SPARE["added_state_sha256"]
    results = make_spare.train(model, INPUTS)
    for delegate in make_training.DELEGATES:
        losses = [step[delegate]["loss"] for step in SPARE["steps"]]
        assert not outside([result["loss"] for result in results], losses, "float32", "loss")
    model.restore(FOLDER / SPARE["state_after"])
    assert model.class_names == (*make_model.LABELS, SPARE["class"])
    for delegate in make_training.DELEGATES:
        assert_answers(model, INPUTS, SPARE["after"][delegate], "float32")
    for step in SPARE["refused"]:
        with pytest.raises(InputError, match="labels"):
            model.train(INPUTS[step["photos"]], np.array(step["labels"]), step["learning_rate"])


def test_spare_outputs_are_those_of_a_wider_network():
    """They need no operator that the other model does not have."""
    manifest, other = (Manifest.read(FOLDER / name) for name in (SPARE["model"], "model_float32.tflite"))
    assert (manifest.labels, manifest.spare_classes) == (other.labels, make_spare.SPARE)
    assert manifest.min_runtime_version == other.min_runtime_version
    more = {entry["name"] for entry in manifest.operators} - {entry["name"] for entry in other.operators}
    assert not more
    assert SPARE["steps"] == [
        {**step, **{name: SPARE["steps"][index][name] for name in make_training.DELEGATES}}
        for index, step in enumerate(make_spare.steps())
    ]
    assert SPARE["tolerances"] == make_training.TOLERANCES["float32"]


# --- State files ---


def test_the_list_of_states_is_current(tmp_path):
    for path in (*FOLDER.glob("state_*.tinytl"), *FOLDER.glob("model_*")):
        if path.name != make_states.SMALL:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    assert make_states.write(tmp_path) == STATES
    assert (tmp_path / make_states.SMALL).read_bytes() == (FOLDER / make_states.SMALL).read_bytes()
    makers = {"damaged": make_states.damages, "damaged_names": make_states.damages_of_names}
    for key, maker in makers.items():
        golden = (FOLDER / STATES[key]["file"]).read_bytes()
        made = [damaged for *_, damaged in maker(golden)]
        assert [make_states.apply(golden, damage) for damage in STATES[key]["damages"]] == made


@pytest.mark.parametrize("entry", STATES["moved"], ids=lambda entry: f"{entry['from']} to {entry['to']}")
def test_a_moved_state_can_be_restored(entry, tmp_path):
    make_states.move(FOLDER, entry["file"], entry["from"], entry["to"], tmp_path / "moved.tinytl")
    model = TrainableModel(FOLDER / entry["to"])
    model.restore(tmp_path / "moved.tinytl")
    learned, moved = TrainableModel(FOLDER / entry["from"]), model.variables()
    learned.restore(FOLDER / entry["file"])
    assert learned.class_names == model.class_names
    for name, value in learned.variables().items():
        np.testing.assert_array_equal(moved[name], value, err_msg=name)


@pytest.mark.parametrize("entry", STATES["not_moved"], ids=lambda entry: entry["check"])
def test_a_state_of_another_network_is_not_moved(entry, tmp_path):
    words = {
        "classes": "expected the classes",
        "frozen": "other frozen weights",
        "fingerprint": "belongs to the model",
        "variables": "expected the trained variables",
    }
    with pytest.raises(InputError, match=words[entry["check"]]):
        make_states.move(FOLDER, entry["file"], entry["from"], entry["to"], tmp_path / "moved.tinytl")
    assert not list(tmp_path.iterdir())


# What the client says where a check fails; the checks are those of docs/formats.md, in its order.
REFUSALS = {
    "magic": "is not a state file",
    "version": "has format version",
    "length": "is cut short|expected .* bytes for",
    "checksum": "expected checksum",
    "fingerprint": "belongs to the model with",
    "N": "values, expected the .* of the model",
    "finite": "cannot use .*: expected finite values",
    "slots": "expected step of step of 0 or more",
    "restore": "expected magnitudes that add up to less than 1e\\+15",
    "names": "names of classes that cannot be used|added classes, expected at most",
    "outputs": "outputs in use",
}


@pytest.fixture(scope="module")
def trained():
    """The models after one step, and their states, by the key of their damages."""
    step, result = TRAINING["float32"]["steps"][0], {}
    for key in ("damaged", "damaged_names"):
        model = TrainableModel(FOLDER / STATES[key]["model"])
        model.train(INPUTS[step["photos"]], np.array(step["labels"]), step["learning_rate"])
        result[key] = model, model.state()
    return result


DAMAGES = [(key, damage) for key in ("damaged", "damaged_names") for damage in STATES[key]["damages"]]


@pytest.mark.parametrize(
    ("key", "damage"), DAMAGES, ids=lambda value: value if isinstance(value, str) else value["name"]
)
def test_a_damaged_state_is_refused(key, damage, trained, tmp_path):
    model, state = trained[key]
    path = tmp_path / "damaged.tinytl"
    path.write_bytes(make_states.apply((FOLDER / STATES[key]["file"]).read_bytes(), damage))
    with pytest.raises(InputError, match=REFUSALS[damage["check"]]):
        model.restore(path)
    np.testing.assert_array_equal(model.state(), state)


def test_every_check_has_a_damage():
    assert {damage["check"] for _, damage in DAMAGES} == REFUSALS.keys()
    for key in ("damaged", "damaged_names"):  # undamaged it is taken
        TrainableModel(FOLDER / STATES[key]["model"]).restore(FOLDER / STATES[key]["file"])


def test_names_that_every_client_takes_are_taken_and_no_others(tmp_path):
    names = json.loads((FOLDER / "names.json").read_text(encoding="utf-8"))
    assert names == json.loads(json.dumps(make_names.describe()))
    fingerprint, state = bytes(32), np.float32([0.5])
    for name in names["accepted"]:
        check_name(name)
        write_state(tmp_path / "state.tinytl", state, fingerprint, ["first", name])
        assert read_state(tmp_path / "state.tinytl", fingerprint, 1).added_classes == ("first", name)
    for entry in names["refused"]:
        content = bytes.fromhex(entry["bytes"])
        head = b"TINYTL\r\n" + struct.pack("<I32sIfI", 2, fingerprint, 1, 0.5, len(content)) + content
        (tmp_path / "state.tinytl").write_bytes(head + struct.pack("<I", zlib.crc32(head)))
        if b"\n" not in content:  # which is between two names there
            with pytest.raises(InputError):
                read_state(tmp_path / "state.tinytl", fingerprint, 1)
        try:
            name = content.decode()
        except UnicodeDecodeError:
            continue
        with pytest.raises(InputError):
            check_name(name)


class Draws:
    """The random numbers of docs/formats.md, without numpy."""

    GAMMA, BITS = 0x9E3779B97F4A7C15, 2**64

    def __init__(self, *names):
        self.state = 0
        for name in names:
            self.state = self.mix(self.state ^ name)

    def mix(self, value):
        z = (value + self.GAMMA) % self.BITS
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % self.BITS
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % self.BITS
        return z ^ (z >> 31)

    def unit(self):
        drawn = (self.mix(self.state) >> 11) / 2**53
        self.state = (self.state + self.GAMMA) % self.BITS
        return drawn

    def uniform(self, low, high):
        return low + (high - low) * self.unit()

    def permutation(self, count):
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = math.floor((last + 1) * self.unit())
            order[last], order[other] = order[other], order[last]
        return order


def change_of(plan, photo, epoch, copy):
    """Box, flip and colors of a photo as docs/formats.md has them, by other code than the package's."""
    (height, width), settings = plan["sizes"][photo], plan["augmentation"]
    draws = Draws(plan["seed"], epoch, photo + 1, *([copy] if copy else []))
    box = None
    if settings["crop"]:
        logs = [math.log(aspect) for aspect in settings["crop_aspect"]]
        for _ in range(10):
            area = height * width * draws.uniform(*settings["crop_area"])
            aspect = math.exp(draws.uniform(*logs))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left = math.floor((width - w + 1) * draws.unit())
                top = math.floor((height - h + 1) * draws.unit())
                box = [left, top, left + w, top + h]
                break
        else:
            aspect = min(max(width / height, settings["crop_aspect"][0]), settings["crop_aspect"][1])
            w, h = min(width, max(1, round(height * aspect))), min(height, max(1, round(width / aspect)))
            left, top = (width - w) // 2, (height - h) // 2
            box = [left, top, left + w, top + h]
    flip = settings["flip"] and draws.unit() < 0.5
    colors = []
    if settings["color"] != "none":
        for index in draws.permutation(4):
            strength = COLORS[settings["color"]][index]
            if strength:
                name = ("brightness", "contrast", "saturation", "hue")[index]
                colors.append([name, pytest.approx(draws.uniform(-strength, strength), rel=1e-12)])
    return {"photo": photo, "box": box, "flip": flip, "colors": colors}


def test_the_golden_plans_are_those_of_the_document():
    golden = json.loads((FOLDER / "plan.json").read_text(encoding="utf-8"))
    assert golden == json.loads(json.dumps(make_plan.describe()))
    for entry in golden["held_out"]:
        digest = hashlib.sha256(f"{entry['seed']}/{entry['id']}".encode()).hexdigest()
        assert entry["held_out"] is (int(digest[:8], 16) < 2**30)
    for plan in golden["plans"]:
        count, batch = len(plan["sizes"]), plan["batch_size"]
        per_epoch = max(1, count // batch)
        assert len(plan["steps"]) == plan["epochs"] * per_epoch
        for number, step in enumerate(plan["steps"]):
            epoch, part = divmod(number, per_epoch)
            order = Draws(plan["seed"], epoch, 0).permutation(count)
            places = range(part * batch, (part + 1) * batch)
            assert step["photos"] == [change_of(plan, order[place % count], epoch, place // count) for place in places]
            cosine = plan["learning_rate"] / 2 * (1 + math.cos(math.pi * number / len(plan["steps"])))
            expected = cosine if plan["schedule"] == "cosine" else plan["learning_rate"]
            assert step["rate"] == pytest.approx(expected, rel=1e-12)
    shown = [photo for plan in golden["plans"] for step in plan["steps"] for photo in step["photos"]]
    assert {photo["flip"] for photo in shown} == {True, False}
    assert {len(photo["colors"]) for photo in shown} == {0, 2, 4}


def write_photos(folder, sets):
    """Folders of photos as `tinytl adapt` takes them: name of a set -> photos."""
    for name, photos in sets.items():
        for photo in photos:
            (folder / name / photo).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / photo).write_bytes(content(photo))
    return folder


def test_every_setting_of_the_golden_manifest_differs_from_the_default():
    manifest, plain = Manifest.read(FOLDER / SETTINGS["model"]), Manifest.read(OF_FLOAT32)
    defaults = data.Augmentation()
    for name in ("crop_area", "crop_aspect", "flip", "color"):
        assert getattr(manifest.data, name) != getattr(defaults, name)
    for name in ("learning_rate", "learning_rate_from", "schedule", "label_smoothing", "xnnpack", "batch_size"):
        assert getattr(manifest, name) != getattr(plain, name), name
    assert (manifest.data.split, plain.data.split, manifest.data.split_seed) == ("content", "", 36)
    assert manifest.input.central_fraction == 0.6


@pytest.mark.parametrize("run", SETTINGS["runs"], ids=lambda run: run["shows"])
@pytest.mark.parametrize("xnnpack", [True, False])
def test_adapt_follows_the_golden_settings_unasked(run, xnnpack, tmp_path, monkeypatch):
    delegate = "xnnpack" if xnnpack else "without_xnnpack"
    splits = data.load(write_photos(tmp_path, {"train": run["photos"], "test": SETTINGS["held_out"]}))
    train, taken = TrainableModel.train, []

    def noting(self, images, labels, rate):
        result = train(self, images, labels, rate)
        taken.append((rate, result.loss, result.accuracy))
        return result

    monkeypatch.setattr(TrainableModel, "train", noting)
    model = TrainableModel(FOLDER / SETTINGS["model"], xnnpack=xnnpack)
    result = adapt(model, splits, epochs=SETTINGS["epochs"], seed=SETTINGS["seed"])
    rates, losses, accuracies = zip(*taken, strict=True)
    assert list(rates) == pytest.approx([step["rate"] for step in run["steps"]], rel=SETTINGS["tolerances"]["rate"])
    expected = [step[delegate] for step in run["steps"]]
    tolerance = SETTINGS["tolerances"]["loss"]
    assert list(losses) == pytest.approx([step["loss"] for step in expected], rel=tolerance)
    assert list(accuracies) == pytest.approx([step["accuracy"] for step in expected])
    for when in ("before", "after"):
        figures = getattr(result, when).to_json(model.class_names)
        assert figures.pop("loss") == pytest.approx(run[when][delegate]["loss"], rel=tolerance)
        assert figures == {key: value for key, value in run[when][delegate].items() if key != "loss"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"central_fraction": 0.875},
        {"schedule": "cosine"},
        {"learning_rate": 1e-2},
        {"augmentation": data.Augmentation(crop=False, flip=False, color="torch")},
        {"augmentation": data.Augmentation(flip=False, color="torch")},
        {"augmentation": data.Augmentation(True, (0.5, 0.9), (0.8, 1.6), True, "torch")},
        {"augmentation": data.Augmentation(True, (0.5, 0.9), (0.8, 1.6), False, "none")},
    ],
)
def test_a_client_that_ignored_a_setting_would_be_far_outside(wrong, tmp_path):
    run = SETTINGS["runs"][0]
    splits = data.load(write_photos(tmp_path, {"train": run["photos"], "test": SETTINGS["held_out"]}))
    model = TrainableModel(FOLDER / SETTINGS["model"])
    result = adapt(model, splits, epochs=SETTINGS["epochs"], seed=SETTINGS["seed"], **wrong)
    losses = [step["without_xnnpack"]["loss"] for step in run["steps"]]
    after = run["after"]["without_xnnpack"]["loss"]
    pairs = zip([*result.losses, result.after.loss], [*losses, after], strict=True)
    away = [abs(ours / theirs - 1) for ours, theirs in pairs]
    assert max(away) > SETTINGS["tolerances"]["loss"]


def test_the_golden_photos_are_held_out_by_their_content(tmp_path):
    photos = [photo["photo"] for photo in SETTINGS["photos"]]
    for entry in SETTINGS["photos"]:
        assert entry["sha256"] == hashlib.sha256(content(entry["photo"])).hexdigest()
        assert entry["held_out_by_content"] is (entry["photo"] in SETTINGS["held_out"])
    model = TrainableModel(FOLDER / SETTINGS["model"])
    splits = data.load(write_photos(tmp_path, {"": photos}), default_seed=model.split_seed)
    sets = [[part.source(index) for index in range(len(part))] for part in (splits.train, splits.test)]
    expected = [[photo for photo in photos if photo not in SETTINGS["held_out"]], SETTINGS["held_out"]]
    assert sets == [[str(tmp_path / photo) for photo in part] for part in expected]


def test_the_golden_settings_are_current(tmp_path):
    for photo in SETTINGS["photos"]:
        target = tmp_path / "photos" / photo["photo"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content(photo["photo"]))
    for suffix in (".tflite", ".manifest.json"):
        name = SETTINGS["model"].replace(".tflite", suffix)
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    new = json.loads(json.dumps(make_settings.describe(tmp_path)))
    for old, run in zip(SETTINGS["runs"], new.pop("runs"), strict=True):
        for step, other in zip(old["steps"], run["steps"], strict=True):
            assert {key: step[key] for key in ("epoch", "rate", "photos")} == {
                key: other[key] for key in ("epoch", "rate", "photos")
            }
    assert new == {key: value for key, value in SETTINGS.items() if key != "runs"}
