import json

import pytest

from tests import tiny_models
from tinytl_tf.cli import runner
from tinytl_tf.flatbuffer import Model
from tinytl_tf.memory import planned_peak


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


def test_measured(place, capsys):
    argv = ["--model=model.tflite", "--account=measured", "--noxnnpack", "--json=result.json"]
    assert runner.run_command("memory", argv) == 0
    result = json.loads((place / "result.json").read_text())
    assert (result["account"], result["signature"], result["xnnpack"]) == ("measured", "train", False)
    assert result["growth_mb"] > 2.0
    assert result["step_ms_median"] > 0.0
    assert result["infer_ms_median"] > 0.0
    assert f"growth_mb        {result['growth_mb']:.3f}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model=none.tflite"], "expected a .tflite file at none.tflite, got: No such file or directory"),
        (["--model=model.tflite", "--signature=fit"], "expected one of the signatures of the file ("),
        (["--model=model.tflite", "--signature=fit", "--account=measured"], "expected one of the signatures of"),
        (
            ["--model=model.tflite", "--account=paper"],
            "flag --account=paper: value should be one of <planned|measured>",
        ),
        (["--model=model.tflite", "--threads=0"], "flag --threads=0: "),
        ([], "flag --model=None: Flag --model must have a value other than None."),
    ],
)
def test_bad_input(place, capsys, argv, message):
    assert runner.run_command("memory", argv) == 2
    assert capsys.readouterr().err.startswith(f"tinytl memory: error: {message}")
