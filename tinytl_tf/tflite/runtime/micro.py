"""A file for TensorFlow Lite Micro, run by the interpreter of the package `tflite-micro`.

The interpreter ends the process at an arena of a few bytes, and does not check a file. So a file is opened only
with a manifest of the same digest, and with the arena that was measured for it.
"""

import importlib
import importlib.util
import os
import pathlib
from types import ModuleType
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.errors import InputError
from tinytl_tf.tasks import get_task
from tinytl_tf.tflite.manifest import Manifest
from tinytl_tf.tflite.micro_contract import GRAPH, INPUTS, OUTPUTS
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
    """Loads a file; returns its functions in the form of a LiteRT file's signatures.

    `train` adds the gradients of its images up one by one, then applies them.

    Args:
        path: The `.tflite`.
        manifest: Its own.
        batch_size: Images of a step.

    Raises:
        InputError: If the package is not installed, it cannot start the file, or the file has other inputs or outputs
            than its manifest says.
    """
    runtime = import_runtime()
    # A byte string that lives as long as the interpreter, which reads its constants from it.
    content = pathlib.Path(path).read_bytes()
    if schema_fb.Model.GetRootAs(content, 0).SignatureDefsLength():  # such a graph ends the process
        raise InputError(
            f"expected a file for TensorFlow Lite Micro, got {path} with signatures for LiteRT; copy both files of one "
            "export"
        )
    try:
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=manifest.micro["arena"]["bytes"])
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"TensorFlow Lite Micro cannot start {path}: {' '.join(str(error).split())}; export the model again, or "
            f"install the tflite-micro that its manifest names ({manifest.tools.get('tflite-micro', 'none')})"
        ) from error
    graph = manifest.signatures[GRAPH]
    sides = (
        ("inputs", INPUTS, interpreter.get_input_details),
        ("outputs", OUTPUTS, interpreter.get_output_details),
    )
    for kind, names, describe in sides:
        for number, name in enumerate(names):
            _check_tensor(f"{path}: {kind}.{name}", graph[kind][name], describe(number))
    details = {
        kind: {
            name: {"dtype": np.dtype(tensor["dtype"]), "shape_signature": np.array(tensor["shape"], np.int32)}
            for name, tensor in tensors.items()
        }
        for kind, tensors in graph.items()
    }
    micro, task = MicroInterpreter(interpreter), get_task(manifest.task)
    return {name: MicroSignature(name, micro, details, batch_size, task) for name in MicroSignature.NAMES}


def _check_tensor(where: str, expected: dict[str, Any], actual: dict[str, Any]) -> None:
    found = {"shape": [int(size) for size in actual["shape"]], "dtype": np.dtype(actual["dtype"]).name}
    if found != expected:
        raise InputError(f"{where}: expected {expected} of its manifest, got {found}; copy both files of one export")
