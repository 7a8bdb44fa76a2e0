import json
import subprocess
import sys

import pytest

from tinytl_tf.cli import quickstart, runner
from tinytl_tf.configs import quickstart as config_file

pytestmark = pytest.mark.thorough

COLUMNS = ["scheme", "accuracy_before", "accuracy_after", "planned_mb", "measured_mb", "step_ms", "file_mb"]


def rows_of(path):
    result = json.loads(path.read_text())
    for row in result["rows"]:
        assert list(row) == COLUMNS
        assert 0 < row["planned_mb"] < row["measured_mb"]
        assert row["step_ms"] > 0
    return {row["scheme"]: row for row in result["rows"]}


def test_small(tmp_path, monkeypatch, capsys):
    def small_config():
        config = whole_config()
        config.data.train_images, config.data.test_images = 160, 40
        config.backbone.resolution, config.training.epochs = 64, 1
        return config

    whole_config = config_file.get_config
    monkeypatch.setattr(config_file, "get_config", small_config)
    monkeypatch.setattr(quickstart, "SCHEMES", ("last",))
    monkeypatch.setattr(quickstart, "TRAIN_IMAGES", 80)
    monkeypatch.setattr(quickstart, "TEST_IMAGES", 40)
    argv = [f"--workdir={tmp_path / 'out'}", f"--json={tmp_path / 'result.json'}", "--epochs=3"]
    assert runner.run_command("quickstart", argv) == 0
    row = rows_of(tmp_path / "result.json")["last"]
    assert row["accuracy_after"] > row["accuracy_before"]
    assert f"{row['accuracy_after']:.1%}" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"base", "last.tflite", "last.manifest.json", "last.tinytl", "curves.png"}
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_as_a_stranger_runs_it(tmp_path):
    argv = [sys.executable, "-m", "tinytl_tf.cli.main", "quickstart", "--json=result.json"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    rows = rows_of(tmp_path / "result.json")
    assert list(rows) == ["last", "tinytl-b", "tinytl-lb"]
    assert all(row["accuracy_after"] > row["accuracy_before"] + 0.2 for row in rows.values())
    assert rows["tinytl-b"]["accuracy_after"] > rows["last"]["accuracy_after"] + 0.05
    assert rows["tinytl-lb"]["accuracy_after"] > rows["last"]["accuracy_after"] + 0.05
