"""Finds the tensors of an int8 file that store a network's biases and classifier."""

import keras
import numpy as np

from tinytl_tf.backbones.nodes import network_nodes
from tinytl_tf.errors import ParityError
from tinytl_tf.layers import FrozenConv2D
from tinytl_tf.tflite.model import Model

__all__ = ["rebake_map"]

_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_ROUNDINGS = 2  # of float32
_STEPS = 2  # tolerance in integer steps between a stored bias and the float divided by its scale: both are rounded


def rebake_map(model: keras.Model, file: Model) -> dict[str, int]:
    """Returns the indices of the tensors that depend on the trained variables of a network.

    Convolutions are matched in order, because the converter keeps the order of the network. Each match is verified by
    comparing the stored bias with the network's folded bias.

    Args:
        model: A network without lite residuals.
        file: The network's file from `convert_int8`.

    Returns:
        The index of a tensor in the only graph, by path of each trained variable: the bias for a norm's beta, and the
        kernel and bias for the classifier.

    Raises:
        ParityError: If the convolutions or biases of the file differ from those of the network.
    """
    layers = [n.operation for n in network_nodes(model) if isinstance(n.operation, FrozenConv2D | keras.layers.Dense)]
    operators = [op for op in file.graphs[0].operators if op.name in _OPERATORS]
    if len(layers) != len(operators):
        raise ParityError(
            f"expected {len(layers)} convolutions in the int8 file, as in the network, got {len(operators)}; nothing "
            "was written. Please report it with the model"
        )
    found = {}
    for layer, op in zip(layers, operators, strict=True):
        dense = isinstance(layer, keras.layers.Dense)
        shift = layer.bias if dense or layer.norm is None else layer.norm.beta
        if shift is None:  # the layer has no trained variables
            continue
        kernel, bias = op.inputs[1:3]
        expected = np.asarray(layer.bias if dense else layer.folded()[1])
        tensor = file.schema.subgraphs[0].tensors[bias]
        stored = np.frombuffer(bytes(file.schema.buffers[tensor.buffer].data), np.int32)
        scales = np.asarray(tensor.quantization.scale, np.float64)
        # The integer bias of a filter without weights may be near its maximum: float32 cannot resolve single steps.
        room = _STEPS * scales + _ROUNDINGS * np.finfo(np.float32).eps * np.abs(expected)
        if stored.shape != expected.shape or (np.abs(stored * scales - expected) > room).any():
            raise ParityError(
                f"expected the bias of {layer.name} in the int8 file, got other numbers; nothing was written. Please "
                "report it with the model"
            )
        found |= {shift.path: bias, **({layer.kernel.path: kernel} if dense else {})}
    trained = {variable.path for variable in model.trainable_variables}
    return {path: index for path, index in found.items() if path in trained}
