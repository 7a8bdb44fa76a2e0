"""Operators of TensorFlow Lite Micro, and a check that rejects files with any other operator."""

from collections.abc import Callable

from tinytl_tf.errors import InputError
from tinytl_tf.export.operator_audit import place_of
from tinytl_tf.tflite.graph import Operator
from tinytl_tf.tflite.model import Model

__all__ = ["OPERATORS", "check_operators", "resolver_calls"]

# Builtins for float models that the package `tflite-micro` (0.dev20261023182759) registers. A test checks each of them.
OPERATORS = frozenset(
    [
        "ABS",
        "ADD",
        "ADD_N",
        "ARG_MAX",
        "ARG_MIN",
        "ASSIGN_VARIABLE",
        "AVERAGE_POOL_2D",
        "BATCH_MATMUL",
        "BATCH_TO_SPACE_ND",
        "BROADCAST_ARGS",
        "BROADCAST_TO",
        "CALL_ONCE",
        "CAST",
        "CEIL",
        "CONCATENATION",
        "CONV_2D",
        "COS",
        "CUMSUM",
        "DEPTHWISE_CONV_2D",
        "DEPTH_TO_SPACE",
        "DEQUANTIZE",
        "DIV",
        "DYNAMIC_UPDATE_SLICE",
        "ELU",
        "EQUAL",
        "EXP",
        "EXPAND_DIMS",
        "FILL",
        "FLOOR",
        "FLOOR_DIV",
        "FLOOR_MOD",
        "FULLY_CONNECTED",
        "GATHER",
        "GATHER_ND",
        "GREATER",
        "GREATER_EQUAL",
        "HARD_SWISH",
        "IF",
        "L2_NORMALIZATION",
        "LEAKY_RELU",
        "LESS",
        "LESS_EQUAL",
        "LOG",
        "LOGICAL_AND",
        "LOGICAL_NOT",
        "LOGICAL_OR",
        "LOGISTIC",
        "LOG_SOFTMAX",
        "MAXIMUM",
        "MAX_POOL_2D",
        "MEAN",
        "MINIMUM",
        "MIRROR_PAD",
        "MUL",
        "NEG",
        "NOT_EQUAL",
        "PACK",
        "PAD",
        "PADV2",
        "PRELU",
        "QUANTIZE",
        "READ_VARIABLE",
        "REDUCE_ALL",
        "REDUCE_MAX",
        "REDUCE_MIN",
        "RELU",
        "RELU6",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "REVERSE_V2",
        "ROUND",
        "RSQRT",
        "SELECT_V2",
        "SHAPE",
        "SIN",
        "SLICE",
        "SOFTMAX",
        "SPACE_TO_BATCH_ND",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SPLIT_V",
        "SQRT",
        "SQUARE",
        "SQUARED_DIFFERENCE",
        "SQUEEZE",
        "STRIDED_SLICE",
        "SUB",
        "SUM",
        "TANH",
        "TRANSPOSE",
        "TRANSPOSE_CONV",
        "UNPACK",
        "VAR_HANDLE",
        "WHILE",
        "ZEROS_LIKE",
    ]
)
_REMEDY = "write the layer with the operations of tinytl_tf.ops, or export it for LiteRT"
_NAMES = {"BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum", "PADV2": "PadV2"}


def check_operators(model: Model) -> None:
    """Checks that TensorFlow Lite Micro supports all operators of a file, with the types of their tensors.

    Args:
        model: The file, with tensor names.

    Raises:
        InputError: If an operator is not supported. The message names the operator and the layer.
    """
    for graph, op in model.operators():
        if op.name not in OPERATORS:
            raise InputError(
                f"expected operators that TensorFlow Lite Micro registers, got {op.name} in {place_of(graph, op)}: "
                f"{_REMEDY}"
            )
        rule = _RULES.get(op.name)
        problem = rule and rule(op, [graph.tensors[i].dtype for i in (*op.inputs, *op.outputs) if i >= 0])
        if problem:
            raise InputError(
                f"expected {op.name} as TensorFlow Lite Micro has it, got {problem} in {place_of(graph, op)}: {_REMEDY}"
            )


def resolver_calls(model: Model) -> tuple[str, ...]:
    """Returns the sorted names of the `MicroMutableOpResolver` methods that register the operators of a file.

    Example:
        >>> from tinytl_tf.tflite.model import Model
        >>> resolver_calls(Model.read("micro.tflite"))[:2]  # doctest: +SKIP
        ('AddAbs', 'AddAdd')
    """
    return tuple(sorted({f"Add{_camel(op.name)}" for _, op in model.operators()}))


def _camel(name: str) -> str:
    return _NAMES.get(name) or "".join(part if part == "2D" else part.capitalize() for part in name.split("_"))


def _casts_no_bytes(op: Operator, dtypes: list[str]) -> str | None:
    return "a CAST of uint8" if "uint8" in dtypes else None


def _gathers_floats(op: Operator, dtypes: list[str]) -> str | None:
    return None if dtypes[0] in ("float32", "int8") else f"a GATHER of {dtypes[0]}"


def _quantizes_to_int8(op: Operator, dtypes: list[str]) -> str | None:
    return None if dtypes[-1] in ("int8", "int16") else f"floats quantized to {dtypes[-1]}"


def _no_hybrid(op: Operator, dtypes: list[str]) -> str | None:
    return None if dtypes[1] == dtypes[0] else f"a kernel of {dtypes[1]} for an input of {dtypes[0]}"


def _joins_ten(op: Operator, dtypes: list[str]) -> str | None:
    return None if len(op.inputs) <= 10 else f"{len(op.inputs)} tensors, of which it joins ten"


_RULES: dict[str, Callable[[Operator, list[str]], str | None]] = {
    "CAST": _casts_no_bytes,
    "CONCATENATION": _joins_ten,
    "CONV_2D": _no_hybrid,
    "DEPTHWISE_CONV_2D": _no_hybrid,
    "FULLY_CONNECTED": _no_hybrid,
    "GATHER": _gathers_floats,
    "QUANTIZE": _quantizes_to_int8,
}
