"""Measured account: the growth of a fresh process that runs a signature. Linux only."""

import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
import time

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.memory.peak_growth import STATUS, PeakGrowth
from tinytl_tf.tflite.inputs import INPUTS
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import THREADS, check_api, check_threads, import_api, load_signatures

__all__ = ["MeasuredMemory", "measure", "measure_adapt", "measure_client"]

_SMALL = 1e-3  # a learning rate with which random images do not drive the weights to infinity


@dataclasses.dataclass(frozen=True)
class MeasuredMemory:
    """Memory and time of one process that ran a signature.

    Attributes:
        signature: Name of the signature.
        num_threads: Threads of LiteRT's kernels.
        xnnpack: Whether the XNNPACK delegate was used.
        api: LiteRT's interface.
        give_back: Whether memory that LiteRT does not use any more left the process.
        growth_bytes: Highest resident memory (VmHWM) after the runs, minus the resident memory before the model was
            loaded. Constants of the file count if they were read and not dropped.
        first_step_ms: Time of loading the model and of the first run, which plans the memory and packs the kernels.
        step_ms_median: Median time of the further runs.
        steps: Number of the further runs.
    """

    signature: str
    num_threads: int
    xnnpack: bool
    api: str
    give_back: bool
    growth_bytes: int
    first_step_ms: float
    step_ms_median: float
    steps: int


def measure(
    path: str | os.PathLike,
    signature: str = "train",
    *,
    steps: int = 3,
    num_threads: int = THREADS,
    xnnpack: bool = True,
    api: str = "interpreter",
    give_back: bool = True,
) -> MeasuredMemory:
    """Runs a signature in a fresh process with random inputs and measures its memory and time.

    Args:
        path: The `.tflite` file.
        signature: Name of the signature.
        steps: Number of runs to take the median of, after the first one.
        num_threads: Threads of LiteRT's kernels.
        xnnpack: Whether to use the XNNPACK delegate, which the runtime does by default.
        api: One of `tinytl_tf.tflite.runtime.APIS`. The setup of a CompiledModel before it loads a file counts too.
        give_back: Whether memory that LiteRT no longer uses is returned to the system, as with `tinytl_tf.device`; see
            `tinytl_tf.tflite.runtime.load_signatures`. Without it, a process holds more, and with glibc more after
            several steps.

    Returns:
        The growth and the times.

    Raises:
        InputError: If the system is not Linux, the file, the signature or the api does not exist, the file needs
            operators that the runtime lacks, or the process was ended, for example by a lack of memory.
    """
    _require_linux()
    if type(steps) is not int or steps < 1:
        raise InputError(f"expected steps of at least 1, got {steps!r:.80}")
    check_threads(num_threads)
    check_api(api)
    inputs = Model.read(path).signature(signature).inputs
    options = {"num_threads": num_threads, "xnnpack": xnnpack, "api": api, "give_back": give_back}
    task = {
        "path": os.fspath(path),
        "signature": signature,
        "inputs": {name: [tensor.shape, tensor.dtype] for name, tensor in inputs.items()},
        "steps": steps,
        **options,
    }
    result = _in_fresh_process("run_worker", task, f"{path} to run its signature {signature!r}")
    return MeasuredMemory(signature=signature, steps=steps, **options, **result)


def measure_client(
    path: str | os.PathLike,
    *,
    num_threads: int = THREADS,
    xnnpack: bool | None = None,
    api: str = "interpreter",
) -> int:
    """Returns by how much a fresh process grows that infers, trains and infers again, as any client does.

    The runtime keeps the memory of a signature, with its packed kernels, while another one runs: a client needs more
    than `measure` reports for `train`. The images are random; the batch counts, decoding does not.

    Args:
        path: The `.tflite` file.
        num_threads: Threads of LiteRT's kernels.
        xnnpack: Whether to use the XNNPACK delegate; None for the manifest's setting.
        api: One of `tinytl_tf.tflite.runtime.APIS`.

    Returns:
        Bytes: the highest resident memory (VmHWM) of the process over that before the file was loaded.

    Raises:
        InputError: If the system is not Linux, or `tinytl_tf.device.TrainableModel` refuses the file; the message has
            its reason.
    """
    _require_linux()
    check_threads(num_threads)
    check_api(api)
    task = {"path": os.fspath(path), "model": {"num_threads": num_threads, "xnnpack": xnnpack, "api": api}}
    return _in_fresh_process("run_client_worker", task, f"{path} to infer and train")["growth_bytes"]


