"""Pass: packs, ties and unpacks masks with operators that XNNPACK supports."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_operator_code
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = ["quantize_casts"]


def quantize_casts(model: Model) -> int:
    """Replaces CAST from float to uint8, and CAST of the result back to float, with QUANTIZE and DEQUANTIZE of scale 1.

    For integers from 0 to 255, the result is the same. BITWISE_XOR of such bytes with zero, which makes a mask wait for
    its gradient (see `ops.mask_storage`), becomes ADD. XNNPACK supports neither CAST nor BITWISE_XOR, so each of them
    would end a delegated part of the graph.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of replaced operators.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        makers = {i: op for op in graph.operators for i in op.outputs}
        kept = set()
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            if op.name not in ("CAST", "BITWISE_XOR"):
                continue
            source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
            name, options = None, None
            if op.name == "CAST" and (source.dtype, target.dtype) == ("float32", "uint8"):
                name = "QUANTIZE"
            elif op.name == "CAST" and source.index in kept and target.dtype == "float32":
                name = "DEQUANTIZE"
            elif (
                op.name == "BITWISE_XOR" and kept.issuperset(op.inputs) and _is_zero(model, graph, makers, op.inputs[1])
            ):
                name, options = "ADD", schema_fb.AddOptionsT()
            if name is None:
                continue
            if target.dtype == "uint8":
                kept.add(target.index)
                subgraph.tensors[target.index].quantization = _scale_of_one()
            plain.opcodeIndex = add_operator_code(model.schema, name)
            plain.builtinOptions = options
            plain.builtinOptionsType = schema_fb.BuiltinOptions.AddOptions if options else schema_fb.BuiltinOptions.NONE
            changed += 1
    return changed


def _is_zero(model: Model, graph: Graph, makers: dict[int, Operator], tensor: int) -> bool:
    """Whether bytes are computed as the minimum of a magnitude and zero, which is always zero."""
    cast = makers.get(tensor)
    smaller = makers.get(cast.inputs[0]) if cast and cast.name == "CAST" else None
    if smaller is None or smaller.name != "MINIMUM":
        return False
    magnitude, bound = smaller.inputs
    is_magnitude = magnitude in makers and makers[magnitude].name == "ABS"
    bounds = graph.tensors[bound]
    return is_magnitude and bounds.is_constant and not np.any(model.schema.buffers[bounds.buffer].data)


def _scale_of_one() -> schema_fb.QuantizationParametersT:
    parameters = schema_fb.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = [1.0], [0]
    return parameters
