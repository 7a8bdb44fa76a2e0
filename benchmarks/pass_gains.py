"""Gain of each pass on the flatbuffer: compares files with all passes, with all but one, and without passes.

MobileNetV2 with SGD, one thread, and the delegate of the profile. Growth and time of `train` are measured in fresh
processes. Weights are random: memory and time do not depend on them.

Commands:
    python benchmarks/pass_gains.py --scheme=tinytl-b --profile=min-memory
    python benchmarks/pass_gains.py --profile=balanced --frozen_weights=float32 --passes=share_kernels
"""

import concurrent.futures
import multiprocessing
import pathlib
import tempfile

from absl import app, flags

from tinytl_tf.files import atomic_write_bytes
from tinytl_tf.memory import measure, planned_peak
from tinytl_tf.profiles import FROZEN_WEIGHTS as FROZEN
from tinytl_tf.tflite.model import Model

SCHEME = flags.DEFINE_string("scheme", "tinytl-b", "Update scheme.")
PROFILE = flags.DEFINE_string("profile", "min-memory", "Memory profile.")
RESOLUTION = flags.DEFINE_integer("resolution", 224, "Pixels.")
CLASSES = flags.DEFINE_integer("classes", 102, "Classes.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Images per step.")
FROZEN_WEIGHTS = flags.DEFINE_enum("frozen_weights", "int8", FROZEN, "Type of the frozen kernels.")
LEFT_OUT = flags.DEFINE_list("passes", [], "Passes to leave out, one at a time; default: all of the profile's.")
STEPS = flags.DEFINE_integer("steps", 5, "Steps for the median.")
THREADS = 1  # times vary less


def export(folder: str, frozen_weights: str, left_out: list[str], *network: str | int) -> tuple[list, bool]:
    """Converts once and writes a file for each choice of passes; returns their names, and whether XNNPACK runs them."""
    from network import trainable_module

    from tinytl_tf.export.build import with_int8_kernels
    from tinytl_tf.export.convert import convert
    from tinytl_tf.export.passes import pass_names, run_passes

    module = trainable_module(*network)
    content = convert(module)
    every = pass_names(delegate=module.profile.xnnpack)
    choices = {
        "all": every,
        **{f"without {name}": [n for n in every if n != name] for name in left_out or every},
        "none": [],
    }
    for name, names in choices.items():
        result = run_passes(content, names)[0]
        result = with_int8_kernels(result) if frozen_weights == "int8" else result
        atomic_write_bytes(pathlib.Path(folder) / f"{name}.tflite", result)
    return list(choices), module.profile.xnnpack


def main(_) -> None:
    """Prints the table."""
    # In a separate process, so that TensorFlow is not in the memory of processes started from here.
    pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with tempfile.TemporaryDirectory() as folder, pool:
        network = (SCHEME.value, PROFILE.value, RESOLUTION.value, CLASSES.value, BATCH_SIZE.value)
        task = (folder, FROZEN_WEIGHTS.value, LEFT_OUT.value, *network)
        names, xnnpack = pool.submit(export, *task).result()
        print("| passes | file MB | operators | planned MB | growth MB | step ms |\n|---|---|---|---|---|---|")
        for name in names:
            path = pathlib.Path(folder) / f"{name}.tflite"
            model = Model.read(path)
            measured = measure(path, steps=STEPS.value, num_threads=THREADS, xnnpack=xnnpack)
            figures = (
                path.stat().st_size / 1e6,
                planned_peak(model, num_threads=THREADS).peak_bytes / 1e6,
                measured.growth_bytes / 1e6,
            )
            print(
                f"| {name} | {figures[0]:.1f} | {len(list(model.operators()))} | {figures[1]:.1f} | {figures[2]:.1f} | "
                f"{measured.step_ms_median:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
