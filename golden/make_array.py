"""Two golden models of arrays, windows of six sensors: one tells classes apart, one predicts two numbers."""

import dataclasses
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from make_training import DELEGATES, TOLERANCES, short

from tinytl_tf.device import write_state
from tinytl_tf.export import export
from tinytl_tf.files import sha256
from tinytl_tf.layers import Activation
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.tflite.runtime import load_signatures
from tinytl_tf.training import make_optimizer
from tinytl_tf.training.objectives import get_objective

ARRAYS = "arrays.raw"  # float32, little-endian, in row-major order
COUNT, SHAPE = 12, (40, 6)  # samples and sensors
MEANING = "40 samples, 20 ms apart, of 6 sensors: acceleration x, y, z in g, turn x, y, z in rad/s"
MEAN, DEVIATION = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0), (0.5, 0.5, 0.5, 2.0, 2.0, 2.0)
BATCH_SIZE, STEPS, CONTINUED = 4, 10, 3
OPTIMIZER, SCHEDULE, RATE = "momentum", "cosine", 0.1
# A number that a client may not pass on, by its place in the first array of a step.
NOT_FINITE = [{"index": [3, 2], "value": "nan"}, {"index": [0, 0], "value": "inf"}, {"index": [39, 5], "value": "-inf"}]


@dataclasses.dataclass(frozen=True)
class Kind:
    """One of the models.

    Attributes:
        name: In the names of its files.
        task: A key of `tinytl_tf.tasks.TASKS`.
        labels: Names of its outputs.
    """

    name: str
    task: str
    labels: tuple[str, ...]


KINDS = (
    Kind("array", "classification", ("rest", "walk", "run")),
    Kind("regression", "regression", ("rate", "strength")),
)


def arrays() -> np.ndarray:
    """Returns swings that are the faster and stronger the higher their class, float32 `[COUNT, *SHAPE]`."""
    rng = np.random.default_rng(0)
    time = np.arange(SHAPE[0]) * 0.02
    result = np.empty((COUNT, *SHAPE))
    for window, (rate, strength) in zip(result, swings(), strict=True):
        phase = rng.uniform(0, 2 * np.pi, SHAPE[1])
        window[:] = strength * np.sin(2 * np.pi * rate * time[:, None] + phase) * DEVIATION + MEAN
    return (result + rng.normal(0, 0.1, result.shape)).astype(np.float32)


def swings() -> np.ndarray:
    """Returns how fast and how strong the swing of each array is, `[COUNT, 2]`."""
    places = np.arange(COUNT) % len(KINDS[0].labels)
    return np.stack([1 + 2.0 * places, 0.2 + 0.8 * places], axis=1)


def labels(kind: Kind) -> np.ndarray:
    """Returns the label of each array: its class, int32; or rate and strength with a mean of 0, float32."""
    if kind.task == "classification":
        return (np.arange(COUNT) % len(kind.labels)).astype(np.int32)
    return ((swings() - swings().mean(0)) / swings().std(0)).astype(np.float32)


