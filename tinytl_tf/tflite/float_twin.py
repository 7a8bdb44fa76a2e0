"""Runs the network of an int8 file in float to find the ranges of its tensors, without TensorFlow."""

import copy
from collections.abc import Iterable, Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.errors import InputError
from tinytl_tf.tflite.edit import add_buffer, add_operator_code
from tinytl_tf.tflite.model import Model

__all__ = ["constant", "float_twin", "quantization_of", "set_quantization", "tensor_ranges"]

# Supported operators, whose float form has the same inputs -> version of the float form.
_FLOAT_VERSIONS = {
    "ADD": 1,
    "AVERAGE_POOL_2D": 1,
    "CONCATENATION": 1,
    "CONV_2D": 1,
    "DEPTHWISE_CONV_2D": 1,
    "FULLY_CONNECTED": 1,
    "MEAN": 1,
    "PAD": 1,
}
_DTYPES = {schema_fb.TensorType.INT8: np.int8, schema_fb.TensorType.INT32: np.int32}


def quantization_of(tensor: schema_fb.TensorT) -> tuple[np.ndarray, np.ndarray]:
    """Returns scales and zero points of a tensor, float64 and int64, both `[1]` or one for each channel."""
    parameters = tensor.quantization
    return np.asarray(parameters.scale, np.float64), np.asarray(parameters.zeroPoint, np.int64)


def set_quantization(tensor: schema_fb.TensorT, scales: np.ndarray, zero_points: np.ndarray) -> None:
    """Replaces scales and zero points of a tensor; its quantized axis does not change."""
    parameters = copy.copy(tensor.quantization)
    parameters.scale, parameters.zeroPoint = np.asarray(scales, np.float32), np.asarray(zero_points, np.int64)
    tensor.quantization = parameters


def constant(schema: schema_fb.ModelT, tensor: schema_fb.TensorT) -> np.ndarray:
    """Returns the real values of an int8 or int32 constant, float64 in its shape."""
    stored = np.frombuffer(bytes(schema.buffers[tensor.buffer].data), _DTYPES[tensor.type])
    stored = stored.reshape([int(size) for size in tensor.shape]).astype(np.float64)
    scales, zero_points = quantization_of(tensor)
    if len(scales) > 1:
        shape = [1] * stored.ndim
        shape[tensor.quantization.quantizedDimension] = len(scales)
        scales, zero_points = scales.reshape(shape), zero_points.reshape(shape)
    return (stored - zero_points) * scales


def float_twin(model: Model, replaced: Mapping[int, np.ndarray] | None = None) -> bytes:
    """Returns the same graph with float tensors at the same indices; constants have the values of the integers.

    Args:
        model: A file with one int8 graph, as post-training quantization makes it; it is not changed.
        replaced: Index of a constant -> its new value, in its shape.

    Raises:
        InputError: If the file has an operator whose float form is unknown.
    """
    twin = Model.from_bytes(model.to_bytes())
    schema, subgraph = twin.schema, twin.schema.subgraphs[0]
    for op, plain in zip(twin.graphs[0].operators, subgraph.operators, strict=True):
        if op.name not in _FLOAT_VERSIONS:
            known = ", ".join(sorted(_FLOAT_VERSIONS))
            raise InputError(f"expected an int8 file of {known}, got {op.name}; its float form is not known here")
        plain.opcodeIndex = add_operator_code(schema, op.name, _FLOAT_VERSIONS[op.name])
    replaced = replaced or {}
    for index, tensor in enumerate(subgraph.tensors):
        parameters = tensor.quantization
        if parameters is None or parameters.scale is None or not len(parameters.scale):
            continue  # shapes, axes and pads
        if schema.buffers[tensor.buffer].data is not None:
            content = constant(schema, tensor) if index not in replaced else replaced[index]
            tensor.buffer = add_buffer(schema, content.astype(np.float32))
        tensor.type, tensor.quantization = schema_fb.TensorType.FLOAT32, None
    return Model(schema).to_bytes()


def tensor_ranges(content: bytes, images: Iterable[np.ndarray]) -> dict[int, tuple[float, float]]:
    """Runs a float file on images and returns the smallest and largest value of each tensor that operators compute.

    Args:
        content: The `.tflite`, which has one graph with one input and one output.
        images: Inputs, float32 `[H, W, 3]` each.

    Returns:
        Index of the tensor -> both values over all images.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = Model.from_bytes(content)
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    made = [index for op in model.graphs[0].operators for index in op.outputs]
    ranges = dict.fromkeys(made, (np.inf, -np.inf))
    for image in images:
        interpreter.set_tensor(entry, image[np.newaxis])
        interpreter.invoke()
        for index in made:
            value = interpreter.get_tensor(index)
            low, high = ranges[index]
            ranges[index] = (min(low, float(value.min())), max(high, float(value.max())))
    return ranges
