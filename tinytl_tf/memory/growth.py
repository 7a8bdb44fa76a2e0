"""Planned growth of a process that runs a signature, from the file only.

The parts, for LiteRT 2.3 without a delegate on x86-64 Linux. Their constants were measured once, over files with 250 to
9700 operators, from the maps of the process; they are not fitted to a model.

* `runtime`: pages of the runtime's library that loading and running a model reads, and the stack. The most
  that was seen; small files, and page caches that hold the library in smaller pieces, read 1 to 2 MB less.
* `file`: pages of the mapped file that are read: its structure and the constants of the graphs that run. The kernel
  maps pages in windows, so that up to one window of each unread constant is included; more if its page cache holds
  the file in bigger pieces, as after one large write and not in the way of `tinytl_tf.files` (seen: 2.6 MB). The
  pages of a file with the signature `reset` are dropped after loading: then only later reads count.
* `structures`: records of the interpreter for each operator with its tensors, in all graphs of the file when it is
  loaded and again in those that are prepared to run; scales and zero points of quantized constants.
* `variables`: resource variables of the graphs that run.
* `arena`, `heap`: as laid out; see `PlannedMemory`.
* `work`: operands that a matrix product packs. For float32 Eigen packs pieces of the caches' size; for int8 ruy packs
  both operands completely and keeps the memory for the biggest, but reads the kernel of a FULLY_CONNECTED of one row in
  place, and int8 kernels over float32 other than a convolution's. On processors where ruy multiplies float32 too (ARM),
  it is more.

It holds for a process that gives memory back; see `tinytl_tf.tflite.runtime.load_signatures`.
"""

import dataclasses
import math

from tinytl_tf.memory.planned import planned_peak
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import THREADS

__all__ = ["PlannedGrowth", "planned_growth"]

_RUNTIME = 3_100_000  # bytes
_RESET = "reset"  # sets the variables; loading a file runs it
_WINDOW = 65536  # bytes; Linux maps them around a page of a file that is read (fault_around_bytes)
_MORE_WINDOWS = 4 * _WINDOW  # mapped with constants that lie side by side
_LOADED_OPERATOR = 550  # bytes: node, registration, parsed options, numbers, shapes and records of its tensors
_PREPARED_OPERATOR = 450  # bytes: the kernel's own data, temporary tensors, the planner's records
_SCALE = 8  # bytes of a quantized channel: scale and zero point
_WORK = 600_000  # bytes
_WORK_OF_THREADS = 2_200_000  # bytes; Eigen's convolution packs pieces of both operands for all threads at once
_SUM = 4  # bytes that ruy keeps for each packed row and column
# Matrix products, and which of their inputs is the activation.
_ACTIVATION_INPUT = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "BATCH_MATMUL": 0, "TRANSPOSE_CONV": 2}
_KERNEL_INPUT = 1


@dataclasses.dataclass(frozen=True)
class PlannedGrowth:
    """Planned growth of a process that runs a signature, by parts.

    Attributes:
        signature: Name of the signature.
        num_threads: Threads of the interpreter.
        parts: Bytes of each part; see the module's text.
    """

    signature: str
    num_threads: int
    parts: dict[str, int]

    @property
    def growth_bytes(self) -> int:
        """All parts together."""
        return sum(self.parts.values())


def planned_growth(
    model: Model, signature: str = "train", *, file_bytes: int, num_threads: int = THREADS
) -> PlannedGrowth:
    """Estimates by how much a process grows that loads a file and runs a signature.

    Args:
        model: The file.
        signature: Name of the signature.
        file_bytes: Size of the file in bytes.
        num_threads: Threads of the interpreter.

    Returns:
        The parts of the growth.

    Raises:
        InputError: If the file has no such signature.
    """
    parts = _parts(model, signature, file_bytes, num_threads)
    if _RESET in model.signatures:
        loading = _parts(model, _RESET, file_bytes, num_threads)
        parts["file"] = min(parts["file"], _bytes_read_after_reset(model, signature) + _MORE_WINDOWS)
        parts = max(parts, loading, key=lambda each: sum(each.values()))
    return PlannedGrowth(signature, num_threads, parts)


def _parts(model: Model, signature: str, file_bytes: int, num_threads: int) -> dict[str, int]:
    """The growth of a process that runs a signature of a file and gives nothing of the file back."""
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
    """Buffers of the graphs' constants."""
    return {tensor.buffer for graph in graphs for tensor in graph.tensors if tensor.is_constant}


def _bytes_read_after_reset(model: Model, signature: str) -> int:
    """Constants of a signature's graphs, without the initializers' constants, which `reset` has run."""
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
    """Bytes that the matrix product of an operator packs."""
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
