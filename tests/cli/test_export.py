"""`tinytl export`, and `tinytl evaluate` of what it wrote and of the run that it came from."""

import dataclasses
import io
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from tests import tiny_network
from tinytl_tf import backbones, configs, data
from tinytl_tf.cli import android, runner
from tinytl_tf.device import TrainableModel
from tinytl_tf.device import evaluate as evaluate_device
from tinytl_tf.export import parity
from tinytl_tf.tflite.manifest import Manifest
from tinytl_tf.training import Experiment, RunFolder, evaluate
from tinytl_tf.training.run_folder import Run

# Keras 3 saves TensorFlow's variables through numpy 1's interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

CONFIG = pathlib.Path(configs.__path__[0]) / "default.py"
RUN_SCHEME = "tinytl-b"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a packed data set, `tints.npz`, and a finished run of the tiny network, `run`."""
    folder = tmp_path_factory.mktemp("place")
    images, labels = tiny_network.photos(1, 40)
    files = [jpeg(image) for image in images[0]]
    np.savez(
        folder / "tints.npz",
        jpeg=np.frombuffer(b"".join(files), np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
        label=labels[0],
        classes=np.array(tiny_network.LABELS),
    )
    run = RunFolder(folder / "run")
    config = default_config()
    with config.unlocked():
        config.scheme, config.backbone.name, config.backbone.resolution = RUN_SCHEME, "tiny_network", 64
        config.backbone.weights, config.data.name = "", str(folder / "tints.npz")
    run.start(Run.of(config, data.load(folder / "tints.npz")))
    run.save("last", tiny_network.build(RUN_SCHEME))
    return folder


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    """Runs in that folder, with the tiny network among the backbones."""
    monkeypatch.chdir(place)
    monkeypatch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)


def default_config() -> ConfigDict:
    from tinytl_tf.configs import default

    return default.get_config()


@pytest.mark.thorough
def test_classes_that_are_added_on_the_device_come_home(tmp_path):
    argv = ["--workdir=run", f"--output={tmp_path}/spare.tflite", "--spare_classes=1", "--batch_size=4"]
    assert runner.run_command("export", argv) == 0
    content = dict(np.load("tints.npz"))
    np.savez(tmp_path / "new.npz", **content | {"classes": np.array(["gray", "red", "violet", "blue"])})
    model, state = f"--model={tmp_path}/spare.tflite", f"--state={tmp_path}/mine.tinytl"
    adapt = [
        model,
        f"--data={tmp_path}/new.npz",
        f"--state_out={tmp_path}/mine.tinytl",
        "--epochs=1",
        "--learning_rate=0.01",
    ]
    assert runner.run_command("adapt", adapt) == 2
    assert runner.run_command("adapt", [*adapt, "--new_classes", "--classes_by_position"]) == 2
    assert runner.run_command("adapt", [*adapt, "--new_classes", f"--json={tmp_path}/adapt.json"]) == 0
    adapted = json.loads((tmp_path / "adapt.json").read_text())
    assert adapted["classes"] == [*tiny_network.LABELS, "violet"]
    home = ["--workdir=run", state, f"--state_model={tmp_path}/spare.tflite", f"--output={tmp_path}/home.tflite"]
    assert runner.run_command("export", home) == 0
    assert Manifest.read(tmp_path / "home.tflite").labels == (*tiny_network.LABELS, "violet")
    for number, file in enumerate(([model, state], [f"--model={tmp_path}/home.tflite"])):
        argv = [*file, f"--data={tmp_path}/new.npz", f"--json={tmp_path}/{number}.json"]
        assert runner.run_command("evaluate", argv) == 0
        result = json.loads((tmp_path / f"{number}.json").read_text())
        assert result["loss"] == pytest.approx(adapted["loss_after"], rel=1e-3)


def jpeg(image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def as_json(manifest):
    return json.loads(manifest.to_json())


@pytest.fixture(scope="module")
def from_run(place):
    """The run exported with another scheme: lite residuals are added to a network that was trained without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setitem(backbones.ARCHITECTURES, "tiny_network", tiny_network.ARCHITECTURE)
        argv = ["--workdir=run", "--scheme=tinytl-lb", "--batch_size=2", "--output=run.tflite", "--json=run.json"]
        assert runner.run_command("export", argv) == 0
    shutil.copy(place / "run.tflite", place / "half.tflite")
    manifest = Manifest.read(place / "run.tflite")
    changed = dataclasses.replace(manifest, input=dataclasses.replace(manifest.input, central_fraction=0.5))
    changed.write(place / "half.tflite")
    return place / "run.tflite"


