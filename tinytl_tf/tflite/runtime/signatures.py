"""The signatures of a `.tflite` as functions, for each of LiteRT's interfaces."""

import importlib
import os
import pathlib
import platform
from collections.abc import Callable
from types import ModuleType

import numpy as np

from tinytl_tf.errors import InputError, TinyTLError
from tinytl_tf.tflite.allocator import give_back_big_blocks
from tinytl_tf.tflite.mapped_file import give_back_pages

__all__ = ["APIS", "THREADS", "check_api", "check_threads", "import_api", "load_signatures"]

THREADS = 2  # of the kernels, for all clients, commands and accounts
_MOST_THREADS = 256
APIS = ("interpreter", "compiled_model")


def check_api(api: str) -> None:
    """Raises InputError if `api` is not one of `APIS`."""
    if api not in APIS:
        raise InputError(f"expected an api of {', '.join(APIS)}, got {api!r}")


def check_threads(num_threads: int) -> None:
    """Raises InputError if `num_threads` is not a number of threads that a machine can have."""
    if type(num_threads) is not int or not 1 <= num_threads <= _MOST_THREADS:
        raise InputError(f"expected num_threads from 1 to {_MOST_THREADS}, got {num_threads!r:.80}")


def import_api(api: str) -> ModuleType:
    """Imports the modules of one of `APIS` only: `compiled_model` takes 3 MB that the other does not need.

    Raises:
        InputError: If there is no such api.
    """
    check_api(api)
    if api == "compiled_model" and lacks_atomics(platform.machine(), _cpuinfo()):
        raise InputError(
            "the CompiledModel of ai-edge-litert's wheel ends the process on an ARM processor without atomics (LSE), "
            'like this one (cortex-a53, a72): its WebGPU library needs them; use the api "interpreter"'
        )
    return importlib.import_module(f"tinytl_tf.tflite.runtime.{api}")


def lacks_atomics(machine: str, cpuinfo: str) -> bool:
    """Whether a processor is an ARM one without the atomic instructions of ARMv8.1 (LSE).

    Args:
        machine: As `platform.machine()` gives it.
        cpuinfo: Content of `/proc/cpuinfo`; without features in it, False.
    """
    features = [line.partition(":")[2].split() for line in cpuinfo.splitlines() if line.startswith("Features")]
    return machine in ("aarch64", "arm64") and bool(features) and "atomics" not in features[0]


def _cpuinfo() -> str:
    try:
        return pathlib.Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ""


def load_signatures(
    path: str | os.PathLike,
    *,
    num_threads: int = THREADS,
    xnnpack: bool = True,
    api: str = "interpreter",
    give_back: bool = True,
    check: Callable[[dict[str, Callable]], None] | None = None,
) -> dict[str, Callable[..., dict[str, np.ndarray]]]:
    """Loads a file into LiteRT.

    Args:
        path: The `.tflite` file.
        num_threads: Threads of the runtime's kernels, 1 or more.
        xnnpack: Whether XNNPACK runs the operators that it supports.
        api: `"interpreter"`; or `"compiled_model"`, LiteRT's newer interface, with options that let XNNPACK take
            less memory. It writes log lines about the machine to standard error.
        give_back: Whether memory that LiteRT no longer uses is returned to the system. It sets the process' allocator,
            see `tinytl_tf.tflite.allocator`; and a file with the signature `reset` has its variables set and its
            kernels packed here, so that the pages read for it can be dropped, see `tinytl_tf.tflite.mapped_file`.
        check: Looks at the signatures before any of them runs; raises `InputError` to refuse them.

    Returns:
        Name of each signature -> a function of its inputs by name that returns its outputs by name, with the methods
        `get_input_details` and `get_output_details`. All share the model's variables; the model is freed with the
        last of them.

    Raises:
        InputError: If LiteRT cannot load the file, or there is no such api.
    """
    module = import_api(api)
    if give_back:
        give_back_big_blocks()
    try:
        signatures = module.load(os.fspath(path), num_threads, xnnpack)
        if check is not None:
            check(signatures)
        if give_back and _takes_nothing(signatures.get("reset")):
            signatures["reset"]()
            give_back_pages(path)
        return signatures
    except TinyTLError:
        raise
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"LiteRT cannot load {path}: {' '.join(str(error).split())}; "
            "export the model again, or install the ai-edge-litert that its manifest asks for"
        ) from error


def _takes_nothing(signature: Callable | None) -> bool:
    return signature is not None and not signature.get_input_details()
