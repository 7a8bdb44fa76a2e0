import itertools
import json
import subprocess
import sys

import pytest
from PIL import Image

from tests import tiny_models, tiny_tflite
from tinytl_tf.cli import runner
from tinytl_tf.memory import paper_account, planned_peak
from tinytl_tf.memory.groups import GROUPS
from tinytl_tf.networks.schemes import SCHEMES
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import THREADS


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tflite").write_bytes(tiny_models.build())
    return tmp_path


def test_planned(place, capsys):
    assert runner.run_command("memory", ["--model=model.tflite", "--threads=2", "--json=result.json"]) == 0
    result = json.loads((place / "result.json").read_text())
    plan = planned_peak(Model.read("model.tflite"), "train", num_threads=2)
    assert (result["account"], result["signature"], result["threads"]) == ("planned", "train", 2)
    assert result["peak_mb"] == plan.peak_bytes / 1e6
    assert result["peak_mb"] == pytest.approx(result["arena_mb"] + result["heap_mb"])
    assert result["variables_mb"] == pytest.approx(4 * tiny_models.FILTERS / 1e6)
    assert result["constants_mb"] > 0.0
    assert result["dynamic_tensors"] == []
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["peak_mb"] == f"{plan.peak_bytes / 1e6:.3f}"
    assert lines["dynamic_tensors"] == "none"


@pytest.mark.parametrize(("signature", "api"), [("train", "interpreter"), ("infer", "compiled_model")])
def test_measured(place, capsys, signature, api):
    argv = ["--model=model.tflite", f"--signature={signature}", f"--api={api}", "--noxnnpack", "--json=result.json"]
    assert runner.run_command("memory", ["--account=measured", *argv]) == 0
    result = json.loads((place / "result.json").read_text())
    assert (result["account"], result["signature"]) == ("measured", signature)
    assert (result["xnnpack"], result["api"]) == (False, api)
    assert result["growth_mb"] > 2.0
    assert result["step_ms_median"] > 0.0
    assert result["infer_ms_median"] > 0.0
    assert f"growth_mb        {result['growth_mb']:.3f}\n" in capsys.readouterr().out


@pytest.mark.thorough
def test_measured_over_images(place, capsys):
    argv = ["--account=measured", "--model=model.tflite", "--json=result.json", "--overwrite", "--noxnnpack"]
    (place / "model.tflite").write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(place / "model.tflite", tiny_tflite.LABELS)
    for split, name in itertools.product(("train", "test"), tiny_tflite.LABELS):
        (place / "photos" / split / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), name).save(place / "photos" / split / name / "0.png")
    assert runner.run_command("memory", [*argv, "--data=photos"]) == 0
    result = json.loads((place / "result.json").read_text())
    assert result["adapt_growth_mb"] > 0.0
    assert result["client_growth_mb"] > 0.0
    (place / "model.manifest.json").unlink()  # no names: a file of the tests has none inside
    assert runner.run_command("memory", [*argv, "--data=photos"]) == 2
    assert "match the classes by position" in capsys.readouterr().err
    assert runner.run_command("memory", [*argv, "--data=photos", "--classes_by_position"]) == 0
    assert runner.run_command("memory", [*argv, "--classes_by_position"]) == 2
    assert "without --data, whose classes they are" in capsys.readouterr().err
    assert runner.run_command("memory", [*argv, "--data=photos", "--nogive_back"]) == 2
    assert "expected --data without --nogive_back: adapt always gives memory back" in capsys.readouterr().err


