"""Conversion of arbitrary Keras models: exactness, supported schemes, accuracy of gradients, and memory.

Commands:
    python benchmarks/any_keras.py --json=any_keras.jsonl
    python benchmarks/any_keras.py --json=any_keras.jsonl --cases=MobileNetV3Small,own:se_net
    python benchmarks/any_keras.py --json=any_keras.jsonl --table

Each case runs in a separate process and adds a row to the JSON file; cases with a row are not run again. Weights and
the statistics of norms are random. The hub cases need the package keras-hub. MB are 10^6 bytes. Measured memory is the
growth (VmHWM) of a fresh process that runs a training step of 8 images: the exported file computes one image at a time,
plain Keras all at once. "int8 MB" is the measured memory with int8 frozen kernels.
"""

import json
import pathlib
import subprocess
import sys
import time
from typing import Any

from absl import app, flags

JSON = flags.DEFINE_string("json", "any_keras.jsonl", "File of the rows; cases with a row are not run again.")
CASES = flags.DEFINE_list("cases", [], "Names of the cases to run; default: all.")
CASE = flags.DEFINE_string("case", None, "Run this one case in this process.")
PLAIN = flags.DEFINE_string("plain", None, "With --case: measure a step in plain Keras that trains full or biases.")
TABLE = flags.DEFINE_boolean("table", False, "Print the table of existing rows and run nothing.")
_BATCH, _CLASSES, _LIMIT = 8, 5, 1800  # _LIMIT in seconds per case

# Networks of keras.applications, each with its input size in pixels.
APPLICATIONS = {
    "MobileNet": 96,
    "MobileNetV2": 96,
    "MobileNetV3Small": 96,
    "MobileNetV3Large": 96,
    "EfficientNetB0": 96,
    "EfficientNetB1": 96,
    "EfficientNetB2": 96,
    "EfficientNetB3": 96,
    "EfficientNetV2B0": 96,
    "EfficientNetV2B1": 96,
    "ConvNeXtTiny": 64,
    "ResNet50": 96,
    "ResNet50V2": 96,
    "InceptionV3": 96,
    "Xception": 96,
    "DenseNet121": 64,
    "NASNetMobile": 64,
    "VGG16": 64,
    "InceptionResNetV2": 96,
    "ResNet101": 64,
}
HUB = ("ResNetBackbone", "VGGBackbone", "DenseNetBackbone", "ViTBackbone")
OWN = (
    "plain_cnn",
    "sequential",
    "subclassed",
    "nested",
    "spectrogram",
    "se_net",
    "two_heads",
    "regression",
    "vit",
    "group_norm_gelu",
    "accelerometer",
    "transfer:MobileNetV2",
    "transfer:MobileNetV3Small",
    "transfer:EfficientNetB0",
    "transfer:ResNet50",
)
ALL = (*APPLICATIONS, *(f"hub:{name}" for name in HUB), *(f"own:{name}" for name in OWN))
COLUMNS = (
    "case",
    "outputs",
    "places, with branches",
    "schemes",
    "gradient",
    "file MB",
    "planned MB",
    "measured MB",
    "int8 MB",
    "Keras full MB",
    "Keras biases MB",
)


def main(argv: list[str]) -> None:
    """Runs the cases without a row, and prints the table."""
    if CASE.value:
        print(json.dumps(_plain(CASE.value, PLAIN.value) if PLAIN.value else _run(CASE.value)))
        return
    path = pathlib.Path(JSON.value)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for case in () if TABLE.value else CASES.value or ALL:
        if any(row["case"] == case for row in rows):
            continue
        start = time.monotonic()
        row = {"case": case, **_in_process(case)}
        for what in ("full", "biases") if "refused" not in row else ():
            row |= _in_process(case, f"--plain={what}")
        print(f"{case}: {time.monotonic() - start:.0f} s, {row.get('refused', 'done')}", flush=True)
        rows.append(row)
        with path.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for row in sorted(rows, key=lambda row: ALL.index(row["case"])):
        print(_line(row))


def _line(row: dict[str, Any]) -> str:
    if "refused" in row:
        return f"| {row['case']} | {row['refused']} {'| ' * (len(COLUMNS) - 1)}|"
    gradients = "; ".join(f"{value:.0e}" for value in row["gradient"])
    keys = ("file_mb", "planned_mb", "measured_mb", "int8_mb", "full_mb", "biases_mb")
    memory = ("-" if row.get(key) is None else f"{row[key]:.1f}" for key in keys)
    cells = [row["case"], f"{row['outputs']:.0e}", f"{row['places']}, {row['branches']}", ", ".join(row["schemes"])]
    cells += [gradients or "-", *memory]
    return f"| {' | '.join(cells)} |"


