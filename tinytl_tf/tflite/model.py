"""Reads, inspects and writes a `.tflite` file."""

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb
from ai_edge_litert.tools import flatbuffer_utils

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.regular_file import open_regular
from tinytl_tf.tflite.edit import NESTED, add_buffer, drop_unused_codes
from tinytl_tf.tflite.graph import Graph, Operator, Tensor
from tinytl_tf.tflite.liveness import dropped_tensors, dynamic_tensors

__all__ = ["Model", "Signature"]

_IDENTIFIER = b"TFL3"
_BUILTINS = {code: name for name, code in vars(schema_fb.BuiltinOperator).items() if isinstance(code, int)}
_DTYPES = {code: name.lower() for name, code in vars(schema_fb.TensorType).items() if isinstance(code, int)}
# Bits per element of types that numpy lacks; a handle has no bytes in the arena.
_BITS = {"int4": 4, "uint4": 4, "int2": 2, "bfloat16": 16, "string": 0, "resource": 0, "variant": 0}
_BITS |= {"float8_e4m3fn": 8, "float8_e5m2": 8}

_LARGEST_SHARED = 65536  # bytes; the converter already stores equal constants only once


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature of a file.

    Attributes:
        name: Its name.
        graph: Index of the graph that it runs.
        inputs: Input tensors of that graph, by the names that callers use.
        outputs: The same for the outputs.
    """

    name: str
    graph: int
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Model:
    """A `.tflite` file.

    Example:
        >>> model = Model.read("model.tflite")  # doctest: +SKIP
        >>> model.graphs[model.signature("train").graph].operators[0].name  # doctest: +SKIP
        'CALL_ONCE'

    Args:
        schema: The file as an object of ai_edge_litert's schema. After changing it, create a new `Model`.

    Attributes:
        schema: The argument `schema`.
        graphs: All subgraphs.
        signatures: All signatures, by name.
    """

    def __init__(self, schema: schema_fb.ModelT) -> None:
        self.schema = schema
        plain = [_read_graph(schema, index) for index in range(len(schema.subgraphs))]
        self.graphs = tuple(
            dataclasses.replace(graph, dynamic=dynamic_tensors(graph, plain), dropped=dropped_tensors(graph, plain))
            for graph in plain
        )
        self.signatures = {s.name: s for s in _read_signatures(schema, self.graphs)}

    @classmethod
    def read(cls, path: str | os.PathLike) -> "Model":
        """Reads a file.

        Args:
            path: The `.tflite` file.

        Raises:
            InputError: If there is no such file or it is not a `.tflite`.
        """
        try:
            with open_regular(files.expand(path)) as stream:
                content = stream.read()
        except OSError as error:
            raise InputError(f"expected a .tflite file at {path}, got: {error.strerror}; check the path") from error
        return cls.from_bytes(content, path)

    @classmethod
    def from_bytes(cls, content: bytes, source: str | os.PathLike = "the given bytes") -> "Model":
        """Reads the content of a file; `source` is its name in error messages."""
        if content[4:8] != _IDENTIFIER:
            raise InputError(
                f"expected a .tflite file (it has the mark TFL3 at byte 4), got {content[4:8]!r} in {source}; "
                "export the model again"
            )
        try:
            return cls(flatbuffer_utils.read_model_from_bytearray(content))
        except Exception as error:  # the flatbuffer library can raise any error at a damaged offset
            raise InputError(
                f"expected an intact .tflite file, got a damaged one: {source} ({type(error).__name__} while reading); "
                "export or copy it again"
            ) from error

    def to_bytes(self) -> bytes:
        """Returns the content of the file, built from `schema`; unused operator codes are first removed from it."""
        drop_unused_codes(self.schema)
        builder = _SharingBuilder(1024)
        builder.Finish(self.schema.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())

    def write(self, path: str | os.PathLike) -> None:
        """Writes the file atomically."""
        files.atomic_write_bytes(path, self.to_bytes())

    def signature(self, name: str) -> Signature:
        """Returns the signature called `name`.

        Raises:
            InputError: If the file does not have it.
        """
        if name not in self.signatures:
            known = ", ".join(self.signatures) or "none"
            raise InputError(f"expected one of the signatures of the file ({known}), got {name!r}")
        return self.signatures[name]

    def graphs_of(self, name: str) -> list[Graph]:
        """Returns the graphs that a signature runs: its own, and the graphs of loops, branches and initializers.

        Raises:
            InputError: If the file has no signature called `name`.
        """
        found = [self.signature(name).graph]
        for index in found:
            nested = [i for op in self.graphs[index].operators for i in op.nested]
            found += [i for i in dict.fromkeys(nested) if i not in found]
        return [self.graphs[i] for i in found]

    def metadata(self, name: str) -> bytes | None:
        """Returns the content of the metadata called `name`, or None."""
        for entry in self.schema.metadata or []:
            if _text(entry.name) == name:
                return bytes(self.schema.buffers[entry.buffer].data)
        return None

    def set_metadata(self, name: str, content: bytes) -> None:
        """Stores metadata; existing metadata of the same name is replaced.

        Args:
            name: Name by which `metadata` finds it.
            content: Any bytes.
        """
        entries = list(self.schema.metadata or [])
        entry = next((entry for entry in entries if _text(entry.name) == name), None)
        if entry is None:
            entry = schema_fb.MetadataT()
            entry.name, entry.buffer = name, add_buffer(self.schema, np.empty(0, np.uint8))
            self.schema.metadata = [*entries, entry]
        self.schema.buffers[entry.buffer].data = np.frombuffer(content, np.uint8)

    def operators(self) -> Iterator[tuple[Graph, Operator]]:
        """Returns all operators of all graphs, each with its graph."""
        return ((graph, op) for graph in self.graphs for op in graph.operators)

    def constants(self) -> list[tuple[int, Tensor]]:
        """Returns the stored buffers, largest first: size in bytes, and the first tensor that uses the buffer."""
        users: dict[int, Tensor] = {}
        for graph in self.graphs:
            for tensor in graph.tensors:
                if tensor.is_constant:
                    users.setdefault(tensor.buffer, tensor)
        sizes = [(len(self.schema.buffers[buffer].data), tensor) for buffer, tensor in users.items()]
        return sorted(sizes, key=lambda item: -item[0])

    @property
    def constant_bytes(self) -> int:
        """Size of all constants; a buffer that several tensors use counts once."""
        return sum(size for size, _ in self.constants())

    @property
    def resource_variables(self) -> dict[str, int]:
        """The variables that exist outside the graphs: name -> size in bytes."""
        sizes: dict[str, int] = {}
        for graph in self.graphs:
            handles = {
                op.outputs[0]: op.options.sharedName.decode() for op in graph.operators if op.name == "VAR_HANDLE"
            }
            for op in graph.operators:
                if op.name in ("READ_VARIABLE", "ASSIGN_VARIABLE") and op.inputs[0] in handles:
                    value = op.outputs[0] if op.name == "READ_VARIABLE" else op.inputs[1]
                    sizes[handles[op.inputs[0]]] = graph.tensors[value].bytes
        return sizes


class _SharingBuilder(flatbuffers.Builder):
    """Stores equal small vectors only once: shapes, and the zero points that the schema requires for each filter."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._vectors: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802, the library's name
        """Returns the offset of a vector, which is stored if no equal vector was stored before."""
        if x.nbytes > _LARGEST_SHARED:
            return super().CreateNumpyVector(x)
        key = (x.dtype.str, x.tobytes())
        if key not in self._vectors:
            self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]