def test_export_from_a_config(place, capsys):
    argv = [f"--config={CONFIG}", "--config.backbone.name=tiny_network", "--config.backbone.weights="]
    argv += ["--config.backbone.resolution=64", "--config.data.name=tints.npz", "--scheme=last"]
    argv += ["--optimizer=adam", "--batch_size=3", "--output=start.tflite", "--json=start.json"]
    argv += ["--config.data.central_fraction=0.5"]
    assert runner.run_command("export", argv) == 0
    output = capsys.readouterr().out
    splits = data.load("tints.npz")
    assert output.startswith(f"{splits.describe()}\nscheme last: 132 trained parameters\n")
    assert "\nwrote start.tflite: 0.1 MB, " in output
    assert "\nparity with TensorFlow over 4 steps: losses within " in output
    manifest = Manifest.read("start.tflite")
    assert json.loads(pathlib.Path("start.json").read_text()) == {"output": "start.tflite", **as_json(manifest)}
    facts = {"scheme": "last", "optimizer": "adam", "backbone": "tiny_network", "labels": tiny_network.LABELS}
    assert {key: getattr(manifest, key) for key in facts} == facts
    device = TrainableModel("start.tflite")
    assert device.class_names == tiny_network.LABELS
    assert (device.batch_size, device.image_size, device.state_size) == (3, (64, 64), 132)
    assert device.central_fraction == manifest.input.central_fraction == 0.5


def test_export_from_a_run_computes_what_the_run_does(place, from_run):
    model = RunFolder("run").load("last")
    manifest = Manifest.read(from_run)
    assert manifest.scheme == "tinytl-lb"
    device = TrainableModel(from_run)
    dataset = data.load("tints.npz").test
    logits = model.predict(np.stack([dataset.image(i) for i in range(4)]).astype(np.float32), verbose=0)
    for index in range(4):
        np.testing.assert_allclose(device.infer(dataset.image(index)).logits, logits[index], rtol=1e-4, atol=1e-4)


def test_adopting_lite_residuals_changes_no_logit(place):
    config = RunFolder("run").read_run().config
    trained = RunFolder("run").load("last")
    config.scheme = "tinytl-lb"
    adopted, resolution = Experiment(config).adopt(trained)
    images = tiny_network.photos(1, 4)[0][0].astype(np.float32)
    np.testing.assert_array_equal(adopted.predict(images, verbose=0), trained.predict(images, verbose=0))
    assert any("_lite_residual/" in variable.path for variable in resolution.variables)
    assert [v.path for v in adopted.trainable_variables] == [v.path for v in resolution.variables]
    config.scheme = "last"
    assert Experiment(config).adopt(trained)[0] is trained
    assert [v.path for v in trained.trainable_variables] == ["classifier/kernel", "classifier/bias"]


def test_a_failed_check_has_its_own_exit_status(place, monkeypatch, capsys):
    monkeypatch.setattr(parity, "LOSS_TOLERANCE", -1)
    argv = ["--workdir=run", "--scheme=last", "--batch_size=1", "--output=m.tflite"]
    assert runner.run_command("export", argv) == 3
    error = capsys.readouterr().err.splitlines()
    assert error[0] == "export 1/3: converting the signatures and planning their memory"
    assert error[1].startswith("export 2/3: training 4 steps in TensorFlow and in LiteRT")
    assert error[-1].startswith("tinytl export: error: parity check failed (xnnpack): after 4 steps the losses differ")
    assert not list(place.glob("m.*"))