def _in_process(case: str, *more: str) -> dict[str, Any]:
    command = [sys.executable, __file__, f"--case={case}", *more]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return {"refused": f"not done within {_LIMIT} s"}
    if done.returncode:
        return {"refused": f"ended with {done.returncode}: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def _run(case: str) -> dict[str, Any]:
    from tinytl_tf.backbones.describe import describe
    from tinytl_tf.backbones.from_keras import from_keras
    from tinytl_tf.backbones.scheme import apply_scheme
    from tinytl_tf.errors import TinyTLError
    from tinytl_tf.networks.branches import branch_places

    try:
        model, options = _make(case)
        network = from_keras(model, **options)
        spec = describe(network)
        places = branch_places(spec)
        row: dict[str, Any] = {"places": len(spec.places), "branches": len(places), "schemes": []}
        row["outputs"] = _difference(model, network)
        for scheme in ("last", "tinytl-b", *(("tinytl-lb",) if places else ()), "full"):
            own = from_keras(_make(case)[0], lite_residual=scheme == "tinytl-lb", **options)
            apply_scheme(own, scheme)
            content = _build(own, case)
            if content is not None:
                row["schemes"].append(scheme)
            if scheme == "tinytl-b":
                row |= _measure(model, own, content, case)
        return row
    except TinyTLError as error:
        return {"refused": str(error)}


def _difference(model: Any, network: Any) -> float:
    import numpy as np

    examples = _examples(network.input_shape[1:])
    expected, got = np.asarray(model(examples, training=False)), np.asarray(network(examples, training=False))
    if _has_softmax(model):  # the converted network returns logits
        got = np.exp(got - got.max(-1, keepdims=True))
        got /= got.sum(-1, keepdims=True)
    return float(np.abs(expected.reshape(got.shape) - got).max() / np.abs(expected).max())


def _examples(shape: tuple[int, ...]) -> Any:
    import numpy as np

    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (2, *shape)) if shape[-1] == 3 and len(shape) == 3 else rng.normal(size=(2, *shape))
    return values.astype(np.float32)


def _build(network: Any, case: str) -> bytes | None:
    """Returns the content of the exported file with float32 kernels, or None if LiteRT lacks an operator."""
    from tinytl_tf.errors import InputError
    from tinytl_tf.export.build import build_file
    from tinytl_tf.export.inputs import input_kind
    from tinytl_tf.export.signatures import TrainableModule
    from tinytl_tf.optimizers import get_optimizer

    task = "regression" if case == "own:regression" else "classification"
    options = {"optimizer": get_optimizer("sgd"), "batch_size": _BATCH, "task": task, "inputs": input_kind(network)}
    try:
        return build_file(TrainableModule(network, network.trainable_variables, **options))[0]
    except InputError as error:
        print(f"{case}: {error}", file=sys.stderr)
        return None


def _measure(model: Any, network: Any, content: bytes | None, case: str) -> dict[str, Any]:
    from tinytl_tf.export.build import with_int8_kernels
    from tinytl_tf.files import temporary_folder
    from tinytl_tf.memory import measure, planned_peak
    from tinytl_tf.tflite.model import Model

    if content is None:
        return {"gradient": []}
    planned = planned_peak(Model.from_bytes(content))
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(content)
        gradients = [_gradient(model, network, path, case, xnnpack) for xnnpack in (True, False)]
        measured = measure(path, steps=1).growth_bytes
        path.write_bytes(with_int8_kernels(content))
        int8 = measure(path, steps=1).growth_bytes
    return {
        "gradient": gradients,
        "file_mb": len(content) / 1e6,
        "planned_mb": planned.peak_bytes / 1e6,
        "measured_mb": measured / 1e6,
        "int8_mb": int8 / 1e6,
    }


