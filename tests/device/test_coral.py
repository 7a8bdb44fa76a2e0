"""The client of an export for a Coral board: prefix on the CPU here, suffix trained on its features."""

import ast
import itertools
import json
import pathlib
import shutil
import sys

import numpy as np
import pytest

from tests import tiny_coral
from tests.damage import damaged, require_line
from tinytl_tf import data
from tinytl_tf.device import TrainableModel, adapt, evaluate_dataset, prefix_runner
from tinytl_tf.device.coral import COMPILED_NAME, CoralModel
from tinytl_tf.errors import InputError
from tinytl_tf.files import sha256
from tinytl_tf.tflite.coral_manifest import CoralManifest
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.snr import snr_db

RUNNER = pathlib.Path(prefix_runner.__file__)


@pytest.fixture(scope="module")
def exported(coral_export):
    return coral_export


@pytest.fixture
def own(exported, tmp_path):
    """A copy to damage."""
    shutil.copytree(exported.parent, tmp_path / "own")
    return tmp_path / "own" / exported.name


@pytest.fixture(scope="module")
def splits(coral_export):
    return data.load(coral_export.parents[1] / "tints.npz")


def change(path, **changes):
    """Changes a list of files; a zero point alone is moved by so many."""
    values = json.loads(path.read_text())
    for name, change in changes.items():
        if isinstance(change, dict) and change.keys() == {"zero_point"}:
            change = {"zero_point": values[name]["zero_point"] + change["zero_point"]}
        values[name] = {**values[name], **change} if name in ("image", "features") else change
    path.write_text(json.dumps(values))


def test_answers_are_those_of_the_whole_file_but_for_the_integers(exported):
    model, whole = CoralModel(exported), TrainableModel(exported.with_name("model.tflite"))
    photos = tiny_coral.photos(16)
    expected = np.stack([whole.infer(photo).logits for photo in photos])
    got = np.stack([model.infer(photo).logits for photo in photos])
    assert np.corrcoef(expected.ravel(), got.ravel())[0, 1] > 0.99
    assert not np.array_equal(expected, got)
    assert not model.on_accelerator


def test_features_are_trained_on_and_found_again(exported, splits, tmp_path):
    options = {"epochs": 3, "learning_rate": 0.005}
    results = []
    for run in range(2):
        model = CoralModel(exported)
        with model.features(tmp_path / "features") as features:
            results.append(adapt(model.suffix, splits, features=features, **options))
            images = len(splits.train) + len(splits.test)
            assert len(splits.train) * 0.8 < features.computed <= 2 * images if run == 0 else features.computed == 0
            assert features.found > 0
    first, second = results
    assert first.losses == second.losses
    assert first.loss_after < first.loss_before
    assert first.accuracy_after == second.accuracy_after


def test_cached_features_train_like_features_that_are_computed_each_time(exported, splits, tmp_path):
    cached, plain = CoralModel(exported), CoralModel(exported)
    with cached.features(tmp_path / "features") as features:
        adapt(cached.suffix, splits, features=features, epochs=2, augmentation=data.Augmentation(crop=False))
    for epoch in range(2):
        batches = data.train_batches(
            splits.train,
            batch_size=4,
            image_size=plain.suffix.image_size,
            seed=0,
            epoch=epoch,
            augmentation=data.Augmentation(crop=False),
        )
        per_epoch = data.steps_per_epoch(splits.train, 4)
        for step, (images, labels) in enumerate(batches):
            rate = (
                plain.suffix.default_learning_rate
                / 2
                * (1 + np.cos(np.pi * (epoch * per_epoch + step) / (2 * per_epoch)))
            )
            plain.suffix.train(np.stack([plain.featurize(image) for image in images]), labels, float(rate))
    np.testing.assert_allclose(cached.suffix.state(), plain.suffix.state(), rtol=1e-5, atol=1e-7)