def measure_adapt(
    path: str | os.PathLike,
    dataset: str | os.PathLike,
    *,
    num_threads: int = THREADS,
    xnnpack: bool | None = None,
    api: str = "interpreter",
    by_position: bool = False,
) -> int:
    """Returns the growth of a fresh process that runs the steps of `tinytl adapt`.

    It loads the file, evaluates, trains an epoch and evaluates again, on up to 64 images for training and 32 for the
    test, with decoding: the memory for decoding peaks after a few images. `measure_client` does not
    decode.

    Args:
        path: The `.tflite` file.
        dataset: Name for `tinytl_tf.data.load`, for example a folder of photos.
        num_threads: Threads of LiteRT's kernels.
        xnnpack: Whether to use the XNNPACK delegate; None for the manifest's setting.
        api: One of `tinytl_tf.tflite.runtime.APIS`.
        by_position: Whether classes are matched to outputs by their position.

    Returns:
        Bytes: the highest resident memory (VmHWM) of the run over that before the file was loaded.

    Raises:
        InputError: If the system is not Linux, or the run fails; the message has its reason.
    """
    _require_linux()
    check_threads(num_threads)
    check_api(api)
    task = {
        "path": os.fspath(path),
        "dataset": os.fspath(dataset),
        "model": {"num_threads": num_threads, "xnnpack": xnnpack, "api": api},
        "by_position": by_position,
    }
    return _in_fresh_process("run_adapt_worker", task, f"{path} to be adapted on {dataset}")["growth_bytes"]


def _in_fresh_process(worker: str, task: dict, what: str) -> dict:
    """Calls a function of this module in a process of its own, with a task as JSON; returns its result."""
    process = subprocess.run(
        [sys.executable, "-c", f"from tinytl_tf.memory import measured; measured.{worker}()"],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        lines = [line for line in process.stderr.splitlines() if line and not line.startswith("INFO: ")]  # LiteRT's log
        reason = lines[-1] if lines else "no message"
        raise InputError(
            f"expected {what}, but the process ended with status {process.returncode}: {reason}; export it again if it "
            "is damaged, or free memory"
        )
    return json.loads(process.stdout.splitlines()[-1])


def run_worker() -> None:
    """Runs one measurement in this process: the task is JSON on standard input, the result JSON on standard output."""
    task = json.loads(sys.stdin.read())
    import_api(task["api"])  # before the growth is measured
    rng = np.random.default_rng(0)
    inputs = {name: _random_input(rng, shape, dtype) for name, (shape, dtype) in task["inputs"].items()}
    growth = PeakGrowth()

    times = [time.perf_counter()]
    options = {name: task[name] for name in ("num_threads", "xnnpack", "api", "give_back")}
    runner = load_signatures(task["path"], **options)[task["signature"]]
    for _ in range(1 + task["steps"]):
        runner(**inputs)
        times.append(time.perf_counter())
    growth_bytes = growth.bytes()

    first, *rest = [1e3 * (b - a) for a, b in zip(times, times[1:], strict=False)]
    print(json.dumps({"growth_bytes": growth_bytes, "first_step_ms": first, "step_ms_median": statistics.median(rest)}))


def run_client_worker() -> None:
    """Does one run of `measure_client` in this process, with the same way in and out."""
    from tinytl_tf import device  # no other account needs it

    task = json.loads(sys.stdin.read())
    import_api(task["model"]["api"])  # before the growth is measured
    rng = np.random.default_rng(0)
    growth = PeakGrowth()
    model = device.TrainableModel(task["path"], trust=True, **task["model"])
    values = rng.integers(0, 256, (model.batch_size, *model.input_shape), np.uint8)
    images = values.astype(INPUTS[model.input_name], copy=False)
    labels = np.zeros(model.task.label_shape(len(images), model.num_classes), model.task.label_dtype)
    model.infer(images[0])
    for _ in range(2):
        model.train(images, labels, _SMALL)
        model.infer(images[0])
    print(json.dumps({"growth_bytes": growth.bytes()}))


def run_adapt_worker() -> None:
    """Does one run of `measure_adapt` in this process, with the same way in and out."""
    from tinytl_tf import data, device  # no other account needs them

    task = json.loads(sys.stdin.read())
    import_api(task["model"]["api"])  # before the growth is measured
    splits = data.load(task["dataset"])
    growth = PeakGrowth()
    model = device.TrainableModel(task["path"], trust=True, **task["model"])
    splits = dataclasses.replace(splits, train=_first(splits.train, 64), test=_first(splits.test, 32), validation=None)
    device.adapt(model, splits, epochs=1, by_position=task["by_position"])
    print(json.dumps({"growth_bytes": growth.bytes()}))


def _first(dataset, count: int):
    return dataset.subset(np.arange(min(count, len(dataset))))


def _require_linux() -> None:
    if not STATUS.exists():
        raise InputError(f"expected Linux, with /proc to measure a process's memory, got {sys.platform}; measure there")


def _random_input(rng: np.random.Generator, shape: list[int], dtype: str) -> np.ndarray:
    """Random pixels and features; small numbers for single floats (learning rate) and integers (labels)."""
    dtype = np.dtype(dtype)
    if dtype == np.uint8:
        return rng.integers(0, 256, shape, dtype)
    if dtype.kind == "f":
        return np.asarray(np.full(shape, _SMALL) if math.prod(shape) == 1 else rng.random(shape), dtype)
    return rng.integers(0, 2, shape).astype(dtype) if shape else np.asarray(0, dtype)
