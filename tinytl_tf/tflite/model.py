"""A `.tflite` as a graph: read, walk, write; which tensors live when and which share a buffer.

The runtime's facts are those of LiteRT 2.3 without a delegate, from its sources (`tflite/arena_planner.cc`,
`tflite/kernels/while.cc`) and checked against the addresses that it hands out.
"""

import collections
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb
from ai_edge_litert.tools import flatbuffer_utils

from tinytl_tf import files
from tinytl_tf.errors import InputError

__all__ = ["Graph", "Lifetime", "Model", "Operator", "Signature", "Tensor"]

_IDENTIFIER = b"TFL3"
_BUILTINS = {code: name for name, code in vars(schema_fb.BuiltinOperator).items() if isinstance(code, int)}
_DTYPES = {code: name.lower() for name, code in vars(schema_fb.TensorType).items() if isinstance(code, int)}
# Types that numpy does not know, in bits; a handle owns no bytes of the arena.
_BITS = {"int4": 4, "uint4": 4, "int2": 2, "bfloat16": 16, "string": 0, "resource": 0, "variant": 0}
_BITS |= {"float8_e4m3fn": 8, "float8_e5m2": 8}

_NESTED = {
    "WHILE": ("condSubgraphIndex", "bodySubgraphIndex"),
    "IF": ("thenSubgraphIndex", "elseSubgraphIndex"),
    "CALL_ONCE": ("initSubgraphIndex",),
}
# Operators whose first output may take the buffer of one of these inputs, if nobody else reads it.
IN_PLACE = {
    "ADD": (0, 1),
    "SUB": (0, 1),
    "MUL": (0, 1),
    "DIV": (0, 1),
    "SOFTMAX": (0,),
    "DYNAMIC_UPDATE_SLICE": (0,),
}
# Operators whose output is their first input under another shape or type: one buffer, however many read it.
_VIEWS = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "BITCAST")
_LARGEST_SHARED = 65536  # bytes; the converter stores equal constants once already
_SMALLEST_SHARED = 5  # bytes; the runtime does not share scalars
# Inputs that say how big the output is. Unless they are constant, the output is dynamic: allocated on the heap when
# the operator runs, and all that follows is planned anew each time.
_SHAPE_INPUTS = {
    "BROADCAST_TO": (1,),
    "EXPAND_DIMS": (1,),
    "FILL": (0,),
    "MEAN": (1,),
    "MIRROR_PAD": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "RANGE": (0, 1, 2),
    "RESHAPE": (1,),
    "RESIZE_BILINEAR": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "SLICE": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "SUM": (1,),
    "TILE": (1,),
    "TRANSPOSE": (1,),
    "TRANSPOSE_CONV": (0,),
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a graph.

    Attributes:
        index: Its number in the graph.
        name: Its name; the converter makes it from the names of the TensorFlow nodes.
        shape: Static shape.
        dtype: Name of the type in lower case, numpy's where numpy has it.
        bytes: Size of its content; 0 for handles of variables.
        is_constant: Whether its content is stored in the file.
        is_variable: Whether it keeps its content between calls. Resource variables are no tensors of this kind.
        buffer: Number of the file's buffer that holds its content.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    is_constant: bool
    is_variable: bool
    buffer: int


@dataclasses.dataclass(frozen=True)
class Operator:
    """An operator of a graph.

    Attributes:
        name: Its builtin name (`CONV_2D`), or that of the custom operator.
        version: Version that the runtime must know.
        inputs: Numbers of tensors; -1 for an input that is left out.
        outputs: Numbers of tensors.
        is_custom: Whether it is not one of the runtime's own operators; Flex operators are custom ones.
        nested: Numbers of the graphs that it runs: condition and body of WHILE, both branches of IF.
        options: The schema's object with the attributes, or None.
    """

    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    is_custom: bool
    nested: tuple[int, ...]
    options: Any


@dataclasses.dataclass(frozen=True)
class Lifetime:
    """The operators, by their position, between which a tensor needs its buffer; both are included.

    `last` is the number of operators, one past the last, for a buffer that is never given back.
    """

    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class Graph:
    """One subgraph; its operators run in the order of the file.

    Attributes:
        index: Its number in the file.
        name: Its name.
        tensors: All tensors.
        operators: In the order of execution.
        inputs: Numbers of tensors.
        outputs: Numbers of tensors.
        dynamic: Tensors that the runtime can not plan: outputs of operators whose shape is computed, scalars read
            from variables, and results of loops and branches that contain such an operator.
        dropped: Results of WHILE that the loop does not change and nobody reads: they get no memory.
    """

    index: int
    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    dynamic: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()

    def readers(self) -> collections.Counter:
        """How often each tensor is read by operators; reading it twice in one operator counts twice."""
        return collections.Counter(i for op in self.operators for i in op.inputs if i >= 0)

    def shared_buffers(self) -> dict[int, int]:
        """Tensors that live in the buffer of another one, and that tensor.

        Views (RESHAPE) always share; arithmetic may overwrite an input that nobody else reads.

        Returns:
            A dictionary from a tensor to the one that owns the buffer.
        """
        references = self.readers()
        references.update([*self.inputs, *self.outputs, *self._variables()])
        owner: dict[int, int] = {}
        for op in self.operators:
            is_view = op.name in _VIEWS
            if not op.outputs or not (is_view or op.name in IN_PLACE):
                continue
            positions = (0,) if is_view else IN_PLACE[op.name]
            candidates = [op.inputs[i] for i in positions if i < len(op.inputs)]
            source = next((i for i in candidates if self._can_share(i, op.outputs[0], is_view, references)), None)
            if source is None:
                continue
            root = owner.get(source, source)
            if is_view or references[root] <= 1:
                owner[op.outputs[0]] = root
        return owner

    def late_readers(self) -> list[int]:
        """Operators, by their position, that read a tensor after its buffer was overwritten: they get wrong numbers.

        The runtime lets an operator overwrite a tensor with one reader if the owner of the buffer has only one, too;
        it does not look at tensors between the two, a view of a view or a view of a result that was computed in place.
        """
        owner = self.shared_buffers()
        content: dict[int, int] = {}  # of a buffer: who wrote it last
        expected: dict[int, int | None] = {}  # by a tensor
        late = []
        for position, op in enumerate(self.operators):
            if any(content.get(owner.get(i, i)) != expected.get(i) for i in op.inputs):
                late.append(position)
            for i in op.outputs:
                if i in owner and op.name in _VIEWS:
                    expected[i] = expected.get(op.inputs[0])
                else:
                    content[owner.get(i, i)] = expected[i] = position
        return late

    def lifetimes(self) -> dict[int, Lifetime]:
        """When each tensor needs its buffer.

        A buffer is needed from the operator that first writes it to the one that last reads it or a tensor that
        shares it. Inputs, outputs, variables and results that nobody reads stay to the end.

        Returns:
            A dictionary from the tensors that own a buffer in memory; constants and dropped tensors are not in it.
        """
        owner = self.shared_buffers()
        first = dict.fromkeys([*self.inputs, *self._variables()], 0)
        last: dict[int, int] = {}
        for position, op in enumerate(self.operators):
            for i in op.outputs:
                first.setdefault(i, position)
            for i in op.inputs:
                last[owner.get(i, i)] = position
        end = len(self.operators)
        kept = {owner.get(i, i) for i in [*self.inputs, *self.outputs, *self._variables()]}
        return {
            i: Lifetime(start, end if i in kept else last.get(i, end))
            for i, start in first.items()
            if i >= 0 and i not in owner and i not in self.dropped and not self.tensors[i].is_constant
        }

    def _variables(self) -> list[int]:
        return [tensor.index for tensor in self.tensors if tensor.is_variable]

    def _can_share(self, source: int, target: int, is_view: bool, references: collections.Counter) -> bool:
        if source < 0 or source in self.inputs or target in self.outputs:
            return False
        if self.tensors[source].is_constant or source in self.dynamic or target in self.dynamic:
            return False
        size = self.tensors[source].bytes
        same = size == self.tensors[target].bytes and size >= _SMALLEST_SHARED
        return is_view or (same and references[source] <= 1)


@dataclasses.dataclass(frozen=True)
class Signature:
    """A named entry of a file.

    Attributes:
        name: Its name.
        graph: Number of the graph that it runs.
        inputs: Tensors of that graph, by the names that callers use.
        outputs: The same for the results.
    """

    name: str
    graph: int
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Model:
    """A `.tflite` file.

    Example:
        >>> model = Model.read("model.tflite")
        >>> model.graphs[model.signature("train").graph].operators[0].name
        'CALL_ONCE'

    Args:
        schema: The flatbuffer as an object of ai_edge_litert's schema; changing it needs a new `Model`.

    Attributes:
        schema: The same.
        graphs: All subgraphs.
        signatures: By name.
    """

    def __init__(self, schema: schema_fb.ModelT) -> None:
        self.schema = schema
        plain = [_read_graph(schema, index) for index in range(len(schema.subgraphs))]
        self.graphs = tuple(
            dataclasses.replace(graph, dynamic=_dynamic_tensors(graph, plain), dropped=_dropped_tensors(graph, plain))
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
            content = pathlib.Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"expected a .tflite file at {path}, got: {error.strerror}; check the path") from error
        return cls.from_bytes(content, path)

    @classmethod
    def from_bytes(cls, content: bytes, source: str | os.PathLike = "the given bytes") -> "Model":
        """Reads the content of a file; `source` is what an error calls it."""
        if content[4:8] != _IDENTIFIER:
            raise InputError(
                f"expected a .tflite file (it has the mark TFL3 at byte 4), got {content[4:8]!r} in {source}; "
                "export the model again"
            )
        try:
            return cls(flatbuffer_utils.read_model_from_bytearray(content))
        except Exception as error:  # the flatbuffer library raises whatever a damaged offset leads to
            raise InputError(
                f"expected a whole .tflite file, got a damaged one: {source} ({type(error).__name__} while reading); "
                "export or copy it again"
            ) from error

    def to_bytes(self) -> bytes:
        """The content of the file, built anew from `schema`."""
        builder = _SharingBuilder(1024)
        builder.Finish(self.schema.Pack(builder), _IDENTIFIER)
        return bytes(builder.Output())

    def write(self, path: str | os.PathLike) -> None:
        """Writes the file, whole or not at all."""
        files.atomic_write_bytes(path, self.to_bytes())

    def signature(self, name: str) -> Signature:
        """The signature of that name.

        Raises:
            InputError: If the file has none of that name.
        """
        if name not in self.signatures:
            known = ", ".join(self.signatures) or "none"
            raise InputError(f"expected one of the signatures of the file ({known}), got {name!r}")
        return self.signatures[name]

    def graphs_of(self, name: str) -> list[Graph]:
        """The graphs that a signature runs: its own, and those inside of loops, branches and initializers.

        Raises:
            InputError: If the file has no signature of that name.
        """
        found = [self.signature(name).graph]
        for index in found:
            nested = [i for op in self.graphs[index].operators for i in op.nested]
            found += [i for i in dict.fromkeys(nested) if i not in found]
        return [self.graphs[i] for i in found]

    def metadata(self, name: str) -> bytes | None:
        """Content of the metadata of that name, or None."""
        for entry in self.schema.metadata or []:
            if entry.name.decode() == name:
                return bytes(self.schema.buffers[entry.buffer].data)
        return None

    def operators(self) -> Iterator[tuple[Graph, Operator]]:
        """All operators of all graphs, each with its graph."""
        return ((graph, op) for graph in self.graphs for op in graph.operators)

    def constants(self) -> list[tuple[int, Tensor]]:
        """The stored buffers, biggest first: size in bytes, and the first tensor that uses it."""
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
        """The variables that live outside of the graphs: name and size in bytes."""
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
    """Stores small vectors that are alike once: shapes, and the zero points that the schema wants for each filter."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._vectors: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802, the library's name
        """Stores a vector, or finds it; returns its place."""
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
    nested = tuple(int(getattr(op.builtinOptions, field)) for field in _NESTED.get(name, ()))
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


def _dynamic_tensors(graph: Graph, graphs: Sequence[Graph]) -> frozenset[int]:
    return frozenset(i for op in graph.operators if _is_dynamic(op, graph, graphs) for i in op.outputs)


def _is_dynamic(op: Operator, graph: Graph, graphs: Sequence[Graph]) -> bool:
    if op.name in ("WHILE", "IF"):
        return any(_dynamic_tensors(graphs[i], graphs) for i in op.nested)
    if op.name == "READ_VARIABLE":  # the runtime can not tell a scalar from a tensor of unknown rank
        return not graph.tensors[op.outputs[0]].shape
    positions = [i for i in _SHAPE_INPUTS.get(op.name, ()) if i < len(op.inputs)]
    return any(not graph.tensors[op.inputs[i]].is_constant for i in positions)


def _dropped_tensors(graph: Graph, graphs: Sequence[Graph]) -> frozenset[int]:
    readers = graph.readers()
    dropped = set()
    for op in graph.operators:
        if op.name == "WHILE":
            body = graphs[op.nested[1]]
            unchanged = [o for o, i, j in zip(op.outputs, body.inputs, body.outputs, strict=True) if i == j]
            dropped.update(i for i in unchanged if not readers[i] and i not in graph.outputs)
    return frozenset(dropped)


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _list(value: Sequence | None) -> Sequence:
    return [] if value is None else value


def _numbers(value: Sequence[int] | None) -> tuple[int, ...]:
    return tuple(int(i) for i in _list(value))