@pytest.mark.parametrize("xnnpack", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_measured_as_the_client_would_run_it(place, xnnpack):
    """The account ignored what the manifest says and the client obeys."""
    (place / "model.tflite").write_bytes(tiny_tflite.build())
    tiny_tflite.write_manifest(place / "model.tflite", tiny_tflite.LABELS, xnnpack=xnnpack)
    argv = ["--account=measured", "--model=model.tflite", "--json=result.json", "--overwrite"]
    for flags, expected in (([], xnnpack), (["--xnnpack"], True), (["--noxnnpack"], False)):
        assert runner.run_command("memory", [*argv, *flags]) == 0
        result = json.loads((place / "result.json").read_text())
        assert (result["xnnpack"], result["threads"]) == (expected, THREADS)


@pytest.mark.parametrize("account", ["planned", "measured"])
def test_a_changed_byte_is_found_before_anything_runs(place, capsys, account):
    tiny_tflite.write_manifest(place / "model.tflite", tiny_tflite.LABELS)
    content = bytearray((place / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (place / "model.tflite").write_bytes(content)
    assert runner.run_command("memory", [f"--account={account}", "--model=model.tflite"]) == 2
    assert "expected the manifest of the .tflite with sha256 " in capsys.readouterr().err


def test_planned_composition_growth_and_timeline(place, capsys):
    (place / "loop.tflite").write_bytes(tiny_models.build_loop())
    assert runner.run_command("memory", ["--model=loop.tflite", "--noxnnpack", "--json=result.json"]) == 0
    result = json.loads((place / "result.json").read_text())
    assert set(result["composition_mb"]) == set(GROUPS)
    assert sum(result["composition_mb"].values()) == pytest.approx(result["alive_mb"])
    assert result["alive_mb"] <= result["peak_mb"] < result["growth_mb"]
    assert sum(result["growth_parts_mb"].values()) == pytest.approx(result["growth_mb"])
    moments = result["timeline"]
    assert max(sum(moment[group] for group in GROUPS) for moment in moments) == pytest.approx(result["alive_mb"])
    top = max(moments, key=lambda moment: sum(moment[group] for group in GROUPS))
    assert result["alive_at"] == f"{top['graph']} {top['position']} {top['operator']}"
    assert "timeline" not in capsys.readouterr().out


def test_picture(place, capsys):
    argv = ["--model=model.tflite", "--plot=timeline.png"]
    assert runner.run_command("memory", argv) == 0
    first = (place / "timeline.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert runner.run_command("memory", argv) == 2
    assert "timeline.png exists already; choose another path, or give --overwrite" in capsys.readouterr().err
    assert (place / "timeline.png").read_bytes() == first
    assert runner.run_command("memory", [*argv, "--signature=infer", "--overwrite"]) == 0
    assert (place / "timeline.png").read_bytes() != first


def test_matplotlib_is_imported_for_a_picture_only(place):
    code = "import sys; from tinytl_tf.cli import runner; runner.run_command('memory', ['--model=model.tflite'])\n"
    code += "sys.exit('matplotlib' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_paper(place, capsys):
    argv = ["--account=paper", "--backbone=proxyless_mobile", "--scheme=tinytl-lb", "--json=result.json"]
    assert runner.run_command("memory", [*argv, "--optimizer=momentum"]) == 0
    result = json.loads((place / "result.json").read_text())
    account = paper_account(
        "proxyless_mobile", "tinytl-lb", resolution=224, batch_size=8, classes=102, optimizer="momentum"
    )
    assert (result["account"], result["scheme"], result["resolution"]) == ("paper", "tinytl-lb", 224)
    assert result["total_mb"] == account.total_bytes / 1e6
    assert result["total_mb"] == pytest.approx(result["parameters_mb"] + result["activations_mb"])
    assert result["slots_mb"] == account.slots_bytes / 1e6
    assert result["honest_mb"] == account.honest_bytes / 1e6 > result["total_mb"]
    assert "37.126" in capsys.readouterr().out


WITH_LITE_RESIDUALS = {"tinytl-l", "tinytl-lb", "sparse-update-l"}


@pytest.mark.parametrize(("backbone", "missing"), [("mobilenet_v2", set()), ("resnet50", WITH_LITE_RESIDUALS)])
def test_paper_for_all_schemes(place, capsys, backbone, missing):
    argv = ["--account=paper", f"--backbone={backbone}", "--scheme=all", "--batch_size=1", "--json=result.json"]
    assert runner.run_command("memory", argv) == 0
    rows = json.loads((place / "result.json").read_text())["rows"]
    assert [row["scheme"] for row in rows] == [name for name in SCHEMES if name not in missing]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [row["scheme"] for row in rows]
    assert [line.split()[1] for line in lines[2:]] == [f"{row['total_mb']:.3f}" for row in rows]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model=none.tflite"], "expected a .tflite file at none.tflite, got: No such file or directory"),
        (["--model=model.tflite", "--signature=fit"], "expected one of the signatures of the file ("),
        (["--model=model.tflite", "--signature=fit", "--account=measured"], "expected one of the signatures of"),
        (
            ["--model=model.tflite", "--account=paper"],
            "--model belongs to --account=planned or measured, got --account=paper; leave one of them out",
        ),
        (["--model=model.tflite", "--threads=0"], "flag --threads=0: "),
        (
            ["--model=model.tflite", "--account=measured", "--threads=1000000"],
            "expected num_threads from 1 to 256, got 1000000",
        ),
        ([], "expected --model=FILE, the .tflite for --account=planned, got none; export one first"),
        (["--account=measured"], "expected --model=FILE, the .tflite for --account=measured, got none"),
        (["--account=guessed"], "flag --account=guessed: value should be one of <paper|planned|measured>"),
        (["--model=model.tflite", "--classes=5"], "--classes belongs to --account=paper, got --account=planned; "),
        (
            ["--model=model.tflite", "--account=measured", "--plot=a.png"],
            "--plot belongs to --account=planned, got --account=measured; leave one of them out",
        ),
        (["--model=model.tflite", "--give_back"], "--give_back belongs to --account=measured, got --account=planned"),
        (["--model=model.tflite", "--api=interpreter"], "--api belongs to --account=measured, got --account=planned; "),
        (["--model=model.tflite", "--plot=a.pdf"], "expected --plot=FILE.png, got 'a.pdf'; the picture is a PNG"),
        (["--account=paper", "--backbone=vgg"], "unknown backbone 'vgg'; choose one of "),
        (["--account=paper", "--scheme=best"], "flag --scheme=best: value should be one of <last|"),
        (["--account=paper", "--batch_size=0"], "batch_size must be at least 1, got 0"),
    ],
)
def test_bad_input(place, capsys, argv, message):
    assert runner.run_command("memory", argv) == 2
    assert capsys.readouterr().err.startswith(f"tinytl memory: error: {message}")
