"""Measured memory: the growth of a new process that runs a signature. Linux only."""

import dataclasses
import functools
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

__all__ = ["MeasuredMemory", "measure", "measure_adapt", "measure_client", "measure_time_ratio"]

_SMALL = 1e-3  # learning rate low enough that training on random images does not make the weights infinite


@dataclasses.dataclass(frozen=True)
class MeasuredMemory:
    """Memory and time of one process that ran a signature.

    Attributes:
        signature: name of the signature.
        num_threads: number of threads of LiteRT's kernels.
        xnnpack: whether the XNNPACK delegate was used.
        api: LiteRT API that was used, one of `tinytl_tf.tflite.runtime.APIS`.
        give_back: whether memory that LiteRT no longer used was returned to the system.
        growth_bytes: peak resident memory (VmHWM) after the runs, minus the resident memory before the model was
            loaded. Constants in the file count if they were read and not dropped.
        first_step_ms: time for loading the model and for the first run, which plans the memory and packs the kernels.
        step_ms_median: median time of the subsequent runs.
        steps: number of subsequent runs.
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
    """Runs a signature with random inputs in a new process, and measures memory and time.

    Args:
        path: path of the `.tflite` file.
        signature: name of the signature.
        steps: number of runs after the first one; the median time is over these runs.
        num_threads: number of threads of LiteRT's kernels.
        xnnpack: whether to use the XNNPACK delegate, as the runtime does by default.
        api: one of `tinytl_tf.tflite.runtime.APIS`. The setup that a CompiledModel needs before it loads a file is
            included in the growth.
        give_back: whether memory that LiteRT no longer uses is returned to the system, as in `tinytl_tf.device`; see
            `tinytl_tf.tflite.runtime.load_signatures`. Otherwise a process keeps more memory, and with glibc even more
            after several steps.

    Returns:
        The memory growth and the times.

    Raises:
        InputError: if the system is not Linux; if `steps` or `num_threads` is out of range; if the file, signature or
            API does not exist; if the file needs operators that the runtime lacks; or if the process failed or was
            killed, for example for lack of memory.
    """
    _require_linux()
    _check_steps(steps)
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


def measure_time_ratio(
    path: str | os.PathLike, *, steps: int = 5, num_threads: int = THREADS, xnnpack: bool = True
) -> float:
    """Returns how many times as long a training step takes as the inferences of its images, in a new process.

    The process alternates between a step and as many inferences as the step has images, so that other work on the
    machine slows down both. The images are random.

    Args:
        path: path of the `.tflite` file, with signatures `train` and `infer`.
        steps: number of training steps after the first one; the median is over these steps.
        num_threads: number of threads of LiteRT's kernels.
        xnnpack: whether to use the XNNPACK delegate.

    Returns:
        Median, over the steps, of the time of the step divided by the time of the inferences that follow it.

    Raises:
        InputError: if the system is not Linux; if `steps` or `num_threads` is out of range; if the file or one of its
            signatures does not exist; or if the process failed or was killed.
    """
    _require_linux()
    _check_steps(steps)
    check_threads(num_threads)
    model = Model.read(path)
    signatures = {name: model.signature(name).inputs for name in ("train", "infer")}
    task = {
        "path": os.fspath(path),
        "inputs": {
            name: {key: [tensor.shape, tensor.dtype] for key, tensor in inputs.items()}
            for name, inputs in signatures.items()
        },
        "steps": steps,
        "images": signatures["train"]["label"].shape[0],
        "options": {"num_threads": num_threads, "xnnpack": xnnpack},
    }
    return _in_fresh_process("run_time_worker", task, f"{path} to train and infer")["time_ratio"]


def measure_client(
    path: str | os.PathLike,
    *,
    num_threads: int = THREADS,
    xnnpack: bool | None = None,
    api: str = "interpreter",
) -> int:
    """Returns the memory growth of a new process that infers, trains and infers again, as any client does.

    The runtime keeps the memory of a signature, with its packed kernels, while another signature runs. Therefore a
    client needs more memory than `measure` reports for `train`. The images are random. The memory of the batch is
    included, but no memory for decoding images.

    Args:
        path: path of the `.tflite` file.
        num_threads: number of threads of LiteRT's kernels.
        xnnpack: whether to use the XNNPACK delegate; None for the manifest's setting.
        api: one of `tinytl_tf.tflite.runtime.APIS`.

    Returns:
        Peak resident memory (VmHWM) of the process, minus the resident memory before the file was loaded, in bytes.

    Raises:
        InputError: if the system is not Linux; if `num_threads` or `api` is invalid; or if
            `tinytl_tf.device.TrainableModel` refuses the file, in which case the message gives its reason.
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
    """Returns the memory growth of a new process that runs the steps of `tinytl adapt`.

    The process loads the file, evaluates, trains for one epoch and evaluates again, on up to 64 training images and 32
    test images. Unlike in `measure_client`, the images are decoded; the memory for decoding peaks after a few images.

    Args:
        path: path of the `.tflite` file.
        dataset: name of a data set for `tinytl_tf.data.load`, for example a folder of photos.
        num_threads: number of threads of LiteRT's kernels.
        xnnpack: whether to use the XNNPACK delegate; None for the manifest's setting.
        api: one of `tinytl_tf.tflite.runtime.APIS`.
        by_position: whether classes are matched to outputs by their position.

    Returns:
        Peak resident memory (VmHWM) of the run, minus the resident memory before the file was loaded, in bytes.

    Raises:
        InputError: if the system is not Linux; if `num_threads` or `api` is invalid; or if the run fails, in which case
            the message gives the reason.
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
    """Calls a function of this module in a new process, with a task as JSON on standard input; returns its result."""
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
    """Runs one measurement in this process; reads the task from standard input and prints the result, both as JSON."""
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


def run_time_worker() -> None:
    """Runs one `measure_time_ratio` measurement in this process, with the same input and output as `run_worker`."""
    task = json.loads(sys.stdin.read())
    import_api("interpreter")
    rng = np.random.default_rng(0)
    signatures = load_signatures(task["path"], **task["options"])
    train, infer = (
        functools.partial(signatures[name], **{key: _random_input(rng, *own) for key, own in inputs.items()})
        for name, inputs in task["inputs"].items()
    )
    ratios = []
    for _ in range(1 + task["steps"]):
        start = time.perf_counter()
        train()
        middle = time.perf_counter()
        for _ in range(task["images"]):
            infer()
        ratios.append((middle - start) / (time.perf_counter() - middle))
    print(json.dumps({"time_ratio": statistics.median(ratios[1:])}))  # the first step plans the memory


def run_client_worker() -> None:
    """Runs one `measure_client` measurement in this process, with the same input and output as `run_worker`."""
    from tinytl_tf import device  # the other measurements do not need it

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
    """Runs one `measure_adapt` measurement in this process, with the same input and output as `run_worker`."""
    from tinytl_tf import data, device  # the other measurements do not need them

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


def _check_steps(steps: int) -> None:
    if type(steps) is not int or steps < 1:
        raise InputError(f"expected steps of at least 1, got {steps!r:.80}")


def _require_linux() -> None:
    if not STATUS.exists():
        raise InputError(f"expected Linux, with /proc to measure a process's memory, got {sys.platform}; measure there")


def _random_input(rng: np.random.Generator, shape: list[int], dtype: str) -> np.ndarray:
    """Returns random pixels or features, a small number for a single float (learning rate), or 0s and 1s (labels)."""
    dtype = np.dtype(dtype)
    if dtype == np.uint8:
        return rng.integers(0, 256, shape, dtype)
    if dtype.kind == "f":
        return np.asarray(np.full(shape, _SMALL) if math.prod(shape) == 1 else rng.random(shape), dtype)
    return rng.integers(0, 2, shape).astype(dtype) if shape else np.asarray(0, dtype)
