"""Memory and time of a training step of MobileNetV2 in exported files and in Keras, and the memory after each pass.

Each figure comes from a fresh process with one thread. Growth is VmHWM after some steps minus the resident memory
before loading the model. Columns with `compiled` use XNNPACK in a CompiledModel; all others use the Interpreter. The
first step includes loading the file, or building and tracing the Keras model. Weights are random: memory and time do
not depend on them.

Commands:
    python benchmarks/memory_targets.py --json=targets.json
    python benchmarks/memory_targets.py --nokeras --schemes=tinytl-b --profiles=min-memory
"""

import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags

from tinytl_tf.files import atomic_write_bytes
from tinytl_tf.memory import measure, planned_peak
from tinytl_tf.tflite.model import Model

RESOLUTION = flags.DEFINE_integer("resolution", 224, "Pixels.")
CLASSES = flags.DEFINE_integer("classes", 102, "Classes.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images per step.")
SCHEMES = flags.DEFINE_list("schemes", ["last", "tinytl-b", "tinytl-lb"], "Update schemes.")
PROFILES = flags.DEFINE_list("profiles", ["min-memory", "balanced"], "Memory profiles.")
FROZEN_WEIGHTS = flags.DEFINE_list("frozen_weights", ["int8"], "float32, int8 or both.")
KERAS = flags.DEFINE_bool("keras", True, "Also measure plain Keras.")
STEPS = flags.DEFINE_integer("steps", 5, "Steps for the median.")
THREADS = 1  # of all runtimes
JSON = flags.DEFINE_string("json", None, "Write the rows to this file.")

KERAS_SCHEMES = ("full", "bias", "last")
COLUMNS = (
    "file_mb",
    "planned_mb",
    "growth_mb",
    "growth_xnnpack_mb",
    "growth_compiled_mb",
    "first_step_ms",
    "step_ms",
    "step_compiled_ms",
    "infer_ms",
    "step_over_inferences",
)
KERAS_COLUMNS = ("growth_mb", "first_step_ms", "step_ms")


def main(argv: list[str]) -> None:
    """Prints the tables."""
    rows, passes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for scheme in SCHEMES.value:
            for profile in PROFILES.value:
                paths, peaks = _export(folder, scheme, profile)
                for path in paths:
                    rows.append({"file": path.stem, **_measure_file(path)})
                    _print(rows[-1], COLUMNS, "file")
                passes.append({"file": f"{scheme} {profile}", **{name: peak / 1e6 for name, peak in peaks.items()}})
    for row in passes:
        _print(row, [name for name in row if name != "file"], "file")
    keras = [{"keras": name, **_measure_keras(name)} for name in KERAS_SCHEMES if KERAS.value]
    for row in keras:
        _print(row, KERAS_COLUMNS, "keras")
    if JSON.value:
        pathlib.Path(JSON.value).write_text(json.dumps({"files": rows, "passes_mb": passes, "keras": keras}, indent=2))


def _export(folder: str, scheme: str, profile: str) -> tuple[list[pathlib.Path], dict[str, int]]:
    """Converts in a separate process: TensorFlow would stay in the memory of processes forked from here."""
    task = [scheme, profile, folder, RESOLUTION.value, CLASSES.value, BATCH_SIZE.value, FROZEN_WEIGHTS.value]
    peaks = _run("export_worker", task)
    stems = [f"{scheme}-{profile}-{weights}" for weights in FROZEN_WEIGHTS.value]
    return [pathlib.Path(folder) / f"{stem}.tflite" for stem in stems], peaks


def export_worker(scheme, profile, folder, resolution, classes, batch_size, frozen_weights) -> dict[str, int]:
    """Writes the files of a scheme, without the parity check of `export`; returns the planned peak after each pass."""
    from network import trainable_module

    from tinytl_tf.export.build import build_file, with_int8_kernels

    content, report = build_file(trainable_module(scheme, profile, resolution, classes, batch_size))
    for weights in frozen_weights:
        path = pathlib.Path(folder) / f"{scheme}-{profile}-{weights}.tflite"
        atomic_write_bytes(path, with_int8_kernels(content) if weights == "int8" else content)
    return {name: entry["planned_peak_bytes"] for name, entry in report.items()}