def test_a_run_that_was_stopped_goes_on_with_the_same_numbers(exported, splits, tmp_path, monkeypatch):
    options = {"epochs": 2, "learning_rate": 0.02, "save_every": 3}
    whole = CoralModel(exported)
    with whole.features(tmp_path / "a") as features:
        adapt(whole.suffix, splits, features=features, **options)
    stopped = CoralModel(exported)
    train, steps = stopped.suffix.train, []

    def train_and_stop(*args):
        steps.append(1)
        if len(steps) == 8:
            raise KeyboardInterrupt
        return train(*args)

    monkeypatch.setattr(stopped.suffix, "train", train_and_stop)
    state_path = tmp_path / "mine.tinytl"
    with stopped.features(tmp_path / "b") as features, pytest.raises(KeyboardInterrupt):
        adapt(stopped.suffix, splits, features=features, state_path=state_path, **options)
    resumed = CoralModel(exported)
    with resumed.features(tmp_path / "b") as features:
        adapt(resumed.suffix, splits, features=features, state_path=state_path, resume=True, **options)
    np.testing.assert_array_equal(resumed.suffix.state(), whole.suffix.state())


def identity(model, folder):
    with model.features(folder) as features:
        return features.identity


def features_of(model, dataset, folder):
    """Features of all images, int8, and how many of them were computed."""
    with model.features(folder) as features:
        batches = data.eval_batches(dataset, batch_size=1, image_size=model.suffix.image_size, features=features)
        return np.concatenate([values for values, _ in batches]), features.computed


def test_features_of_another_prefix_are_not_taken(exported, own, splits, tmp_path):
    """The same place of another network, with the same folder of features."""
    first, folder, count = CoralModel(exported), tmp_path / "features", len(splits.test)
    expected, computed = features_of(first, splits.test, folder)
    assert computed == count
    path = own.with_name(CoralManifest.read(own).files["prefix"])
    prefix = Model.read(path)
    op = next(op for op in prefix.graphs[0].operators if op.name == "CONV_2D")
    bias = prefix.schema.buffers[prefix.schema.subgraphs[0].tensors[op.inputs[2]].buffer]
    bias.data = np.frombuffer((np.frombuffer(bytes(bias.data), np.int32) + 2000).tobytes(), np.uint8)
    path.write_bytes(prefix.to_bytes())
    change(own, sha256={**CoralManifest.read(own).sha256, "prefix": sha256(path)})
    other = CoralModel(own)
    got, computed = features_of(other, splits.test, folder)
    assert computed == count
    assert not np.array_equal(got, expected)
    again, computed = features_of(first, splits.test, folder)
    assert computed == 0
    np.testing.assert_array_equal(again, expected)


def test_features_of_another_program_are_not_mixed_with_our_own(exported, tmp_path):
    """An accelerator rounds in its own way."""
    command = [sys.executable, RUNNER, exported.with_name("prefix_int8.tflite")]
    model = CoralModel(exported, prefix_command=command)
    assert identity(model, tmp_path) != identity(CoralModel(exported), tmp_path)
    model.close()


def test_a_folder_of_features_has_the_limit_that_it_is_given(exported, splits, tmp_path):
    model, record = CoralModel(exported), 32 + 16**3 + 4
    with model.features(tmp_path, limit_bytes=48 + 2 * record) as features:
        evaluate_dataset(model.suffix, splits.test, features=features)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 48 + 2 * record


