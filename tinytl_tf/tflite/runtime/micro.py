"""A file for TensorFlow Lite Micro, run by the interpreter of the package `tflite-micro`.

The interpreter ends the process at an arena of a few bytes, and does not check a file. So a file is opened with its
manifest only, whose digest it has to have, and with the arena that was measured for it.
"""

import importlib
import importlib.util
import os
import pathlib
from types import ModuleType

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.tasks import get_task
from tinytl_tf.tflite.manifest import Manifest
from tinytl_tf.tflite.micro_contract import GRAPH
from tinytl_tf.tflite.runtime.micro_signature import MicroInterpreter, MicroSignature

__all__ = ["REMEDY", "import_runtime", "load"]

REMEDY = "install it with `pip install tflite-micro`, which has wheels for x86-64 Linux"
_PACKAGE = "tflite_micro"
_MODULE = f"{_PACKAGE}.python.tflite_micro.runtime"


def import_runtime() -> ModuleType:
    """Imports TensorFlow Lite Micro.

    Raises:
        InputError: If it is not installed.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise InputError(f"expected the package tflite-micro, which runs files of this target, got none; {REMEDY}")
    return importlib.import_module(_MODULE)


def load(path: str | os.PathLike, manifest: Manifest, batch_size: int) -> dict[str, MicroSignature]:
    """Loads a file; returns what it can do as the signatures that a file for LiteRT has.

    `train` adds the gradients of its images up one by one, then applies them.

    Args:
        path: The `.tflite`.
        manifest: Its own.
        batch_size: Images of a step.

    Raises:
        InputError: If the package is not installed, or it cannot start the file.
    """
    runtime = import_runtime()
    # A byte string that lives as long as the interpreter, which reads its constants from it.
    content = pathlib.Path(path).read_bytes()
    try:
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=manifest.micro["arena"]["bytes"])
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"TensorFlow Lite Micro cannot start {path}: {' '.join(str(error).split())}; export the model again, or "
            f"install the tflite-micro that its manifest names ({manifest.tools.get('tflite-micro', 'none')})"
        ) from error
    details = {
        kind: {
            name: {"dtype": np.dtype(tensor["dtype"]), "shape_signature": np.array(tensor["shape"], np.int32)}
            for name, tensor in tensors.items()
        }
        for kind, tensors in manifest.signatures[GRAPH].items()
    }
    graph, task = MicroInterpreter(interpreter), get_task(manifest.task)
    return {name: MicroSignature(name, graph, details, batch_size, task) for name in MicroSignature.NAMES}