def plan(kind: Kind) -> list[dict[str, Any]]:
    """Returns the steps: positions of the arrays, their labels, and the rate; each epoch has another order."""
    order = np.array([(5 * k + k // COUNT) % COUNT for k in range(STEPS * BATCH_SIZE)])
    return [
        {
            "arrays": batch.tolist(),
            "labels": listed(labels(kind)[batch]),
            "learning_rate": short(np.float32(SCHEDULES[SCHEDULE](step, STEPS, RATE))),
        }
        for step, batch in enumerate(order.reshape(STEPS, BATCH_SIZE))
    ]


def refused(kind: Kind) -> list[dict[str, Any]]:
    """Returns steps that change nothing: a label that is none, and a number of the first array that is not finite."""
    step = plan(kind)[0]
    bad = [[*step["labels"][:-1], len(kind.labels)], [-1, *step["labels"][1:]]] if kind.name == "array" else []
    return [{**step, "labels": values} for values in bad] + [{**step, "not_finite": place} for place in NOT_FINITE]


def build(kind: Kind) -> keras.Model:
    """Returns the network: Keras' own layers, frozen kernels, biases and classifier to train; nothing is trained."""
    inputs = keras.Input(SHAPE)
    x = keras.layers.Normalization(mean=MEAN, variance=np.square(DEVIATION))(inputs)
    for name, filters, size in (("first", 8, 5), ("second", 16, 3)):
        x = keras.layers.Conv1D(filters, size, strides=2, padding="same", name=name)(x)
        x = Activation("relu6")(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    x = keras.layers.Dense(len(kind.labels), name="classifier")(x)
    model = keras.Model(inputs, x, name="golden_array")
    rng = np.random.default_rng(1)
    for variable in model.weights:
        is_bias = variable.path.endswith("/bias")
        scale = 0.1 if is_bias else (2 / np.prod(variable.shape[:-1])) ** 0.5
        variable.assign(rng.normal(0, scale, variable.shape))
        variable.trainable = is_bias or variable.path.startswith("classifier/")
    return model


def write(folder: pathlib.Path, kind: Kind) -> dict[str, Any]:
    """Exports and runs a model, writes its state, and returns `array.json` or `regression.json`.

    Args:
        folder: Where `arrays.raw` is.
        kind: One of `KINDS`.
    """
    name, state_name = f"model_{kind.name}.tflite", f"state_{kind.name}.tinytl"
    model, values = build(kind), read(folder)
    export(
        model,
        folder / name,
        labels=kind.labels,
        task=kind.task,
        inputs="array",
        meaning=MEANING,
        optimizer=OPTIMIZER,
        batch_size=BATCH_SIZE,
        save_optimizer=True,
        overwrite=True,
    )
    fingerprint = bytes.fromhex(sha256(folder / name))
    loaded = {delegate: load_signatures(folder / name, xnnpack=xnnpack) for delegate, xnnpack in DELEGATES.items()}
    write_state(folder / state_name, loaded["xnnpack"]["save"]()["state"], fingerprint)
    exported_hash = sha256(folder / state_name)
    before = {delegate: answers(signatures, values) for delegate, signatures in loaded.items()}
    results = {delegate: train(signatures, values, plan(kind)) for delegate, signatures in loaded.items()}
    results["tensorflow"] = train_eagerly(model, kind, values)
    state = loaded["xnnpack"]["save"]()["state"]
    write_state(folder / state_name, state, fingerprint)
    after, further = {}, {}
    for delegate, signatures in loaded.items():
        signatures["restore"](state=state)
        after[delegate] = answers(signatures, values)
        further[delegate] = train(signatures, values, plan(kind)[:CONTINUED])
    return {
        "model": name,
        "task": kind.task,
        "arrays": {"file": ARRAYS, "dtype": "float32", "shape": [COUNT, *SHAPE]},
        "tolerances": TOLERANCES["float32"],
        "schedule": SCHEDULE,
        "base_learning_rate": RATE,
        "exported_state_sha256": exported_hash,
        "before": before,
        "steps": with_results(plan(kind), results),
        "refused": [{**step, "applied": 0} for step in refused(kind)],
        "state_after": state_name,
        "after": after,
        "continued": with_results(plan(kind)[:CONTINUED], further),
    }


def read(folder: pathlib.Path) -> np.ndarray:
    """Returns the arrays of the folder, float32 `[COUNT, *SHAPE]`."""
    return np.frombuffer((folder / ARRAYS).read_bytes(), "<f4").reshape(COUNT, *SHAPE)


def batch_of(step: dict[str, Any], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the arrays of a step, with the number that is not finite if it has one, and its labels."""
    batch = values[step["arrays"]]
    if "not_finite" in step:
        batch[(0, *step["not_finite"]["index"])] = float(step["not_finite"]["value"])
    marks = np.array(step["labels"])
    return batch, marks.astype(np.int32 if marks.ndim == 1 else np.float32)


def train(signatures: dict[str, Any], values: np.ndarray, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Takes steps with the signature; returns loss, accuracy and applied of each."""
    results = []
    for step in steps:
        batch, marks = batch_of(step, values)
        outputs = signatures["train"](array=batch, label=marks, learning_rate=np.float32([step["learning_rate"]]))
        results.append(
            {
                "loss": short(outputs["loss"][0]),
                "accuracy": short(outputs["accuracy"][0]),
                "applied": int(outputs["applied"][0]),
            }
        )
    return results


def train_eagerly(model: keras.Model, kind: Kind, values: np.ndarray) -> list[dict[str, Any]]:
    """Takes the steps of the plan in eager TensorFlow, each batch as a whole; the model is left as it was."""
    start, optimizer = model.get_weights(), make_optimizer(OPTIMIZER)
    optimizer.build(model.trainable_variables)
    loss_of = (
        keras.losses.MeanSquaredError()
        if kind.task == "regression"
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    results = []
    for step in plan(kind):
        batch, marks = batch_of(step, values)
        with tf.GradientTape() as tape:
            logits = model(batch, training=False)
            loss = loss_of(marks, logits)
        optimizer.learning_rate.assign(np.float32(step["learning_rate"]))
        optimizer.apply(tape.gradient(loss, [variable.value for variable in model.trainable_variables]))
        right = np.mean(get_objective(kind.task).correct(logits, marks))
        results.append({"loss": short(np.float32(loss)), "accuracy": short(np.float32(right)), "applied": 1})
    model.set_weights(start)
    return results


def answers(signatures: dict[str, Any], values: np.ndarray) -> dict[str, list]:
    """Returns logits and probabilities of each array, `[n, C]`."""
    outputs = [signatures["infer"](array=array[np.newaxis]) for array in values]
    return {name: [listed(output[name][0]) for output in outputs] for name in ("logits", "probabilities")}


def with_results(steps: list[dict[str, Any]], results: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Returns the steps, each with its results by the name of what computed them."""
    return [{**step, **{name: of_all[index] for name, of_all in results.items()}} for index, step in enumerate(steps)]


def listed(values: np.ndarray) -> list:
    """The numbers as lists, each float32 as the shortest number that it is."""
    if values.ndim > 1:
        return [listed(row) for row in values]
    return values.tolist() if values.dtype.kind == "i" else [short(value) for value in values]