def _gradient(model: Any, network: Any, path: pathlib.Path, case: str, xnnpack: bool) -> float:
    """Returns the largest difference between the file's gradients and the model's, relative to the largest gradient."""
    import numpy as np
    import tensorflow as tf

    from tinytl_tf.export.packing import state_order
    from tinytl_tf.tflite.runtime import load_signatures
    from tinytl_tf.training.objectives import get_objective

    task = "regression" if case == "own:regression" else "classification"
    runners = load_signatures(path, xnnpack=xnnpack)
    details = runners["train"].get_input_details()
    taken = next(name for name in ("image", "array") if name in details)
    examples = np.resize(_examples(network.input_shape[1:]), (_BATCH, *network.input_shape[1:]))
    labels = np.arange(_BATCH) % network.output_shape[-1]
    labels = labels.astype(np.int32) if task == "classification" else np.float32(labels)[:, None]
    before = runners["save"]()["state"].copy()
    step = {taken: examples.astype(details[taken]["dtype"]), "label": labels, "learning_rate": np.float32([1.0])}
    runners["train"](**step)
    change = before - runners["save"]()["state"]
    variables = [variable for variable in model.weights if variable.dtype == "float32"]
    with tf.GradientTape() as tape:
        outputs = tf.reshape(model(examples, training=False), [_BATCH, -1])
        loss = tf.reduce_mean(get_objective(task).loss(_logits(outputs, model), tf.constant(labels), 0.0))
    expected = tape.gradient(loss, [variable.value for variable in variables])
    left = [np.asarray(tf.convert_to_tensor(own)) for own in expected if own is not None]
    offset, worst, largest = 0, 0.0, 0.0
    for variable in state_order(network.trainable_variables):
        own = change[offset : offset + int(np.prod(variable.shape))].reshape(variable.shape)
        offset += own.size
        same = [i for i, other in enumerate(left) if other.shape == own.shape]
        best = min(same, key=lambda i: float(np.abs(left[i] - own).max()))
        worst = max(worst, float(np.abs(left.pop(best) - own).max()))
        largest = max(largest, float(np.abs(own).max()))
    return worst / largest


def _has_softmax(model: Any) -> bool:
    return getattr(getattr(model.layers[-1], "activation", None), "__name__", "") == "softmax"


def _logits(outputs: Any, model: Any) -> Any:
    """Returns the logits for the model's outputs, which may be probabilities."""
    import tensorflow as tf

    return tf.math.log(outputs) if _has_softmax(model) else outputs


def _plain(case: str, trained: str) -> dict[str, Any]:
    """Returns the growth of this process from one training step of the model in plain Keras."""
    import keras
    import numpy as np

    from tinytl_tf.backbones.keras_reader import functional_body
    from tinytl_tf.memory.peak_growth import PeakGrowth

    model, _ = _make(case)
    for layer in model._flatten_layers():
        layer.trainable = True
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = trained != "biases"
    for variable in model.weights if trained == "biases" else ():
        variable.trainable = variable.path.endswith(("bias", "beta"))
    body = functional_body(model)
    shape, outputs = body.inputs[0].shape[1:], body.outputs[0].shape[-1]
    examples = np.resize(_examples(shape), (_BATCH, *shape))
    loss = "mse" if outputs == 1 else keras.losses.SparseCategoricalCrossentropy(from_logits=not _has_softmax(model))
    labels = np.zeros((_BATCH, 1), np.float32) if outputs == 1 else np.zeros(_BATCH, np.int32)
    model.compile(keras.optimizers.SGD(1e-3), loss)
    growth = PeakGrowth()
    model.train_on_batch(examples, labels)
    return {f"{trained}_mb": growth.bytes() / 1e6}


def _make(case: str) -> tuple[Any, dict[str, Any]]:
    """Returns the Keras model of a case with random statistics, and additional arguments for `from_keras`."""
    import keras
    from own_models import OWN_MODELS, hub_model, randomized

    keras.utils.set_random_seed(0)
    if case.startswith("own:"):
        return randomized(OWN_MODELS[case.removeprefix("own:")]()), {}
    if case.startswith("hub:"):
        return randomized(hub_model(case.removeprefix("hub:"))), {}
    pixels, layers = APPLICATIONS[case], keras.layers
    base = getattr(keras.applications, case)(weights=None, include_top=False, input_shape=(pixels, pixels, 3))
    images = keras.Input((pixels, pixels, 3))
    x = base(layers.Rescaling(1 / 127.5, -1)(images), training=False)
    outputs = layers.Dense(_CLASSES, name="predictions")(layers.GlobalAveragePooling2D()(x))
    return randomized(keras.Model(images, outputs, name=case)), {}


if __name__ == "__main__":
    app.run(main)
