"""`tinytl plan`, and that `train` and `export` take what it wrote."""

import json
import pathlib
import shlex

import pytest

from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.cli import runner
from tinytl_tf.memory import measure
from tinytl_tf.planning import growth_account
from tinytl_tf.tflite.manifest import Manifest

# Keras 3 saves TensorFlow's variables through numpy 1's interface.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the data and a file called plan.py."""
    folder = tmp_path_factory.mktemp("plan")
    tiny.write_shapes(folder / "shapes.npz")
    (folder / "plan.py").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def planned(place):
    """The folder with what the command wrote for a generous budget."""
    budget = ["--budget_mb=1000", "--budget_inferences=1000"]
    argv = [*flags(place), *budget, "--output=plan.py", "--json=plan.json", "--overwrite"]
    assert runner.run_command("plan", argv) == 0
    return place


def flags(folder):
    return [*tiny.argv(folder / "shapes.npz", training={"epochs": 1}), "--frozen_weights=float32", "--batch_size=2"]


@pytest.mark.thorough
def test_the_result_tells_promise_and_measurement(planned):
    result = json.loads((planned / "plan.json").read_text())
    assert result["target"] == "file"
    assert result["account"] == "growth of the process, without a delegate, 2 threads"
    assert (result["scheme"], result["resolution"], result["budget_mb"]) == ("sparse-update-l", tiny.SIDE, 1000)
    assert result["biases"] == ["stem", "block_0", "block_1", "head"]
    assert result["kernels"] == result["biases"]
    assert result["lite_residuals"] == ["block_1"]
    assert result["planned_mb"] == pytest.approx(sum(result["planned_parts_mb"].values()))
    parts = result["planned_parts_mb"]
    # Runtime and work are the most that was seen; a file this small, and another page cache, need less of both.
    least = result["planned_mb"] - parts["runtime"] - parts["work"]
    assert least < result["measured_mb"] < result["planned_mb"] + 0.5
    rows = {(row["kind"], row["place"]): row for row in result["rows"]}
    assert list(rows) == [
        *(("biases", place) for place in ("head", "block_1", "block_0", "stem")),
        ("lite_residuals", "block_1"),
        *(("kernels", place) for place in ("head", "block_1", "block_0", "stem")),
    ]
    assert all(row["trained"] and row["cost_mb"] >= 0 <= row["cost_inferences"] for row in rows.values())
    assert 1 < result["planned_inferences"] < 3
    assert 1 < result["measured_inferences"] < result["budget_inferences"] == 1000
    told = f"a step takes as long as {result['measured_inferences']:.2f} inferences of each of its images, of a budget"
    assert told in (planned / "plan.py").read_text()


@pytest.mark.thorough
def test_the_config_trains_and_exports_by_the_commands_that_were_told(planned, capsys):
    result = json.loads((planned / "plan.json").read_text())
    for command in result["commands"]:
        tinytl, name, *argv = shlex.split(command)
        assert tinytl == "tinytl"
        assert runner.run_command(name, argv) == 0
    assert f"\nscheme sparse-update-l: {result['trained_parameters']:,} trained parameters" in capsys.readouterr().out
    manifest = Manifest.read("plan.tflite")
    assert (manifest.scheme, manifest.profile, manifest.frozen_weights) == (
        "sparse-update-l",
        "min-memory",
        "float32",
    )
    # What was measured is the file that is exported, but for the values in it.
    growth = measure("plan.tflite", steps=1, xnnpack=False).growth_bytes
    assert growth / 1e6 == pytest.approx(result["measured_mb"], abs=0.5)


@pytest.mark.thorough
def test_a_network_is_chosen_and_its_config_trains(place, capsys):
    argv = [*flags(place), "--budget_mb=1000", "--networks=tiny,tiny@2", "--output=chosen.py", "--json=chosen.json"]
    assert runner.run_command("plan", argv) == 0
    result = json.loads((place / "chosen.json").read_text())
    best = min(result["networks"], key=lambda row: row["loss"])
    assert [row["network"] for row in result["networks"]] == ["tiny", "tiny@2"]
    assert [row for row in result["networks"] if row["chosen"]] == [best]
    assert result["misfits"] == []
    printed = capsys.readouterr().out
    assert f"{best['network']:24s}   40 px  sparse-update-l  loss {best['loss']:.4f}  chosen\n" in printed
    _, name, *command = shlex.split(result["commands"][0])
    assert runner.run_command(name, command) == 0
    config = json.loads((place / "chosen_run" / "run.json").read_text())["config"]
    assert (config["backbone"]["name"], config["backbone"]["width"]) == ("tiny", 2 if "@" in best["network"] else 1)


