"""Checks that an int8 file has the parts that `rebake` changes, where the manifest lists them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.networks.spec import CLASSIFIER_BIAS, CLASSIFIER_KERNEL, is_of_classifier
from tinytl_tf.tflite.coral_manifest import CoralManifest, Quantized
from tinytl_tf.tflite.float_twin import quantization_of
from tinytl_tf.tflite.graph import Operator, Tensor
from tinytl_tf.tflite.model import Model

__all__ = ["KERNELS", "require_rebakable"]

KERNELS = frozenset(["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
_KERNEL, _BIAS = 1, 2  # indices of the inputs of these operators


def require_rebakable(model: Model, manifest: CoralManifest, variables: Mapping[str, np.ndarray], where: str) -> None:
    """Checks the structure of an int8 file, and the tensor indices in `rebake`, before anything is changed.

    Args:
        model: The int8 file.
        manifest: The `coral.json` that names it.
        variables: The trained variables by path, in the order of the network.
        where: Name of the file in error messages.

    Raises:
        InputError: If the file is not a chain of quantized operators that begins at the image; or if an index is not
            that of the tensor that holds the variable.
    """
    for expected, is_kept, value in _rules(model, manifest, variables):
        if not is_kept:
            raise InputError(f"expected {expected} in {where}, got {value!r:.80}; export the model again")


def _rules(
    model: Model, manifest: CoralManifest, variables: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, bool, Any]]:
    yield "one graph", len(model.graphs) == 1, len(model.graphs)
    graph = model.graphs[0]
    yield "one input and one output", len(graph.inputs) == len(graph.outputs) == 1, (graph.inputs, graph.outputs)
    image, result = (graph.tensors[numbers[0]] for numbers in (graph.inputs, graph.outputs))
    yield f"the input {manifest.image}", _quantized(model, image) == manifest.image, _quantized(model, image)
    classes = len(variables.get(CLASSIFIER_BIAS, ()))
    yield f"{classes} int8 outputs", (result.dtype, result.shape) == ("int8", (1, classes)), result
    for op in graph.operators:
        has_all = len(op.inputs) == 3 if op.name in KERNELS else len(op.inputs) >= 1
        yield f"the inputs of {op.name}", has_all and len(op.outputs) == 1 and min(op.inputs) >= 0, op.inputs
        joins = op.name == "CONCATENATION"
        tensors = [graph.tensors[number] for number in (*(op.inputs if joins else op.inputs[:1]), op.outputs[0])]
        is_int8 = all(tensor.dtype == "int8" and _scales(model, tensor) == 1 for tensor in tensors)
        yield f"int8 images with a scale before and after {op.name}", is_int8, tensors
        if joins:
            scales = {tuple(np.ravel(quantization_of(model.schema.subgraphs[0].tensors[t.index]))) for t in tensors}
            yield "one scale for all tensors of CONCATENATION", len(scales) == 1, scales
        if op.name in KERNELS:
            kernel, bias = (graph.tensors[number] for number in op.inputs[1:])
            fits = (kernel.dtype, bias.dtype) == ("int8", "int32") and len(bias.shape) == 1
            fits = fits and all(_is_stored(model, tensor) for tensor in (kernel, bias))
            yield f"int8 kernel and int32 bias of {op.name}, with scales", fits, (kernel, bias)
    paths = set(variables)
    yield f"numbers of tensors for {', '.join(sorted(paths))}", manifest.rebake.keys() == paths, manifest.rebake
    holders = {
        op.inputs[place]: (at, place) for at, op in enumerate(graph.operators) if op.name in KERNELS for place in (1, 2)
    }
    last = -1
    for path, variable in variables.items():
        number = manifest.rebake[path]
        at, place = holders.get(number, (-1, 0))
        is_kernel = path == CLASSIFIER_KERNEL
        shape = variable.shape[::-1] if is_kernel else variable.shape
        fits = place == (_KERNEL if is_kernel else _BIAS) and graph.tensors[number].shape == shape
        # Variables are in the order of the network, and so are operators.
        fits = fits and (at == _classifier(graph.operators) if is_of_classifier(path) else at > last)
        yield f"the tensor of {path}, {list(shape)}", fits, number
        last = at if not is_of_classifier(path) else last


def _classifier(operators: tuple[Operator, ...]) -> int:
    return max(at for at, op in enumerate(operators) if op.name in KERNELS)


def _quantized(model: Model, tensor: Tensor) -> Quantized | None:
    """Shape, scale and zero point of an int8 image in a batch of one, or None."""
    if tensor.dtype != "int8" or tensor.shape[:1] != (1,) or _scales(model, tensor) != 1:
        return None
    parameters = model.schema.subgraphs[0].tensors[tensor.index].quantization
    return Quantized(tensor.shape[1:], float(parameters.scale[0]), int(parameters.zeroPoint[0]))


def _scales(model: Model, tensor: Tensor) -> int:
    """Number of finite scales above 0, each with a zero point; 0 if any scale is invalid."""
    parameters = model.schema.subgraphs[0].tensors[tensor.index].quantization
    if parameters is None or parameters.scale is None or parameters.zeroPoint is None:
        return 0
    scales = np.asarray(parameters.scale, np.float64)
    fits = len(scales) == len(parameters.zeroPoint) and np.isfinite(scales).all() and (scales > 0).all()
    return len(scales) if fits else 0


def _is_stored(model: Model, tensor: Tensor) -> bool:
    plain = model.schema.subgraphs[0].tensors[tensor.index]
    data, count = model.schema.buffers[tensor.buffer].data, _scales(model, tensor)
    whole = data is not None and len(data) == tensor.bytes == math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize
    axis = plain.quantization.quantizedDimension if count else 0
    return whole and (count == 1 or (count > 1 and axis < len(tensor.shape) and tensor.shape[axis] == count))