def test_without_a_folder_features_leave_nothing_behind(exported, splits, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    model = CoralModel(exported)
    with model.features() as features:
        evaluate_dataset(model.suffix, splits.test, features=features)
        assert features.computed == len(splits.test)
        assert any(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_a_random_crop_is_refused_in_words(exported, splits, tmp_path):
    model = CoralModel(exported)
    with model.features(tmp_path) as features, pytest.raises(InputError, match="a random crop makes another image"):
        adapt(model.suffix, splits, features=features, augmentation=data.Augmentation(crop=True))


def test_features_and_models_that_do_not_fit_are_refused(exported, splits, tmp_path):
    model, whole = CoralModel(exported), TrainableModel(exported.with_name("model.tflite"))
    with pytest.raises(
        InputError, match=r"expected features of shape \[16, 16, 16\] for this model, got none; open the"
    ):
        adapt(model.suffix, splits)
    with model.features(tmp_path) as features, pytest.raises(InputError, match="got one that takes images"):
        evaluate_dataset(whole, splits.test, features=features)
    with pytest.raises(InputError, match=r"expected features: int8 \[16, 16, 16\], got uint8 \[64, 64, 3\]"):
        model.suffix.infer(tiny_coral.photos(1)[0])
    with pytest.raises(InputError, match=r"expected features: int8 \[4, 16, 16, 16\], got uint8 \[4, 64, 64, 3\]"):
        model.suffix.train(tiny_coral.photos(4), np.zeros(4, np.int32), 0.1)
    with pytest.raises(InputError, match=r"expected image: uint8 \[64, 64, 3\], got float32 \[64, 64, 3\]"):
        model.infer(tiny_coral.photos(1)[0].astype(np.float32))


@pytest.mark.parametrize("part", ["prefix", "suffix"])
def test_a_part_of_another_export_is_refused(own, part):
    path = own.with_name(CoralManifest.read(own).files[part])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path.name} is not the file of .*; copy all files of one export"):
        CoralModel(own)
    path.unlink()
    with pytest.raises(InputError, match=f"expected {path.name} in the folder of .*; copy all files of the export"):
        CoralModel(own)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": 2}, "expected format version 1"),
        ({"split": 3}, "expected str as split"),
        ({"files": {"prefix": "prefix_int8.tflite"}}, "expected files of prefix, suffix, model and"),
        ({"features": {"shape": [16, 16, 16], "scale": 0.0, "zero_point": 0}}, "expected a scale above 0"),
        ({"features": {"shape": [16, 16, 16], "scale": 7.0, "zero_point": 4}}, "expected a prefix with Quantized"),
        ({"features": {"shape": [8, 8, 16]}}, "expected a prefix with Quantized"),
        ({"features": {"zero_point": 1}}, "expected a prefix with Quantized"),
        ({"image": {"zero_point": 1}}, "expected a prefix with Quantized"),
        ({"image": {"scale": 0.5}}, "expected a prefix with Quantized"),
        ({"features": {"scale": 0.5}}, "expected a prefix with Quantized"),
    ],
)
def test_a_list_of_files_that_cannot_be_is_refused(own, changes, words):
    change(own, **changes)
    with pytest.raises(InputError, match=words):
        CoralModel(own)


def test_names_of_files_lead_nowhere_else(own):
    values = json.loads(own.read_text())
    change(own, files={**values["files"], "prefix": "../prefix_int8.tflite"})
    with pytest.raises(InputError, match=r"expected names of files in its own folder in .*, got \['\.\./prefix"):
        CoralModel(own)


def test_a_damaged_list_of_files_is_refused_or_the_answers_are_the_same(own):
    values, opened = json.loads(own.read_text()), 0
    photo = tiny_coral.photos(1)[0]
    expected = CoralModel(own).infer(photo).logits
    texts = ["0", "-1", "1", "2", "0.083", "64", str(2**63), "1e400", "null", '"x"', '"model.tflite"', "[]", "{}"]
    for _, text in damaged(values, ["files", "sha256", "image", "features", "split"], texts):
        own.write_text(text)
        try:
            model = CoralModel(own)
        except InputError as error:
            require_line(error)
            continue
        opened += 1
        np.testing.assert_array_equal(model.infer(photo).logits, expected)
    assert 0 < opened < 60, opened


@pytest.mark.parametrize("swapped", list(itertools.permutations(["prefix", "suffix", "model", "int8"], 2)))
def test_parts_in_each_other_s_place_are_refused(own, swapped):
    values = json.loads(own.read_text())
    for field in ("files", "sha256"):
        one, other = (values[field][name] for name in swapped)
        change(own, **{field: {**values[field], swapped[0]: other, swapped[1]: one}})
    if {"prefix", "suffix"} & set(swapped):
        with pytest.raises(InputError) as error:
            CoralModel(own)
        require_line(error.value)
    else:
        CoralModel(own)  # which has no use for the others