def _read_graph(schema: schema_fb.ModelT, index: int) -> Graph:
    subgraph = schema.subgraphs[index]
    return Graph(
        index=index,
        name=_text(subgraph.name),
        tensors=tuple(_read_tensor(schema, i, tensor) for i, tensor in enumerate(_list(subgraph.tensors))),
        operators=tuple(_read_operator(schema, op) for op in _list(subgraph.operators)),
        inputs=_numbers(subgraph.inputs),
        outputs=_numbers(subgraph.outputs),
    )


def _read_tensor(schema: schema_fb.ModelT, index: int, tensor: schema_fb.TensorT) -> Tensor:
    shape, dtype = _numbers(tensor.shape), _DTYPES[tensor.type]
    bits = _BITS[dtype] if dtype in _BITS else np.dtype(dtype).itemsize * 8
    return Tensor(
        index=index,
        name=_text(tensor.name),
        shape=shape,
        dtype=dtype,
        bytes=math.ceil(math.prod(shape) * bits / 8),
        is_constant=schema.buffers[tensor.buffer].data is not None,
        is_variable=bool(tensor.isVariable),
        buffer=int(tensor.buffer),
    )


def _read_operator(schema: schema_fb.ModelT, op: schema_fb.OperatorT) -> Operator:
    code = schema.operatorCodes[op.opcodeIndex]
    builtin = _BUILTINS[flatbuffer_utils.get_builtin_code_from_operator_code(code)]
    name = _text(code.customCode) if builtin == "CUSTOM" else builtin
    nested = tuple(int(getattr(op.builtinOptions, field)) for field in NESTED.get(name, ()))
    return Operator(
        name=name,
        version=code.version,
        inputs=_numbers(op.inputs),
        outputs=_numbers(op.outputs),
        is_custom=builtin == "CUSTOM",
        nested=nested,
        options=op.builtinOptions,
    )


def _read_signatures(schema: schema_fb.ModelT, graphs: Sequence[Graph]) -> Iterator[Signature]:
    for entry in _list(schema.signatureDefs):
        tensors = graphs[entry.subgraphIndex].tensors
        yield Signature(
            name=_text(entry.signatureKey),
            graph=entry.subgraphIndex,
            inputs={_text(i.name): tensors[i.tensorIndex] for i in _list(entry.inputs)},
            outputs={_text(i.name): tensors[i.tensorIndex] for i in _list(entry.outputs)},
        )


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _list(value: Sequence | None) -> Sequence:
    return [] if value is None else value


def _numbers(value: Sequence[int] | None) -> tuple[int, ...]:
    return tuple(int(i) for i in _list(value))