def _measure_file(path: pathlib.Path) -> dict[str, float]:
    options = {"num_threads": THREADS, "steps": STEPS.value}
    plain = measure(path, **options, xnnpack=False)
    fast = measure(path, **options, xnnpack=True)
    compiled = measure(path, **options, xnnpack=True, api="compiled_model")
    infer = measure(path, "infer", **options | {"steps": 10 * STEPS.value}, xnnpack=True).step_ms_median
    return {
        "file_mb": path.stat().st_size / 1e6,
        "planned_mb": planned_peak(Model.read(path), num_threads=THREADS).peak_bytes / 1e6,
        "growth_mb": plain.growth_bytes / 1e6,
        "growth_xnnpack_mb": fast.growth_bytes / 1e6,
        "growth_compiled_mb": compiled.growth_bytes / 1e6,
        "first_step_ms": fast.first_step_ms,
        "step_ms": fast.step_ms_median,
        "step_compiled_ms": compiled.step_ms_median,
        "step_without_xnnpack_ms": plain.step_ms_median,
        "infer_ms": infer,
        "step_over_inferences": fast.step_ms_median / (BATCH_SIZE.value * infer),
    }


def _measure_keras(trained: str) -> dict[str, float]:
    return _run("keras_worker", [trained, RESOLUTION.value, CLASSES.value, BATCH_SIZE.value, STEPS.value])


def keras_worker(trained, resolution, classes, batch_size, steps) -> dict[str, float]:
    """Fine-tunes MobileNetV2 of keras.applications with SGD, with batch normalization in inference mode."""
    import keras
    import numpy as np
    import tensorflow as tf

    from tinytl_tf.memory.peak_growth import PeakGrowth

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    growth = PeakGrowth()
    begin = time.perf_counter()
    model = keras.applications.MobileNetV2((resolution, resolution, 3), weights=None, classes=classes)
    model.get_layer("predictions").activation = keras.activations.linear
    is_trained = {
        "full": lambda path: "moving_" not in path,
        "bias": lambda path: path.endswith(("/beta", "/bias")) or path.startswith("predictions"),
        "last": lambda path: path.startswith("predictions"),
    }[trained]
    variables = [variable.value for variable in model.weights if is_trained(variable.path)]

    @tf.function(jit_compile=False)
    def step(images, labels):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            logits = model(tf.cast(images, tf.float32) / 127.5 - 1.0, training=False)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(1e-4 * gradient)
        return loss

    rng = np.random.default_rng(0)
    images = tf.constant(rng.integers(0, 256, (batch_size, resolution, resolution, 3), np.uint8))
    labels = tf.constant(rng.integers(0, classes, batch_size))
    times = [begin]
    for _ in range(1 + steps):
        step(images, labels).numpy()
        times.append(time.perf_counter())
    first, *rest = [1e3 * (end - start) for start, end in itertools.pairwise(times)]
    return {
        "growth_mb": growth.bytes() / 1e6,
        "first_step_ms": first,
        "step_ms": statistics.median(rest),
    }


def _run(worker: str, arguments: list) -> dict:
    """Runs a function of this file in a fresh process."""
    code = f"import json, memory_targets; print(json.dumps(memory_targets.{worker}(*{arguments!r})))"
    folder = pathlib.Path(__file__).parent
    process = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    if process.returncode:
        sys.exit(process.stderr)
    return json.loads(process.stdout.splitlines()[-1])


def _print(row: dict, columns, key: str) -> None:
    figures = "  ".join(f"{name} {row[name]:.2f}" for name in columns)
    print(f"{row[key]:32s} {figures}", flush=True)


if __name__ == "__main__":
    app.run(main)
