"""Converts functions to LiteRT, and describes and runs the result, for tests of all packages.

Import it as `from tests.litert import convert, describe, run`. A top-level module `litert` would break TensorFlow,
which tries to import a module of that name.
"""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.tools import flatbuffer_utils

from tinytl_tf.export.convert import convert as convert_module

__all__ = ["Description", "convert", "describe", "run"]

SIGNATURE = "run"
OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


@dataclasses.dataclass(frozen=True)
class Description:
    """What a `.tflite` file is made of.

    Attributes:
        operators: number of operators by name, over all subgraphs.
        custom: names of the custom and Flex operators.
        rank: the highest rank of a tensor.
        constants: sizes of the constants in bytes, largest first.
    """

    operators: collections.Counter
    custom: tuple[str, ...]
    rank: int
    constants: tuple[int, ...]


def convert(fn: Callable[..., Mapping[str, tf.Tensor]], specs: Sequence[tf.TensorSpec]) -> bytes:
    """Converts a function to a `.tflite` of builtin operators with the one signature `run`.

    Args:
        fn: takes one tensor for each spec, in order, and returns a dictionary of tensors. Variables that it assigns
            stay variables; the others become constants.
        specs: static shapes, with names that become those of the signature's inputs.
    """
    module = tf.Module()
    concrete = tf.function(fn, input_signature=specs).get_concrete_function()
    module.captured = list(concrete.graph.variables)  # SavedModel stores only what the module tracks.
    module.functions = {SIGNATURE: concrete}
    return convert_module(module)


def run(
    model: bytes, inputs: Mapping[str, np.ndarray], *, xnnpack: bool = True, threads: int = 1
) -> dict[str, np.ndarray]:
    """Runs the signature `run` once in a fresh interpreter."""
    resolver = OpResolverType.BUILTIN if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=threads)
    return interpreter.get_signature_runner(SIGNATURE)(**inputs)


def describe(model: bytes) -> Description:
    """Counts the operators, ranks and constants of a `.tflite`."""
    graph = flatbuffer_utils.convert_bytearray_to_object(model)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in graph.operatorCodes]
    custom = [code.customCode.decode() for code in graph.operatorCodes if code.customCode]
    operators = [OPERATORS[codes[op.opcodeIndex]] for subgraph in graph.subgraphs for op in subgraph.operators]
    tensors = [tensor for subgraph in graph.subgraphs for tensor in subgraph.tensors]
    sizes = [len(graph.buffers[i].data) for i in {t.buffer for t in tensors} if graph.buffers[i].data is not None]
    return Description(
        operators=collections.Counter(operators),
        custom=tuple(custom),
        rank=max(len(tensor.shape) for tensor in tensors if tensor.shape is not None),
        constants=tuple(sorted(sizes, reverse=True)),
    )
