import collections
import math

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests import tiny_models
from tinytl_tf.memory.scratch import scratch
from tinytl_tf.tflite.model import Model


def added_by_the_runtime(content, model, num_threads):
    """Sizes of the tensors that the kernels added to the graph of `infer`."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=num_threads,
    )
    inputs = {name: np.zeros(t.shape, t.dtype) for name, t in model.signature("infer").inputs.items()}
    interpreter.get_signature_runner("infer")(**inputs)
    graph, runtime = model.graphs[model.signature("infer").graph], interpreter._interpreter
    sizes = []
    for index in range(len(graph.tensors), runtime.NumTensors(graph.index)):
        try:
            dtype = np.dtype(runtime.TensorType(index, graph.index))
        except ValueError:  # a tensor that the kernel keeps for a case that is not ours
            continue
        sizes.append(math.prod(int(length) for length in runtime.TensorSize(index, graph.index)) * dtype.itemsize)
    return collections.Counter(size for size in sizes if size > 64)


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("build", [tiny_models.build, tiny_models.build_dynamic_range])
def test_same_as_the_runtime(build, num_threads):
    model = Model.from_bytes(build())
    graph = model.graphs[model.signature("infer").graph]
    sizes = [size for op in graph.operators for sizes in scratch(graph, op, num_threads) for size in sizes]
    planned = collections.Counter(size for size in sizes if size > 64)
    assert planned == added_by_the_runtime(build(), model, num_threads)
    assert planned


def test_int8_kernels_are_there():
    model = Model.from_bytes(tiny_models.build_dynamic_range())
    graph = model.graphs[model.signature("infer").graph]
    kernels = {op.name for op in graph.operators for i in op.inputs if i >= 0 and graph.tensors[i].dtype == "int8"}
    assert kernels == {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
