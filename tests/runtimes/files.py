"""The files for tests of other runtimes, and the expected report of `worker.py`."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np

from tinytl_tf.tflite.manifest import Manifest

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
WORKER = pathlib.Path(__file__).with_name("worker.py")
RESOLUTION, CLASSES, BATCH_SIZE, STEPS = 96, 5, 4, 4
SCHEMES, KERNELS = ("tinytl-b", "tinytl-lb"), ("float32", "int8")
# Relative difference of the loss of each step, at rate 1e-3, both without XNNPACK. float32 differs by the order of
# summation of two machines' kernels, up to 3e-7, and by 6e-5 after a step in which it puts an activation on the other
# side of a clipping point; int8 by roundings of the images, which a step multiplies.
TOLERANCES = {"float32": (2e-5, 2e-5, 2e-4, 2e-4), "int8": (4e-2,) * STEPS}


def write_files(folder: pathlib.Path) -> dict[tuple[str, str], pathlib.Path]:
    """Exports MobileNetV2 0.35 for the schemes and types of kernels; returns the paths by both."""
    from tinytl_tf.backbones import build
    from tinytl_tf.export.build import build_file, with_int8_kernels
    from tinytl_tf.export.signatures import TrainableModule
    from tinytl_tf.layers import LiteResidual
    from tinytl_tf.networks.schemes import apply_scheme, get_scheme
    from tinytl_tf.optimizers import get_optimizer

    paths, rng = {}, np.random.default_rng(0)
    for name in SCHEMES:
        scheme = get_scheme(name)
        options = {"width": 0.35, "weights": None, **scheme.branches}
        model = build("mobilenet_v2", classes=CLASSES, resolution=RESOLUTION, **options)
        for layer in model.layers:
            if isinstance(layer, LiteResidual):  # a branch starts at zero, where its first kernel has no gradient
                layer.pointwise_kernel.assign(rng.normal(0, 0.05, layer.pointwise_kernel.shape))
        apply_scheme(model.weights, scheme)
        module = TrainableModule(
            model, model.trainable_variables, optimizer=get_optimizer("sgd"), batch_size=BATCH_SIZE
        )
        content, _ = build_file(module)
        for kernels, data in (("float32", content), ("int8", with_int8_kernels(content))):
            paths[name, kernels] = folder / f"{name}-{kernels}.tflite"
            paths[name, kernels].write_bytes(data)
    return paths


def write_batches(path: pathlib.Path) -> pathlib.Path:
    """Writes images that are smooth like photos, with labels."""
    from tinytl_tf.export.parity import random_photos

    images, labels = random_photos(STEPS, BATCH_SIZE, (RESOLUTION, RESOLUTION), CLASSES)
    np.savez(path, images=images, labels=labels)
    return path


def copy_golden(folder: pathlib.Path, kernels: str) -> tuple[pathlib.Path, pathlib.Path]:
    """Copies the golden model with kernels of a type, and writes its steps; returns both paths."""
    golden = _read_golden(kernels)
    size = Manifest.read(GOLDEN / golden["model"]).input.size
    pixels = [np.frombuffer((GOLDEN / photo["pixels"]).read_bytes(), np.uint8) for photo in golden["photos"]]
    images, steps = np.stack(pixels).reshape(len(pixels), *size, 3), golden["steps"]
    path = folder / f"golden-{kernels}.npz"
    np.savez(
        path,
        images=images[[step["photos"] for step in steps]],
        labels=np.array([step["labels"] for step in steps], np.int32),
        rates=np.array([step["learning_rate"] for step in steps], np.float32),
    )
    return pathlib.Path(shutil.copy(GOLDEN / golden["model"], folder)), path


def golden_figures(kernels: str) -> tuple[dict, float]:
    """Returns the golden losses without XNNPACK, as a report has them, and how far others may be from them."""
    golden = _read_golden(kernels)
    steps = [step["without_xnnpack"] for step in golden["steps"]]
    report = {"losses": [step["loss"] for step in steps], "applied": [step["applied"] for step in steps]}
    return report, golden["tolerances"]["loss"]


def _read_golden(kernels: str) -> dict:
    return json.loads((GOLDEN / f"training_{kernels}.json").read_text(encoding="utf-8"))


def run(command: list[str], runtime: str, model: pathlib.Path, batches: pathlib.Path, **options) -> dict:
    """Runs the worker; returns its report."""
    result = model.with_suffix(f".{runtime}.json")
    result.unlink(missing_ok=True)
    done = subprocess.run(
        [*command, str(WORKER), runtime, str(model), str(batches), str(result)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    if done.returncode:
        raise RuntimeError(f"{runtime} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(result.read_text())


def reference(model: pathlib.Path, batches: pathlib.Path) -> dict:
    """What ai-edge-litert reports on this machine."""
    return run([sys.executable], "ai_edge_litert", model, batches)


def problems(report: dict, expected: dict, tolerance: float | tuple[float, ...]) -> list[str]:
    """Says how a report differs from what it has to be, if it does; the tolerance is one, or one for each step."""
    found = [f"{key} is {report[key]}" for key in ("same_logits", "same_state", "reset") if report[key] is not True]
    found += [f"{key} is 0" for key in ("restored", "moved") if not report[key]]
    if report["applied"] != expected["applied"]:
        found.append(f"applied is {report['applied']}")
    differences = np.abs(np.divide(report["losses"], expected["losses"]) - 1)
    if not np.all(differences <= tolerance):
        found.append(f"losses differ by {differences}, at most {tolerance}")
    return found
