"""What the golden models compute: answers, twenty steps, refused steps, the state they end in, steps from there on."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from make_model import BATCH_SIZE, LABELS
from make_photos import PHOTOS
from make_pixels import pixels_file

from tinytl_tf.device import write_state
from tinytl_tf.files import sha256
from tinytl_tf.schedules import SCHEDULES
from tinytl_tf.tflite.runtime import load_signatures

STEPS = 20
CONTINUED = slice(10, 16)  # of the steps, once more from the saved state on; at the first rates flips of masks add up
SCHEDULE, RATE = "cosine", 3e-3  # the loss falls by a third
DELEGATES = {"xnnpack": True, "without_xnnpack": False}
TARGETS = np.array([LABELS.index(photo.shape) for photo in PHOTOS], np.int32)

# Between LiteRT with XNNPACK and without, on x86-64, float32 differs by 9e-6 of the loss, 5e-6 of the change of the
# state and 3e-6 of a logit. On another machine an element of a mask may flip: at a rate of 5e-3 one made it 6e-5 of the
# loss. int8 differs by 6e-3, 1e-3 and 3e-2; losses of other pairs of runtimes have differed by 4e-2.
TOLERANCES = {
    "float32": {"loss": 5e-4, "accuracy": 0.0, "logits": 1e-3, "probabilities": 1e-3, "update": 2e-3},
    "int8": {"loss": 4e-2, "accuracy": 0.25, "logits": 0.15, "probabilities": 0.03, "update": 0.05},
}


def plan() -> list[dict[str, Any]]:
    """Returns the steps: positions in `photos`, their labels, and the rate; each epoch has another order."""
    order = np.array([(5 * k + k // len(PHOTOS)) % len(PHOTOS) for k in range(STEPS * BATCH_SIZE)])
    return [
        {
            "photos": batch.tolist(),
            "labels": TARGETS[batch].tolist(),
            "learning_rate": short(np.float32(SCHEDULES[SCHEDULE](step, STEPS, RATE))),
        }
        for step, batch in enumerate(order.reshape(STEPS, BATCH_SIZE))
    ]


def continued() -> list[dict[str, Any]]:
    """Returns the steps that are taken from the state after the plan: some of it again, at their rates."""
    return plan()[CONTINUED]


def refused() -> list[dict[str, Any]]:
    """Returns steps that change nothing, because a label is no class."""
    step = plan()[0]
    return [
        {**step, "labels": [*step["labels"][:-1], len(LABELS)]},
        {**step, "labels": [-1, *step["labels"][1:]]},
    ]


def write(folder: pathlib.Path, kernels: str, pixels: np.ndarray) -> dict[str, Any]:
    """Runs a model, writes `state_<kernels>.tinytl` and returns `training_<kernels>.json`.

    Args:
        folder: That of the model.
        kernels: `float32` or `int8`.
        pixels: uint8 `[n, SIZE, SIZE, 3]`, the photos in order.
    """
    model, state_name = f"model_{kernels}.tflite", f"state_{kernels}.tinytl"
    fingerprint = bytes.fromhex(sha256(folder / model))
    loaded = {name: load_signatures(folder / model, xnnpack=xnnpack) for name, xnnpack in DELEGATES.items()}
    exported = loaded["xnnpack"]["save"]()["state"]
    before = {name: answers(signatures, pixels) for name, signatures in loaded.items()}
    results = {name: train(signatures, pixels) for name, signatures in loaded.items()}
    state = loaded["xnnpack"]["save"]()["state"]
    after = {}
    for name, signatures in loaded.items():
        signatures["restore"](state=state)
        after[name] = answers(signatures, pixels)
    further = {name: [_step(signatures, pixels, step) for step in continued()] for name, signatures in loaded.items()}
    write_state(folder / state_name, exported, fingerprint)
    exported_hash = sha256(folder / state_name)
    write_state(folder / state_name, state, fingerprint)
    return {
        "model": model,
        "tolerances": TOLERANCES[kernels],
        "photos": [
            {"photo": photo.path, "pixels": pixels_file(photo), "label": int(label)}
            for photo, label in zip(PHOTOS, TARGETS, strict=True)
        ],
        "schedule": SCHEDULE,
        "base_learning_rate": RATE,
        "exported_state_sha256": exported_hash,
        "before": before,
        "steps": [{**step, **{name: results[name][index] for name in DELEGATES}} for index, step in enumerate(plan())],
        "refused": [{**step, "applied": 0} for step in refused()],
        "state_after": state_name,
        "after": after,
        "continued": [
            {**step, **{name: further[name][index] for name in DELEGATES}} for index, step in enumerate(continued())
        ],
    }


def add_eager(training: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns `training_float32.json` with what `make_eager.train` gives, as `tensorflow` of each step."""
    steps = [
        {**step, "tensorflow": result}
        for step, result in zip(training["steps"] + training["continued"], results, strict=True)
    ]
    return {**training, "steps": steps[:STEPS], "continued": steps[STEPS:]}


def train(signatures: dict[str, Callable], pixels: np.ndarray) -> list[dict[str, Any]]:
    """Takes all steps, then the refused ones; returns loss, accuracy and applied of the former.

    Raises:
        RuntimeError: If a step is refused that should be applied, or the other way round.
    """
    results = [_step(signatures, pixels, step) for step in plan()]
    state = signatures["save"]()["state"]
    bad = [_step(signatures, pixels, step)["applied"] for step in refused()]
    if not all(result["applied"] for result in results) or any(bad):
        raise RuntimeError("expected every step of the plan to be applied, and no refused one")
    if not np.array_equal(signatures["save"]()["state"], state):
        raise RuntimeError("expected a refused step to change nothing")
    return results


def answers(signatures: dict[str, Callable], pixels: np.ndarray) -> dict[str, list]:
    """Returns logits and probabilities of each photo, `[n, C]`."""
    outputs = [signatures["infer"](image=image[np.newaxis]) for image in pixels]
    return {
        name: [[short(value) for value in output[name][0]] for output in outputs]
        for name in ("logits", "probabilities")
    }


def _step(signatures: dict[str, Callable], pixels: np.ndarray, step: dict[str, Any]) -> dict[str, Any]:
    outputs = signatures["train"](
        image=pixels[step["photos"]],
        label=np.array(step["labels"], np.int32),
        learning_rate=np.float32([step["learning_rate"]]),
    )
    return {
        "loss": short(outputs["loss"][0]),
        "accuracy": short(outputs["accuracy"][0]),
        "applied": int(outputs["applied"][0]),
    }


def short(value: np.float32) -> float:
    """The shortest number that is this one as float32."""
    return float(str(value))
