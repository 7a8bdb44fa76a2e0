"""Pass: masks are packed and unpacked by QUANTIZE and DEQUANTIZE, which XNNPACK computes."""

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.export.passes.edit import add_operator_code
from tinytl_tf.flatbuffer import Model

__all__ = ["quantize_casts"]


def quantize_casts(model: Model) -> None:
    """Turns a CAST of floats to uint8, and one of its result back to floats, into QUANTIZE and DEQUANTIZE of scale 1.

    They do the same to whole numbers of 0 to 255. XNNPACK has no CAST: each one would end a delegated part of the
    graph, and the runtime would run all that are ready at once, so that every mask of the network existed as floats.

    Args:
        model: the file; its `schema` is changed.
    """
    for graph in model.graphs:
        subgraph = model.schema.subgraphs[graph.index]
        kept = set()
        for op, plain in zip(graph.operators, subgraph.operators, strict=True):
            if op.name != "CAST":
                continue
            source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
            if (source.dtype, target.dtype) == ("float32", "uint8"):
                kept.add(target.index)
                subgraph.tensors[target.index].quantization = _scale_of_one()
                name = "QUANTIZE"
            elif source.index in kept and target.dtype == "float32":
                name = "DEQUANTIZE"
            else:
                continue
            plain.opcodeIndex = add_operator_code(model.schema, name)
            plain.builtinOptionsType, plain.builtinOptions = schema_fb.BuiltinOptions.NONE, None


def _scale_of_one() -> schema_fb.QuantizationParametersT:
    parameters = schema_fb.QuantizationParametersT()
    parameters.scale, parameters.zeroPoint = [1.0], [0]
    return parameters
