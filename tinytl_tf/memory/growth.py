"""Planned memory growth of a process that runs a signature, computed from the file only.

The growth is the sum of the following parts, for LiteRT 2.3 without a delegate on x86-64 Linux. Their constants were
measured once from the memory maps of processes, over files with 250 to 9700 operators; they are not fitted to a model.

* `runtime`: pages of the runtime's library that are read when a model is loaded and run, and the stack. This is the
  highest value observed. Small files need 1 to 2 MB less, and so do page caches that hold the library in smaller
  pieces.
* `file`: pages of the mapped file that are read: its structure and the constants of the graphs that run. The kernel
  maps pages in windows, so up to one window of each unread constant is included. It is more if the kernel's page cache
  holds the file in larger pieces, as it does after one large write (2.6 MB was observed); `tinytl_tf.files` avoids
  that. If a file has the signature `reset`, its pages are dropped after loading, so only later reads count.
* `structures`: the interpreter's records for each operator and its tensors. They exist once for all graphs of the file
  when it is loaded, and again for the graphs that are prepared to run. Scales and zero points of quantized constants
  are included.
* `variables`: resource variables of the graphs that run.
* `arena`, `heap`: planned memory; see `PlannedMemory`.
* `work`: packed operands of matrix products. For float32, Eigen packs pieces of about the size of the caches. For int8,
  ruy packs both operands completely and keeps the memory for the largest product. However, it does not pack the kernel
  of a FULLY_CONNECTED with one row, or int8 kernels with float32 activations except those of convolutions. On
  processors on which ruy also multiplies float32 (ARM), `work` is larger.

The plan applies to a process that returns unused memory to the system; see `tinytl_tf.tflite.runtime.load_signatures`.
"""

import dataclasses
import math

from tinytl_tf.memory.planned import planned_peak
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import THREADS

__all__ = ["PlannedGrowth", "planned_growth"]

_RUNTIME = 3_100_000  # bytes
_RESET = "reset"  # signature that sets the variables; loading a file runs it
_WINDOW = 65536  # bytes that Linux maps around a page of a file when it is read (fault_around_bytes)
_MORE_WINDOWS = 4 * _WINDOW  # bytes mapped in addition to constants that are next to each other
_LOADED_OPERATOR = 550  # bytes: node, registration, parsed options, indices, shapes and records of its tensors
_PREPARED_OPERATOR = 450  # bytes: the kernel's own data, temporary tensors, the planner's records
_SCALE = 8  # bytes per quantized channel: scale and zero point
_WORK = 600_000  # bytes
_WORK_OF_THREADS = 2_200_000  # bytes; Eigen's convolution packs pieces of both operands for all threads at once
_SUM = 4  # bytes that ruy keeps for each packed row and column
# Matrix products, and the index of the input that is the activation.
_ACTIVATION_INPUT = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "BATCH_MATMUL": 0, "TRANSPOSE_CONV": 2}
_KERNEL_INPUT = 1


@dataclasses.dataclass(frozen=True)
class PlannedGrowth:
    """Planned memory growth of a process that runs a signature, by part.

    Attributes:
        signature: name of the signature.
        num_threads: number of interpreter threads.
        parts: bytes of each part; see the module's docstring.
    """

    signature: str
    num_threads: int
    parts: dict[str, int]

    @property
    def growth_bytes(self) -> int:
        """Sum of all parts."""
        return sum(self.parts.values())


def planned_growth(
    model: Model, signature: str = "train", *, file_bytes: int, num_threads: int = THREADS
) -> PlannedGrowth:
    """Estimates the memory growth of a process that loads a file and runs a signature.

    Args:
        model: the file.
        signature: name of the signature.
        file_bytes: size of the file in bytes.
        num_threads: number of interpreter threads.

    Returns:
        The parts of the growth.

    Raises:
        InputError: if the file has no such signature.
    """
    parts = _parts(model, signature, file_bytes, num_threads)
    if _RESET in model.signatures:
        loading = _parts(model, _RESET, file_bytes, num_threads)
        parts["file"] = min(parts["file"], _bytes_read_after_reset(model, signature) + _MORE_WINDOWS)
        parts = max(parts, loading, key=lambda each: sum(each.values()))
    return PlannedGrowth(signature, num_threads, parts)


def _parts(model: Model, signature: str, file_bytes: int, num_threads: int) -> dict[str, int]:
    """Returns the growth of a process that runs a signature and does not drop any page of the file."""
    plan = planned_peak(model, signature, num_threads=num_threads)
    running = model.graphs_of(signature)
    read = _constants(running)
    skipped = [size for size, tensor in model.constants() if tensor.buffer not in read]
    return {
        "runtime": _RUNTIME,
        "file": file_bytes - sum(max(0, size - _WINDOW) for size in skipped),
        "structures": _structure_bytes(model, running),
        "variables": sum(model.resource_variables.values()),
        "arena": plan.arena_bytes,
        "heap": plan.heap_bytes,
        "work": max((_work_bytes(graph, op, num_threads) for graph in running for op in graph.operators), default=0),
    }


def _constants(graphs: list[Graph]) -> set[int]:
    """Returns the indices of the buffers of the graphs' constants."""
    return {tensor.buffer for graph in graphs for tensor in graph.tensors if tensor.is_constant}


def _bytes_read_after_reset(model: Model, signature: str) -> int:
    """Returns the bytes of a signature's constants, without those of initializers, which `reset` has already run."""
    done = {
        i for graph in model.graphs_of(_RESET) for op in graph.operators if op.name == "CALL_ONCE" for i in op.nested
    }
    read = _constants([graph for graph in model.graphs_of(signature) if graph.index not in done])
    return sum(size for size, tensor in model.constants() if tensor.buffer in read)


def _structure_bytes(model: Model, running: list[Graph]) -> int:
    loaded = sum(len(graph.operators) for graph in model.graphs)
    prepared = sum(len(graph.operators) for graph in running)
    quantized = [t.quantization for graph in model.schema.subgraphs for t in graph.tensors if t.quantization]
    scales = sum(len(q.scale) for q in quantized if q.scale is not None)
    return loaded * _LOADED_OPERATOR + prepared * _PREPARED_OPERATOR + scales * _SCALE


def _work_bytes(graph: Graph, op: Operator, num_threads: int) -> int:
    """Returns the bytes that the matrix product of an operator packs; 0 for other operators."""
    if op.name not in _ACTIVATION_INPUT:
        return 0
    activation, kernel = (graph.tensors[op.inputs[index]] for index in (_ACTIVATION_INPUT[op.name], _KERNEL_INPUT))
    if kernel.dtype != "int8" or op.name == "BATCH_MATMUL":
        return _WORK_OF_THREADS if num_threads > 1 else _WORK
    if op.name == "TRANSPOSE_CONV":
        rows, depth, columns = math.prod(kernel.shape[:3]), kernel.shape[3], math.prod(activation.shape[1:3])
    else:
        output = graph.tensors[op.outputs[0]]
        rows, depth, columns = kernel.shape[0], math.prod(kernel.shape[1:]), math.prod(output.shape) // kernel.shape[0]
    in_place = op.name != "CONV_2D" and (activation.dtype == "float32" or columns == 1)
    return 0 if in_place else (rows + columns) * (depth + _SUM)