def test_a_suffix_of_photos_of_another_size_is_refused(own):
    path = own.with_name("suffix_train.manifest.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"input": content["input"] | {"size": [64, 32]}}))
    with pytest.raises(InputError, match=r"expected a suffix for .* of images \(64, 64, 3\) in .*; export the model"):
        CoralModel(own)


def test_a_compiled_prefix_without_its_library_is_left_to_the_cpu(own, monkeypatch):
    own.with_name(COMPILED_NAME).write_bytes(b"whatever a compiler makes")
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    assert not CoralModel(own).on_accelerator
    monkeypatch.setattr("ctypes.util.find_library", lambda name: f"lib{name}.so.1")
    with pytest.raises(InputError, match="cannot load .*prefix_int8_edgetpu.tflite libedgetpu.so.1: .*the CPU is used"):
        CoralModel(own)


def test_the_prefix_in_a_process_of_its_own_computes_the_same(exported, splits, tmp_path):
    command = [sys.executable, RUNNER, exported.with_name("prefix_int8.tflite")]
    model, other = CoralModel(exported), CoralModel(exported, prefix_command=command)
    for photo in tiny_coral.photos(3):
        np.testing.assert_array_equal(model.featurize(photo), other.featurize(photo))
    with other.features(tmp_path) as features:
        before = evaluate_dataset(other.suffix, splits.test, features=features)
    other.close()
    with model.features(tmp_path) as features:
        assert evaluate_dataset(model.suffix, splits.test, features=features) == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ["no-such-program"],
            "expected a program that runs the prefix, got: No such file or directory: no-such-program",
        ),
        ([sys.executable, "-c", "print('hello')"], "did not describe its input and output: no message"),
        ([sys.executable, RUNNER, "no-such-file"], "cannot load no-such-file"),
        (
            [sys.executable, "-c", "import sys; print(sys.argv[1])"],
            "ended: no message; run it on its own to see why",
        ),
    ],
)
def test_a_program_that_does_not_do_it_is_refused(exported, command, words):
    if "argv" in command[-1]:
        parts = json.loads(exported.read_text())
        command = [*command, json.dumps({"input": parts["image"], "output": parts["features"]})]
    with pytest.raises(InputError, match=words):
        CoralModel(exported, prefix_command=command).featurize(tiny_coral.photos(1)[0])


@pytest.mark.parametrize("name", ["input", "output"])
def test_what_a_program_says_of_itself_is_checked(exported, tmp_path, name):
    """The program prints the text of a file; no image reaches it."""
    parts = json.loads(exported.read_text())
    right = {"input": parts["image"], "output": parts["features"]}
    program = tmp_path / "program.py"
    program.write_text("import sys; print(open(sys.argv[1]).read(), flush=True); sys.stdin.read()")
    texts = ["0", "-1", "1e400", "NaN", str(2**63), "null", "[]", '"x"', "[" * 100_000]
    damages = list(damaged(right, [name], texts))
    for _, text in damages[::7]:
        (tmp_path / "text").write_text(text)
        with pytest.raises(InputError) as error:
            CoralModel(exported, prefix_command=[sys.executable, "-S", program, tmp_path / "text"])
        require_line(error.value)
    assert len(damages) > 50


@pytest.mark.parametrize("command", [[], [""], ["a\0b"], ["\n"]], ids=repr)
def test_commands_that_are_none_are_refused(exported, command):
    with pytest.raises(InputError, match="expected a program that runs the prefix, got") as error:
        CoralModel(exported, prefix_command=command)
    require_line(error.value)


def test_a_closed_program_is_told(exported):
    model = CoralModel(exported, prefix_command=[sys.executable, RUNNER, exported.with_name("prefix_int8.tflite")])
    model.close()
    for _ in range(2):
        with pytest.raises(InputError, match="but it ended: no message"):
            model.featurize(tiny_coral.photos(1)[0])


def test_the_runner_of_the_prefix_is_written_for_python_3_7():
    source = RUNNER.read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 7))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= {"ctypes", "importlib", "json", "os", "sys", "numpy"}
    keywords = {keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords}
    assert "strict" not in keywords  # of zip, in 3.10


def test_the_prefix_runs_in_tensorflow_lite_micro(exported):
    """The entrance of the next generation: Coral NPU's path is that of LiteRT's microcontroller kernels."""
    micro = pytest.importorskip("tflite_micro").runtime
    content = exported.with_name("prefix_int8.tflite").read_bytes()
    interpreter, model = micro.Interpreter.from_bytes(content, arena_size=500_000), CoralModel(exported)
    for photo in tiny_coral.photos(4):
        interpreter.set_input((photo ^ 128).view(np.int8)[np.newaxis], 0)
        interpreter.invoke()
        got, expected = interpreter.get_output(0)[0].astype(int), model.featurize(photo).astype(int)
        # Kernels of other runtimes round in another way, by a step in some layers.
        assert np.abs(got - expected).max() <= 6
        assert snr_db(expected - model.manifest.features.zero_point, got - model.manifest.features.zero_point) > 25
