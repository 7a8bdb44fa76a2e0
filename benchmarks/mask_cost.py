"""Cost of activation masks in a training step: compares a file with masks and a file with constant masks of ones.

The second file computes wrong gradients; it is the lower bound for a step with the same convolutions, sums and updates.
MobileNetV2 with random weights, SGD, int8 frozen weights, XNNPACK, one thread. Steps of both files and inferences of
the first file alternate in one process.

Command:
    python benchmarks/mask_cost.py --scheme=tinytl-b
"""

import statistics
import time
from unittest import mock

import numpy as np
from absl import app, flags
from ai_edge_litert.interpreter import Interpreter
from network import trainable_module

from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.ops import activations

SCHEME = flags.DEFINE_string("scheme", "tinytl-b", "Update scheme.")
PROFILE = flags.DEFINE_string("profile", "balanced", "Memory profile.")
RESOLUTION = flags.DEFINE_integer("resolution", 224, "Pixels.")
CLASSES = flags.DEFINE_integer("classes", 102, "Classes.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images per step.")
STEPS = flags.DEFINE_integer("steps", 10, "Steps for the median.")


def make_file() -> bytes:
    """Returns the file of the network with int8 kernels."""
    task = (SCHEME.value, PROFILE.value, RESOLUTION.value, CLASSES.value, BATCH_SIZE.value)
    return with_int8_kernels(build_file(trainable_module(*task))[0])


def main(_) -> None:
    """Prints the medians."""
    whole = make_file()
    with mock.patch.object(activations, "keep_mask", return_value=lambda dy: dy):
        bare = make_file()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (BATCH_SIZE.value, RESOLUTION.value, RESOLUTION.value, 3), np.uint8)
    batch = {"image": images, "label": np.zeros(BATCH_SIZE.value, np.int32), "learning_rate": np.float32([1e-3])}
    interpreters = [Interpreter(model_content=content, num_threads=1) for content in (whole, bare)]
    runners = [interpreter.get_signature_runner("train") for interpreter in interpreters]
    infer = interpreters[0].get_signature_runner("infer")
    calls = {
        "step": lambda: runners[0](**batch),
        "step without masks": lambda: runners[1](**batch),
        f"{BATCH_SIZE.value} inferences": lambda: [infer(image=images[:1]) for _ in range(BATCH_SIZE.value)],
    }
    times = {name: [] for name in calls}
    for _ in range(1 + STEPS.value):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    inferences = list(medians.values())[-1]
    for name, median in medians.items():
        print(f"{name:20s} {median:7.1f} ms  {median / inferences:5.2f} x the inferences")


if __name__ == "__main__":
    app.run(main)