BAD = {
    "no config": (["--budget_mb=16", "--output=new.py"], "expected --config=NAME, or a Python file with get_config()"),
    "no budget": (
        ["--output=new.py", "CONFIG"],
        "expected --budget_mb=MB, the largest growth of the process; 16 is common",
    ),
    "budget": (["--budget_mb=0", "--output=new.py", "CONFIG"], "expected a --budget_mb above 0, got 0; 16 is common"),
    "time": (
        ["--budget_mb=16", "--budget_inferences=1", "--output=new.py", "CONFIG"],
        "expected --budget_inferences above 1, got 1: a training step infers each image, too; 3 is common\n",
    ),
    "endless": (["--budget_mb=inf", "--output=new.py", "CONFIG"], "expected a --budget_mb above 0, got inf; 16 is"),
    "suffix": (
        ["--budget_mb=16", "--output=new.json", "CONFIG"],
        "expected --output=FILE.py, got 'new.json'; a config is a Python file\n",
    ),
    "exists": (
        ["--budget_mb=16", "--output=plan.py", "CONFIG"],
        "plan.py exists already; choose another path, or give --overwrite to replace it\n",
    ),
    "resolutions": (
        ["--budget_mb=16", "--output=new.py", "--resolutions=96,big", "CONFIG"],
        "expected --resolutions=96,128,... in pixels, got '96,big'\n",
    ),
    "resolution": (
        ["--budget_mb=16", "--output=new.py", "--resolutions=8", "CONFIG"],
        "tiny needs images of 33 pixels or more to run with lite residual branches, got resolution 8\n",
    ),
    "huge resolution": (
        ["--budget_mb=16", "--output=new.py", "--resolutions=96,2147483648", "CONFIG"],
        "expected --resolutions of at most 8192 pixels, got one of more\n",
    ),
    "resolution of more digits than Python takes": (
        ["--budget_mb=16", "--output=new.py", f"--resolutions={'9' * 5000}", "CONFIG"],
        "expected --resolutions of at most 8192 pixels, got one of more\n",
    ),
    "networks": (
        ["--budget_mb=16", "--output=new.py", "--networks=tiny,tiny@big", "CONFIG"],
        "expected the name of a network, got 'tiny@big'; write ",
    ),
    "unknown network": (
        ["--budget_mb=16", "--output=new.py", "--networks=tiny,nothing", "CONFIG"],
        "unknown backbone 'nothing'; choose one of ",
    ),
    "another target's": (
        ["--budget_mb=16", "--arena_kb=320", "--output=new.py", "CONFIG"],
        "--arena_kb does nothing without --target=micro; leave it out\n",
    ),
    "unknown target": (
        ["--target=coral", "--output=new.py"],
        "flag --target=coral: value should be one of <file|micro>",
    ),
    "places": (
        ["--budget_mb=16", "--output=new.py", "CONFIG", "--config.biases=('block_9',)"],
        "the network has no biases at 'block_9'; its places are stem, block_0, block_1, head\n",
    ),
}


@pytest.mark.parametrize(("argv", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_told_in_one_line(place, capsys, argv, message):
    before = (place / "plan.py").read_bytes()
    argv = [flag for word in argv for flag in (flags(place) if word == "CONFIG" else [word])]
    assert runner.run_command("plan", argv) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tinytl plan: error: {message}")
    assert error.count("\n") == 1
    assert not list(place.glob("new.*"))
    assert (place / "plan.py").read_bytes() == before


def test_what_fits_nowhere_is_told_with_the_number(place, capsys, monkeypatch):
    monkeypatch.setattr(growth_account, "_measure", lambda content: 8_500_000)
    assert runner.run_command("plan", [*flags(place), "--budget_mb=1", "--output=new.py"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        "tinytl plan: error: nothing fits into 1 MB: the smallest plan, last at 40 px, biases at 0, "
    )
    assert "or 8.50 MB (measured), 7.50 MB too much; raise the budget or try smaller resolutions\n" in error
    assert not pathlib.Path("new.py").exists()
