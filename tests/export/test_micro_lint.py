"""The operators of TensorFlow Lite Micro: the list is the runtime's, and another one is refused with its layer."""

import subprocess
import sys

import pytest
import tensorflow as tf

from tests.micro_files import converted, micro_file
from tinytl_tf.errors import InputError
from tinytl_tf.export.micro_lint import OPERATORS, check_operators, resolver_calls
from tinytl_tf.tflite.model import Model

# Asks the runtime for one operator after another; what it says of those that it has not goes to standard error.
PROBE = """
import os, sys
import flatbuffers, numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_micro.python.tflite_micro import runtime

def content(name):
    model, code, graph, op = schema.ModelT(), schema.OperatorCodeT(), schema.SubGraphT(), schema.OperatorT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
    for index in range(2):
        tensor = schema.TensorT()
        tensor.shape, tensor.buffer, tensor.name = np.int32([1, 4]), 0, str(index)
        graph.tensors = [*(graph.tensors or []), tensor]
    graph.inputs, graph.outputs = np.int32([0]), np.int32([1])
    op.opcodeIndex, op.inputs, op.outputs = 0, np.int32([0]), np.int32([1])
    graph.operators, model.subgraphs = [op], [graph]
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], [code]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())

for name in sys.argv[1:]:
    # Some operators end the process when they have one input only: after it was found.
    pid = os.fork()
    if not pid:
        try:
            runtime.Interpreter.from_bytes(content(name), arena_size=100_000)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
"""
# What needs other graphs or options; each test of a file needs it anyway.
NEEDED_ANYWAY = {"CALL_ONCE", "IF", "WHILE", "VAR_HANDLE"}
LACKING = ["BITWISE_XOR", "ONE_HOT", "POW", "SELECT", "TILE", "WHERE"]


def test_the_list_is_that_of_the_runtime():
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    command = [sys.executable, "-c", PROBE, *sorted(OPERATORS - NEEDED_ANYWAY), *LACKING]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    missing = [line.split("'")[-2] for line in done.stderr.splitlines() if line.startswith("Didn't find op")]
    assert missing == LACKING


def file_of(function, *shapes):
    specs = [tf.TensorSpec(shape, dtype) for shape, dtype in shapes]
    module = tf.Module()
    # The last tensor of a file has the name of the output, and none of a layer.
    module.run = tf.function(lambda *inputs: tf.reshape(function(*inputs), [-1]), input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.run.get_concrete_function()], module)
    return Model.from_bytes(converter.convert())


def power(x):
    with tf.name_scope("net/block_3"):
        return tf.pow(x, 2.5)


def cast_of_bytes(x):
    with tf.name_scope("net/stem"):
        return tf.cast(x, tf.float32) * 2.0


def gather_of_bytes(x):
    with tf.name_scope("net/pick"):
        return tf.gather(x, [1, 0])


def join_of_eleven(x):
    with tf.name_scope("net/join"):
        return tf.concat([x * float(factor) for factor in range(2, 13)], 0)


@pytest.mark.parametrize(
    ("function", "dtype", "words"),
    [
        (power, tf.float32, "got POW in layer net/block_3"),
        (cast_of_bytes, tf.uint8, "got a CAST of uint8 in layer net/stem"),
        (gather_of_bytes, tf.uint8, "got a GATHER of uint8 in layer net/pick"),
        (join_of_eleven, tf.float32, "got 11 tensors, of which it joins ten in layer net/join"),
    ],
)
def test_what_it_lacks_is_named_with_its_layer(function, dtype, words):
    with pytest.raises(InputError, match=words):
        check_operators(file_of(function, ([2, 4], dtype)))


def test_a_converted_file_is_refused_and_its_passes_mend_it():
    with pytest.raises(InputError, match="got (ONE_HOT|a CAST of uint8)"):
        check_operators(Model.from_bytes(converted("tinytl-b", "sgd")))
    check_operators(Model.read(micro_file("tinytl-b", "sgd")))


def test_calls_are_those_of_the_resolver_one_for_each_operator():
    model = Model.read(micro_file("tinytl-b", "sgd"))
    calls = resolver_calls(model)
    assert len(calls) == len({op.name for _, op in model.operators()})
    # The same letters in the same order: AddPadV2 of PADV2, AddConv2D of CONV_2D.
    assert {call.removeprefix("Add").upper() for call in calls} == {
        op.name.replace("_", "") for _, op in model.operators()
    }
    assert {"AddConv2D", "AddDepthwiseConv2D", "AddFullyConnected", "AddIf", "AddSelectV2", "AddArgMax"} <= set(calls)
    assert list(calls) == sorted(calls)
