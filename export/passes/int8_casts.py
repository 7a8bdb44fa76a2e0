"""Pass: converts between floats and bytes with operators that TensorFlow Lite Micro supports."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.edit import add_operator_code
from tinytl_tf.tflite.model import Model

__all__ = ["int8_casts"]

_OFFSET = -128  # zero point for bytes of 0 to 255 that are stored as int8


def int8_casts(model: Model) -> int:
    """Replaces CAST from floats to bytes and from bytes to floats with QUANTIZE and DEQUANTIZE of scale 1.

    TensorFlow Lite Micro does not cast uint8, and it does not quantize floats to uint8. Therefore bytes that the graph
    itself computes (the masks) become int8 with an offset. The pixels stay uint8.

    Args:
        model: The file; its `schema` is modified.

    Returns:
        Number of replaced operators.
    """
    changed = 0
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        made = set()
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            if op.name != "CAST":
                continue
            source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
            if (source.dtype, target.dtype) == ("float32", "uint8"):
                name = "QUANTIZE"
                made.add(target.index)
                subgraph.tensors[target.index].type = schema_fb.TensorType.INT8
                subgraph.tensors[target.index].quantization = _scale_of_one(_OFFSET)
            elif (source.dtype, target.dtype) == ("uint8", "float32"):
                name = "DEQUANTIZE"
                if source.index not in made:
                    subgraph.tensors[source.index].quantization = _scale_of_one(0)
            else:
                continue
            plain.opcodeIndex = add_operator_code(model.schema, name)
            plain.builtinOptions, plain.builtinOptionsType = None, schema_fb.BuiltinOptions.NONE
            changed += 1
    return changed


def _scale_of_one(offset: int) -> schema_fb.QuantizationParametersT:
    parameters = schema_fb.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = np.float32([1]), np.int64([offset])
    return parameters
