"""Builds files operator by operator, with orders and aliases that the converter would not write, and runs them."""

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tinytl_tf.tflite.edit import add_operator_code
from tinytl_tf.tflite.model import Model

__all__ = ["GraphBuilder", "ModelBuilder", "results", "single_graph"]

_OPTIONS = {
    "ADD": "AddOptions",
    "ADD_N": "AddNOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CALL_ONCE": "CallOnceOptions",
    "CAST": "CastOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DIV": "DivOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "LESS": "LessOptions",
    "MUL": "MulOptions",
    "RESHAPE": "ReshapeOptions",
    "SLICE": "SliceOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SUB": "SubOptions",
    "SUM": "ReducerOptions",
    "TRANSPOSE": "TransposeOptions",
    "VAR_HANDLE": "VarHandleOptions",
    "WHILE": "WhileOptions",
}
_TYPES = {np.dtype(name): getattr(schema_fb.TensorType, name.upper()) for name in ("float32", "int32", "uint8", "bool")}


class ModelBuilder:
    """A file; `graph` adds its subgraphs, `signature` names them."""

    def __init__(self) -> None:
        self.schema = schema_fb.ModelT()
        self.schema.version = 3
        self.schema.operatorCodes, self.schema.subgraphs, self.schema.signatureDefs = [], [], []
        self.schema.buffers = [schema_fb.BufferT()]  # the first one is empty by convention

    def graph(self, name: str) -> "GraphBuilder":
        return GraphBuilder(self.schema, name)

    def signature(
        self, name: str, graph: "GraphBuilder", inputs: Mapping[str, int], outputs: Mapping[str, int]
    ) -> None:
        entry = schema_fb.SignatureDefT()
        entry.signatureKey, entry.subgraphIndex = name, graph.index
        entry.inputs, entry.outputs = _named(inputs), _named(outputs)
        graph.plain.inputs, graph.plain.outputs = [*inputs.values()], [*outputs.values()]
        self.schema.signatureDefs.append(entry)

    def model(self) -> Model:
        """The file as the passes get it: written and read."""
        return Model.from_bytes(Model(self.schema).to_bytes())


class GraphBuilder:
    """A subgraph, in the order in which its operators are added."""

    def __init__(self, schema: schema_fb.ModelT, name: str) -> None:
        self.schema, self.index = schema, len(schema.subgraphs)
        self.plain = schema_fb.SubGraphT()
        self.plain.name, self.plain.tensors, self.plain.operators = name, [], []
        self.plain.inputs, self.plain.outputs = [], []
        schema.subgraphs.append(self.plain)

    def tensor(self, shape: Sequence[int], dtype: str = "float32") -> int:
        tensor = schema_fb.TensorT()
        tensor.name, tensor.shape, tensor.buffer = f"t{len(self.plain.tensors)}", list(shape), 0
        tensor.type = schema_fb.TensorType.RESOURCE if dtype == "resource" else _TYPES[np.dtype(dtype)]
        self.plain.tensors.append(tensor)
        return len(self.plain.tensors) - 1

    def constant(self, values: np.ndarray, buffer: int | None = None) -> int:
        """A stored tensor; one that is given a `buffer` shares it with another."""
        values = np.asarray(values)
        if buffer is None:
            self.schema.buffers.append(schema_fb.BufferT())
            buffer = len(self.schema.buffers) - 1
            self.schema.buffers[buffer].data = np.frombuffer(values.tobytes(), np.uint8)
        index = self.tensor(values.shape, values.dtype)
        self.plain.tensors[index].buffer = buffer
        return index

    def buffer_of(self, tensor: int) -> int:
        return self.plain.tensors[tensor].buffer

    def shape_of(self, tensor: int) -> tuple[int, ...]:
        return tuple(self.plain.tensors[tensor].shape)

    def add(self, name: str, inputs: Sequence[int], outputs: Sequence[int] = (), **options) -> None:
        op = schema_fb.OperatorT()
        op.opcodeIndex = add_operator_code(self.schema, name)
        op.inputs, op.outputs = list(inputs), list(outputs)
        if name in _OPTIONS:
            op.builtinOptionsType = getattr(schema_fb.BuiltinOptions, _OPTIONS[name])
            op.builtinOptions = getattr(schema_fb, f"{_OPTIONS[name]}T")()
            for key, value in options.items():
                setattr(op.builtinOptions, key, value)
        self.plain.operators.append(op)

    def apply(self, name: str, *inputs: int, shape: Sequence[int] | None = None, dtype="float32", **options) -> int:
        """Adds an operator with one output, of the shape of the first input where none is given."""
        output = self.tensor(self.shape_of(inputs[0]) if shape is None else shape, dtype)
        self.add(name, inputs, [output], **options)
        return output

    def reshape(self, source: int, shape: Sequence[int]) -> int:
        return self.apply(
            "RESHAPE", source, self.constant(np.array(shape, np.int32)), shape=shape, newShape=list(shape)
        )

    def handle(self, variable: str) -> int:
        return self.apply("VAR_HANDLE", shape=[], dtype="resource", sharedName=variable)

    def read(self, handle: int, shape: Sequence[int]) -> int:
        return self.apply("READ_VARIABLE", handle, shape=shape)


def single_graph() -> tuple[ModelBuilder, GraphBuilder]:
    """A file with one subgraph, for `builder.signature("train", graph, ...)`."""
    builder = ModelBuilder()
    return builder, builder.graph("train")


def results(
    model: Model, calls: Sequence[tuple[str, Mapping[str, np.ndarray]]], *, xnnpack: bool
) -> list[dict[str, np.ndarray]]:
    """Calls signatures one after the other in a fresh interpreter."""
    resolver = OpResolverType.BUILTIN if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=model.to_bytes(), experimental_op_resolver_type=resolver, num_threads=1)
    runners = {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}
    return [{key: value.copy() for key, value in runners[name](**inputs).items()} for name, inputs in calls]


def _named(tensors: Mapping[str, int]) -> list[schema_fb.TensorMapT]:
    entries = []
    for name, index in tensors.items():
        entry = schema_fb.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        entries.append(entry)
    return entries