@pytest.mark.thorough
def test_a_state_is_baked_into_a_new_file(place, from_run, capsys):
    device = TrainableModel(from_run)
    for batch in zip(*tiny_network.photos(4, 2), strict=True):
        device.train(*batch, 0.05)
    device.save("learnt.tinytl")
    argv = ["--workdir=run", "--scheme=tinytl-lb", "--batch_size=2", "--output=learnt.tflite"]
    argv += ["--state=learnt.tinytl", f"--state_model={from_run}"]
    assert runner.run_command("export", argv) == 0
    assert "\nthe trained variables are those of learnt.tinytl\n" in capsys.readouterr().out
    learnt = TrainableModel("learnt.tflite")
    np.testing.assert_array_equal(learnt.state(), device.state())
    image = data.load("tints.npz").test.image(0)
    np.testing.assert_allclose(learnt.infer(image).logits, device.infer(image).logits, rtol=1e-4, atol=1e-5)


def test_a_state_that_does_not_fit_the_run_is_refused(place, from_run, capsys):
    TrainableModel(from_run).save("fits.tinytl")
    (place / "odd.tflite").write_bytes(from_run.read_bytes())
    dataclasses.replace(Manifest.read(from_run), labels=("blue", "gray", "red", "green")).write("odd.tflite")
    state = ["--state=fits.tinytl", "--output=m.tflite"]
    cases = {
        "of the network in odd.tflite, got blue, gray, red, green; ": ["--state_model=odd.tflite"],
        "got none; build it with its branches": [f"--state_model={from_run}"],
        "--state_model=FILE.tflite together, got one of them": [],
    }
    for message, argv in cases.items():
        assert runner.run_command("export", ["--workdir=run", *state, *argv]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not list(place.glob("m.*"))


def test_evaluate_a_file_equals_evaluation_in_process(place, from_run, capsys):
    argv = [f"--model={from_run}", "--data=tints.npz", "--json=file.json"]
    assert runner.run_command("evaluate", argv) == 0
    result = json.loads(pathlib.Path("file.json").read_text())
    dataset = data.load("tints.npz").test
    device = evaluate_device(
        TrainableModel(from_run, num_threads=2), data.eval_batches(dataset, batch_size=32, image_size=(64, 64))
    )
    assert result == device.to_json(tiny_network.LABELS)
    keras_result = evaluate(RunFolder("run").load("last"), dataset)
    assert (result["images"], result["accuracy"]) == (len(dataset), keras_result.accuracy)
    assert device.classes == keras_result.classes
    assert result["accuracy"] > 0.5
    assert result["loss"] == pytest.approx(keras_result.loss, rel=1e-4)
    words = f"accuracy on {len(dataset)} test images: {device.summary()}, loss {result['loss']:.4f}\n"
    rows = f"{device.describe(tiny_network.LABELS)}\n"
    assert capsys.readouterr().out == f"test: {dataset.describe()}\n{words}{rows}"


def test_evaluate_a_file_with_a_state(place, from_run):
    device = TrainableModel(from_run)
    images, labels = tiny_network.photos(1, 2)
    device.train(images[0], labels[0], 0.05)
    device.save("mine.tinytl")
    results = []
    for state in ([], ["--state=mine.tinytl"]):
        argv = [f"--model={from_run}", "--data=tints.npz", *state, "--noxnnpack", "--json=state.json", "--overwrite"]
        assert runner.run_command("evaluate", argv) == 0
        results.append(json.loads(pathlib.Path("state.json").read_text())["loss"])
    assert results[0] != results[1]


def test_evaluate_a_run(place):
    assert runner.run_command("evaluate", ["--workdir=run", "--json=all.json"]) == 0
    result = json.loads(pathlib.Path("all.json").read_text())
    dataset = data.load("tints.npz").test
    assert result == evaluate(RunFolder("run").load("last"), dataset).to_json(tiny_network.LABELS)
    for name in ([], ["--data=tints.npz"]):
        argv = ["--workdir=run", "--test_images=4", *name, "--json=four.json", "--overwrite"]
        assert runner.run_command("evaluate", argv) == 0
        assert json.loads(pathlib.Path("four.json").read_text())["images"] == 4


@pytest.mark.parametrize(
    "source",
    [
        "--model=half.tflite",
        pytest.param("--model=run.tflite", marks=pytest.mark.thorough),
        pytest.param("--workdir=run", marks=pytest.mark.thorough),
    ],
)
def test_the_part_of_an_image_that_is_evaluated(from_run, place, source):
    losses = {}
    for fraction in (None, 0.5, 0.875):
        given = [] if fraction is None else [f"--central_fraction={fraction}"]
        argv = [source, "--data=tints.npz", *given, "--json=part.json", "--overwrite"]
        assert runner.run_command("evaluate", argv) == 0
        losses[fraction] = json.loads(pathlib.Path("part.json").read_text())["loss"]
    assert losses[0.5] != losses[0.875]
    assert losses[None] == losses[0.5 if "half" in source else 0.875]
    dataset = data.load("tints.npz").test
    keras_result = evaluate(RunFolder("run").load("last"), dataset, central_fraction=0.5)
    assert losses[0.5] == pytest.approx(keras_result.loss, rel=1e-4)


HELP = "(`tinytl export --help` lists the flags)"
BAD_EXPORTS = {
    "neither": (["--output=m.tflite"], "expected either --workdir=FOLDER of a run or --config=FILE for"),
    "both": (["--workdir=run", f"--config={CONFIG}", "--output=m.tflite"], "expected either --workdir=FOLDER of a"),
    "checkpoint of no run": (
        [f"--config={CONFIG}", "--checkpoint=best", "--output=m.tflite"],
        "--checkpoint does nothing with --config, which names no run; leave it out\n",
    ),
    "no output": (["--workdir=run"], f"flag --output=None: Flag --output must have a value other than None. {HELP}"),
    "suffix": (["--workdir=run", "--output=m.bin"], "an exported file must end in .tflite, got m.bin\n"),
    "suffix, before the run is loaded": (
        ["--workdir=damaged", "--output=m.bin"],
        "an exported file must end in .tflite, got m.bin\n",
    ),
    "spare classes and smoothing, before the run is loaded": (
        ["--workdir=damaged", "--output=m.tflite", "--spare_classes=1", "--label_smoothing=0.1"],
        "expected spare_classes without label_smoothing, got 0.1: it would spread a share over outputs that no class ",
    ),
    "no kernel for int8": (
        ["--workdir=run", "--scheme=full", "--frozen_weights=int8", "--output=m.tflite"],
        "expected frozen kernels that are large enough for int8, got none: all are trained or small; ",
    ),
    "other data for int8": (
        ["--workdir=changed", "--frozen_weights=int8", "--output=m.tflite"],
        "cannot judge int8: the train images are not those of the run: content, labels or order has changed; ",
    ),
    "exists": (
        ["--workdir=run", "--output=old.tflite"],
        "old.tflite exists already; choose another path, or give --overwrite to replace it\n",
    ),
    "not a folder": (["--workdir=run", "--output=old.tflite/m.tflite"], "cannot write old.tflite/m.tflite: "),
    "no run": (
        ["--workdir=none", "--output=m.tflite"],
        "none holds no run (no run.json); give the folder that `tinytl train` wrote\n",
    ),
    "no checkpoint": (
        ["--workdir=run", "--checkpoint=best", "--output=m.tflite"],
        "run/best.keras does not exist; the run has not finished an epoch yet\n",
    ),
    "damaged checkpoint": (["--workdir=damaged", "--output=m.tflite"], "damaged/last.keras cannot be read ("),
    "damaged run": (
        ["--workdir=broken", "--output=m.tflite"],
        "broken/run.json is damaged; train again without resuming\n",
    ),
    "optimizer": (
        ["--workdir=run", "--output=m.tflite", "--optimizer=lion"],
        f"flag --optimizer=lion: value should be one of <sgd|momentum|adam> {HELP}\n",
    ),
    "scheme": (["--workdir=run", "--output=m.tflite", "--scheme=all"], "flag --scheme=all: value should be one of <"),
    "batch": (["--workdir=run", "--output=m.tflite", "--batch_size=0"], "flag --batch_size=0: 0 is not a positive"),
    "smoothing": (
        ["--workdir=run", "--output=m.tflite", "--label_smoothing=1"],
        "label_smoothing must be in [0, 1), got 1.0\n",
    ),
    "config": ([f"--config={CONFIG}", "--config.shceme=last", "--output=m.tflite"], "the config has no such key: "),
    "data": (
        [f"--config={CONFIG}", "--config.data.name=none", "--output=m.tflite"],
        "image folder none does not exist; expected FOLDER/",
    ),
}


@pytest.mark.thorough
def test_classes_get_other_names(tmp_path):
    old = list(tiny_network.LABELS)
    argv = [
        "--workdir=run",
        "--scheme=last",
        "--batch_size=1",
        f"--output={tmp_path}/m.tflite",
        f"--rename={old[1]}=two",
    ]
    assert runner.run_command("export", argv) == 0
    assert Manifest.read(tmp_path / "m.tflite").labels == (old[0], "two", *old[2:])
    assert TrainableModel(tmp_path / "m.tflite").class_names == (old[0], "two", *old[2:])


@pytest.mark.parametrize("pair", ["none=two", "{0}", "{0}=a,{0}=b", "{0}={1}"])
def test_names_that_cannot_be_given_are_refused(tmp_path, capsys, pair):
    argv = ["--workdir=run", "--scheme=last", f"--output={tmp_path}/m.tflite"]
    assert runner.run_command("export", [*argv, f"--rename={pair.format(*tiny_network.LABELS)}"]) == 2
    assert capsys.readouterr().err.startswith("tinytl export: error: ")
    assert not (tmp_path / "m.tflite").exists()


@pytest.fixture
def mistakes(place):
    """An existing output, a run with a cut checkpoint, one with a cut run.json, one whose data have changed."""
    for name in ("damaged", "broken", "changed"):
        (place / name).mkdir(exist_ok=True)
    (place / "damaged/run.json").write_bytes((place / "run/run.json").read_bytes())
    (place / "damaged/last.keras").write_bytes((place / "run/last.keras").read_bytes()[:1000])
    (place / "broken/run.json").write_bytes((place / "run/run.json").read_bytes()[:100])
    run = json.loads((place / "run/run.json").read_text())
    run["data"]["train"] = "0"
    (place / "changed/run.json").write_text(json.dumps(run))
    (place / "old.tflite").write_text("mine")


@pytest.mark.parametrize(("argv", "message"), BAD_EXPORTS.values(), ids=BAD_EXPORTS)
def test_bad_exports_are_told_in_one_line(mistakes, place, capsys, argv, message):
    assert runner.run_command("export", argv) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tinytl export: error: {message}")
    assert error.count("\n") == 1
    assert not list(place.glob("m.*"))
    assert (place / "old.tflite").read_text() == "mine"


BAD_EVALUATIONS = {
    "neither": ([], "expected either --workdir=FOLDER of a run or --model=FILE.tflite\n"),
    "both": (["--workdir=run", "--model=run.tflite"], "expected either --workdir=FOLDER of a run or --model=FILE"),
    "no data": (["--model=run.tflite"], "expected --data=NAME with --model: a file does not know its data set\n"),
    "no file": (
        ["--model=none.tflite", "--data=tints.npz"],
        "expected a .tflite file at none.tflite, got: No such file or directory; check the path\n",
    ),
    "no state": (["--model=run.tflite", "--data=tints.npz", "--state=none"], "expected a state file at none, got: No"),
    "state of a run": (
        ["--workdir=run", "--state=mine.tinytl"],
        "--state does nothing with --workdir, ",
    ),
    "classes": (
        ["--model=run.tflite", "--data=digits"],
        "digits has classes that the model does not have: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; it has gray, red, green, ",
    ),
    "threads of a run": (["--workdir=run", "--threads=1"], "--threads does nothing with --workdir, whose checkpoints"),
    "delegate of a run": (["--workdir=run", "--noxnnpack"], "--xnnpack does nothing with --workdir, whose checkpoints"),
    "api of a run": (["--workdir=run", "--api=interpreter"], "--api does nothing with --workdir, whose checkpoints"),
    "checkpoint of a file": (
        ["--model=run.tflite", "--data=tints.npz", "--checkpoint=last"],
        "--checkpoint does nothing with --model, which has no checkpoints; leave it out",
    ),
    "classes of a run": (["--workdir=run", "--data=digits"], "digits has classes that the model does not have: 0, 1, "),
}


@pytest.mark.parametrize(("argv", "message"), BAD_EVALUATIONS.values(), ids=BAD_EVALUATIONS)
def test_bad_evaluations_are_told_in_one_line(from_run, capsys, argv, message):
    assert runner.run_command("evaluate", argv) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tinytl evaluate: error: {message}")
    assert error.count("\n") == 1


def test_evaluating_a_file_needs_no_tensorflow(place, from_run):
    code = (
        "import sys; from tinytl_tf.cli import runner; "
        f"assert runner.run_command('evaluate', ['--model={from_run}', '--data=tints.npz', '--test_images=4']) == 0; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=place)


@pytest.mark.thorough
def test_export_for_android(tmp_path, capsys):
    assets = tmp_path / "app" / "src" / "main" / "assets"
    assets.mkdir(parents=True)
    argv = ["--workdir=run", "--target=android", f"--output={assets}/model.tflite", "--batch_size=4"]
    assert runner.run_command("export", [*argv, "--optimizer=adam", "--profile=min-memory"]) == 0
    assert sorted(path.name for path in assets.iterdir()) == ["labels.txt", "model.manifest.json", "model.tflite"]
    assert (assets / "labels.txt").read_text().splitlines() == list(tiny_network.LABELS)
    manifest = Manifest.read(assets / "model.tflite")
    assert {entry.slot for entry in manifest.state} >= {"step", ""}  # a run that was stopped goes on
    assert TrainableModel(assets / "model.tflite").class_names == tiny_network.LABELS
    assert runner.run_command("export", argv) == 2
    assert "exists already" in capsys.readouterr().err
    (assets / "model.tflite").unlink()
    (assets / "model.manifest.json").unlink()
    assert runner.run_command("export", argv) == 2
    assert "labels.txt" in capsys.readouterr().err
    assert (assets / "labels.txt").read_text().splitlines() == list(tiny_network.LABELS)


@pytest.mark.slow
def test_a_step_that_is_planned_to_take_more_than_it_may_is_refused(tmp_path, capsys, monkeypatch):
    assets = tmp_path / "assets"
    assets.mkdir()
    for_file = ["--workdir=run", f"--output={tmp_path}/model.tflite", "--batch_size=4"]
    for_android = ["--workdir=run", "--target=android", f"--output={assets}/model.tflite", "--batch_size=4"]
    for argv in (for_file, for_android):
        assert runner.run_command("export", [*argv, "--max_planned_mb=0.01"]) == 2
        error = capsys.readouterr().err
        assert "at most 0.01 MB" in error
        assert "fewer pixels" in error
    monkeypatch.setattr(android, "MAX_PLANNED_MB", 0.01)
    assert runner.run_command("export", for_android) == 2
    assert "at most 0.01 MB" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["assets"]
    assert runner.run_command("export", [*for_android, "--max_planned_mb=100"]) == 0
    for bad in ("0", "-1", "nan", "inf"):
        assert runner.run_command("export", [*for_file, "--overwrite", f"--max_planned_mb={bad}"]) == 2
        assert "above 0, got" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--output=model.tflite", "in a folder named assets"),
        ("--output=assets/model.bin", "noCompress"),
        ("--nosave_optimizer", "cannot resume"),
        ("--profile=fast", "balanced"),
    ],
)
def test_what_does_not_fit_a_phone_is_refused(flag, message, capsys):
    argv = ["--workdir=run", "--target=android", "--output=assets/model.tflite", flag]
    assert runner.run_command("export", argv) == 2
    assert message in capsys.readouterr().err
    assert not pathlib.Path("assets").exists()
    assert runner.run_command("export", [*argv[2:], "--workdir=none"]) == 2  # without --target it is another error
    assert message not in capsys.readouterr().err
