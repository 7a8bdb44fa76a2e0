"""Memory and time of a training step with the Kotlin client on the JVM and with the Python client.

Each figure comes from a fresh process with one thread. Growth is VmHWM after some steps minus the resident memory
before opening the model, as in `tinytl memory --account=measured`. The processes of both clients alternate, so that
their times are comparable on a machine that also does other work. Read the times as ratios. The JVM runs TensorFlow
Lite for Linux with the classes of the Android AAR; Python runs the installed LiteRT. Needs JDK 17 and Maven, and Linux
on x86-64.

By default, measures the golden model, and MobileNetV2 0.35 with random weights, `--scheme` and `--resolutions`.

Commands:
    python benchmarks/android_training.py
    python benchmarks/android_training.py --scheme=tinytl-lb --resolutions=96,224
    python benchmarks/android_training.py --runs=1 photos.tflite
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from absl import app, flags

from tinytl_tf.errors import InputError
from tinytl_tf.memory import measure
from tinytl_tf.networks.schemes import SCHEMES

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUNS = flags.DEFINE_integer("runs", 3, "Processes for the median.", lower_bound=1)
STEPS = flags.DEFINE_integer("steps", 5, "Steps for the median in each process.", lower_bound=1)
SCHEME = flags.DEFINE_enum("scheme", "tinytl-b", list(SCHEMES), "Scheme of the exported files.")
RESOLUTIONS = flags.DEFINE_list("resolutions", ["96"], "Input sizes of the exported files in pixels.")
HEAP = "-Xmx128m"  # heap limit of the JVM; an app on a phone has about as much


def main(argv: list[str]) -> None:
    """Prints the table."""
    classpath = _classpath()
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(path) for path in argv[1:]]
        if not paths:
            paths = [ROOT / "golden" / "model_float32.tflite"]
            paths += [_export(folder, int(resolution)) for resolution in RESOLUTIONS.value]
        print("| file | XNNPACK | Python MB | JVM MB | JVM / Python, first step | JVM / Python, step |\n|" + "---|" * 6)
        for path in paths:
            for xnnpack in (False, True):
                _print(path, xnnpack, *_measure(path, xnnpack, classpath))


def export_worker(path: str, scheme_name: str, resolution: int) -> None:
    """Exports MobileNetV2 0.35: batch 8, SGD, float32, profile balanced."""
    from tinytl_tf.backbones import build
    from tinytl_tf.backbones.scheme import apply_scheme
    from tinytl_tf.export import export
    from tinytl_tf.networks.schemes import get_scheme

    scheme = get_scheme(scheme_name)
    model = build(
        "mobilenet_v2",
        classes=10,
        resolution=resolution,
        width=0.35,
        **scheme.branches,
        weights=None,
    )
    apply_scheme(model, scheme)
    export(model, path, labels=[f"class {index}" for index in range(10)], batch_size=8)


def _export(folder: str, resolution: int) -> pathlib.Path:
    """Exports in a separate process: TensorFlow would stay in the memory of processes forked from here."""
    path = pathlib.Path(folder) / f"mobilenet_v2_0.35_{SCHEME.value}_{resolution}.tflite"
    arguments = (str(path), SCHEME.value, resolution)
    code = f"import android_training; android_training.export_worker(*{arguments!r})"
    subprocess.run([sys.executable, "-c", code], cwd=pathlib.Path(__file__).parent, check=True)
    return path


def _classpath() -> str:
    """Compiles the library and the tests; returns the class path."""
    with tempfile.NamedTemporaryFile() as file:
        goals = ["test-compile", "dependency:build-classpath", f"-Dmdep.outputFile={file.name}"]
        command = ["mvn", "--quiet", f"--file={ROOT / 'export' / 'android'}", "--projects=library", "--also-make"]
        try:
            subprocess.run([*command, *goals], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise InputError(
                f"expected Maven to compile export/android, got: {error}; install JDK 17 and Maven"
            ) from error
        target = ROOT / "export" / "android" / "library" / "target"
        return ":".join([f"{target}/classes", f"{target}/test-classes", pathlib.Path(file.name).read_text().strip()])


def _measure(path: pathlib.Path, xnnpack: bool, classpath: str) -> tuple[list[dict], list[dict]]:
    """Runs Python and the JVM alternately; returns the measurements of each process."""
    python, jvm = [], []
    for _ in range(RUNS.value):
        measured = measure(path, num_threads=1, xnnpack=xnnpack, steps=STEPS.value)
        python.append({name: getattr(measured, name) for name in ("growth_bytes", "first_step_ms", "step_ms_median")})
        command = ["java", HEAP, "-Djava.awt.headless=true", "-cp", classpath, "org.tinytl.MeasuredTraining"]
        arguments = [str(path), str(xnnpack).lower(), str(STEPS.value)]
        output = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout
        jvm.append(json.loads(output.splitlines()[-1]))
    return python, jvm


def _print(path: pathlib.Path, xnnpack: bool, python: list[dict], jvm: list[dict]) -> None:
    megabytes = [statistics.median(row["growth_bytes"] for row in rows) / 1e6 for rows in (python, jvm)]
    ratios = [
        statistics.median(ours[name] / theirs[name] for ours, theirs in zip(jvm, python, strict=True))
        for name in ("first_step_ms", "step_ms_median")
    ]
    cells = [f"{value:.1f}" for value in megabytes] + [f"{value:.2f}" for value in ratios]
    print(f"| `{path.stem}` | {'yes' if xnnpack else 'no'} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    app.run(main)
