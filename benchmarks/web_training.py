"""Bytes that a browser loads for `tinytl serve`, and time and memory of a training step in the browser and in Python.

Python (one thread, with XNNPACK) and headless Chromium (LiteRT's build without threads, in a worker) alternate in fresh
processes, so that their times are comparable on a machine that also does other work. Read the times as ratios. The
first step includes loading the model, but not the runtime. The heap is WebAssembly's: it contains all of LiteRT's
memory and never shrinks. Needs Node.js and Chromium: `export/web/ci.sh --apt` installs the requirements.

By default, measures the golden model, and MobileNetV2 0.35 with random weights at 96 and 224 pixels.

Commands:
    python benchmarks/web_training.py
    python benchmarks/web_training.py --runs=1 photos.tflite
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile

import web_client
from absl import app, flags

from tinytl_tf.memory import measure

RUNS = flags.DEFINE_integer("runs", 3, "Processes for the median.", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 20, "Steps for the median in each process.", lower_bound=1)
RESOLUTIONS = flags.DEFINE_list("resolutions", ["96", "224"], "Input sizes of the exported files in pixels.")


def main(argv: list[str]) -> None:
    """Prints the tables."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(path).resolve() for path in argv[1:]]
        if not paths:
            paths = [web_client.ROOT / "golden" / "model_float32.tflite"]
            paths += [_export(folder, int(resolution)) for resolution in RESOLUTIONS.value]
        measured = {path: _measure(path) for path in paths}
    _print_bytes({path: browser[0]["requests"] for path, (_, browser) in measured.items()})
    columns = (
        "Python ms, step | browser / Python, first step | browser / Python, step | start of the runtime s | heap MB"
    )
    print(f"\n| file | {columns} |\n|" + "---|" * 6)
    for path, (python, browser) in measured.items():
        print(f"| `{path.stem}` | {' | '.join(_figures(python, browser))} |")


def _export(folder: str, resolution: int) -> pathlib.Path:
    """Exports MobileNetV2 0.35 like android_training.py. In a separate process: TensorFlow would stay in memory."""
    path = pathlib.Path(folder) / f"mobilenet_v2_0.35_{resolution}.tflite"
    code = f"import android_training; android_training.export_worker({str(path)!r}, 'tinytl-lb', {resolution})"
    subprocess.run([sys.executable, "-c", code], cwd=pathlib.Path(__file__).parent, check=True)
    return path


def _measure(path: pathlib.Path) -> tuple[list[dict], list[dict]]:
    """Runs Python and a browser alternately; returns the measurements of each process."""
    python, browser = [], []
    for _ in range(RUNS.value):
        measured = measure(path, num_threads=1, xnnpack=True, steps=STEPS.value)
        python.append({name: getattr(measured, name) for name in ("first_step_ms", "step_ms_median")})
        browser.append(web_client.run("steps", path, STEPS.value))
    return python, browser


def _print_bytes(requests: dict[pathlib.Path, list[dict]]) -> None:
    """Prints the bytes of one visit to the page. Only the model differs between files."""
    print("| loaded | files | MB | MB over the wire (gzip) |\n|---|---|---|---|")
    first, *_ = requests.values()
    parts = {
        "page": [item for item in first if not item["path"].startswith(("/wasm/", "/model/"))],
        "LiteRT's runtime": [item for item in first if item["path"].startswith("/wasm/")],
    }
    for path, loaded in requests.items():
        parts[f"`{path.stem}`"] = [item for item in loaded if item["path"].startswith("/model/")]
    for name, items in parts.items():
        plain, packed = (sum(item[kind] for item in items) / 1e6 for kind in ("plain", "packed"))
        print(f"| {name} | {len(items)} | {plain:.3f} | {packed:.3f} |")


def _figures(python: list[dict], browser: list[dict]) -> list[str]:
    ratios = [
        statistics.median(ours[name] / theirs[name] for ours, theirs in zip(browser, python, strict=True))
        for name in ("first_step_ms", "step_ms_median")
    ]
    return [
        f"{statistics.median(row['step_ms_median'] for row in python):.1f}",
        *(f"{ratio:.2f}" for ratio in ratios),
        f"{statistics.median(row['runtime_ms'] for row in browser) / 1e3:.2f}",
        f"{max(row['heap_bytes'] for row in browser) / 1e6:.1f}",
    ]


if __name__ == "__main__":
    app.run(main)
