"""A golden model with spare classes: one is added, trained, and travels with the state."""

import pathlib
from typing import Any

import numpy as np
from make_model import LABELS
from make_training import DELEGATES, TOLERANCES, plan, short

from tinytl_tf.device import TrainableModel
from tinytl_tf.files import sha256

MODEL, STATE = "model_spare.tflite", "state_spare.tinytl"
SPARE = 2
CLASS = "zèbre"
STEPS = 6
MOVED = LABELS.index("leaf")  # its photos are those of the new class here


def steps() -> list[dict[str, Any]]:
    """Returns the first steps of the plan, in which the photos of one class are of the added one."""
    return [
        {**step, "labels": [len(LABELS) if label == MOVED else label for label in step["labels"]]}
        for step in plan()[:STEPS]
    ]


def write(folder: pathlib.Path, pixels: np.ndarray) -> dict[str, Any]:
    """Runs the model, writes `state_spare.tinytl` and returns `spare.json`.

    Args:
        folder: That of the model.
        pixels: uint8 `[n, SIZE, SIZE, 3]`, the photos in order.
    """
    models = {name: TrainableModel(folder / MODEL, xnnpack=xnnpack) for name, xnnpack in DELEGATES.items()}
    for model in models.values():
        model.add_class(CLASS)
    models["xnnpack"].save(folder / STATE)
    added_hash = sha256(folder / STATE)
    results = {name: train(model, pixels) for name, model in models.items()}
    models["xnnpack"].save(folder / STATE)
    for model in models.values():
        model.restore(folder / STATE)
    return {
        "model": MODEL,
        "tolerances": TOLERANCES["float32"],
        "class": CLASS,
        "label": len(LABELS),
        "added_state_sha256": added_hash,
        "steps": [{**step, **{name: results[name][index] for name in DELEGATES}} for index, step in enumerate(steps())],
        "refused": [{**plan()[0], "labels": [len(LABELS) + 1, *plan()[0]["labels"][1:]], "applied": 0}],
        "state_after": STATE,
        "after": {name: answers(model, pixels) for name, model in models.items()},
    }


def train(model: TrainableModel, pixels: np.ndarray) -> list[dict[str, Any]]:
    """Takes the steps; returns loss, accuracy and applied of each."""
    results = [
        model.train(pixels[step["photos"]], np.array(step["labels"], np.int32), step["learning_rate"])
        for step in steps()
    ]
    return [
        {
            "loss": short(np.float32(result.loss)),
            "accuracy": short(np.float32(result.accuracy)),
            "applied": int(result.applied),
        }
        for result in results
    ]


def answers(model: TrainableModel, pixels: np.ndarray) -> dict[str, list]:
    """Returns logits and probabilities of each photo for the classes in use, `[n, 6]`."""
    results = [model.infer(image) for image in pixels]
    return {
        name: [[short(value) for value in getattr(result, name)] for result in results]
        for name in ("logits", "probabilities")
    }
