import json
import os
import pathlib
import signal
import subprocess
import sys
import urllib.request

import pytest

from tinytl_tf.cli import runner

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"


@pytest.fixture
def wasm(tmp_path):
    """A folder that has the names of the runtime's files."""
    folder = tmp_path / "wasm"
    folder.mkdir()
    for build in ("", "_compat", "_threaded"):
        for ending in ("js", "wasm"):
            (folder / f"litert_wasm{build}_internal.{ending}").write_text(build)
    return folder


def test_serves_until_it_is_interrupted(wasm, tmp_path):
    result = tmp_path / "result.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tinytl_tf.cli.main", "serve", f"--model={GOLDEN / 'model_int8.tflite'}"),
            *("--port=0", f"--wasm={wasm}", f"--json={result}"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        model = process.stdout.readline()
        address = process.stdout.readline().split()[1]
        with urllib.request.urlopen(f"{address}models.json", timeout=10) as response:
            names = [entry["name"] for entry in json.load(response)]
        with urllib.request.urlopen(f"{address}wasm/litert_wasm_compat_internal.wasm", timeout=10) as response:
            assert response.headers["Content-Type"] == "application/wasm"
            assert response.read() == b"_compat"
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert model == f"model: {GOLDEN / 'model_int8.tflite'}, classes stripes, disk, cross, leaf, éclair\n"
    assert names == ["model_int8", "general"]
    assert (process.returncode, output, errors) == (130, "", "tinytl serve: interrupted\n")
    assert json.loads(result.read_text()) == {"address": address}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--wasm=absent"], "expected LiteRT's web runtime in absent, found no litert_wasm_internal.js there"),
        (["--model=absent.tflite"], "expected a .tflite file at absent.tflite"),
        (["--port=70000"], "--port=70000"),
        (["--host=no.such.host.invalid", "--port=0"], "cannot listen on no.such.host.invalid, port 0"),
    ],
)
def test_bad_input(flags, message, wasm, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    flags = [*flags, *([] if "--wasm=absent" in flags else [f"--wasm={wasm}"])]
    assert runner.run_command("serve", flags) == 2
    assert message in capsys.readouterr().err


def test_threads_need_their_build(wasm, capsys):
    (wasm / "litert_wasm_threaded_internal.wasm").unlink()
    assert runner.run_command("serve", [f"--wasm={wasm}", "--wasm_threads", "--port=0"]) == 2
    assert f"in {wasm}, found no litert_wasm_threaded_internal.wasm there" in capsys.readouterr().err


def test_a_model_without_a_manifest_is_refused_before_anything_is_fetched(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "mine.tflite"
    path.write_bytes((GOLDEN / "model_int8.tflite").read_bytes())
    assert runner.run_command("serve", [f"--model={path}"]) == 2
    assert "mine.manifest.json next to" in capsys.readouterr().err
