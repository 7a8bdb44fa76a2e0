"""Known requirements of the Edge TPU compiler, as a table of rules.

The rules are necessary but not sufficient: the compiler is closed source, and nothing was compiled to derive them. They
come from public pairs of source files and compiled files, and from public logs of compiler 16.0, the latest version.
"""

import dataclasses
from collections.abc import Callable, Iterator

from ai_edge_litert import schema_py_generated as schema_fb

from tinytl_tf.tflite.model import Model

__all__ = ["RULES", "Finding", "Rule", "lint"]

_RUNTIME_ENTRY, _NEWEST_RUNTIME = "min_runtime_version", (2, 5, 0)
_TYPES = frozenset(["int8", "uint8", "int32"])
_FIRST_UNKNOWN_CODE = 142
# Oldest version of each operator that the compiler is known to refuse.
_REFUSED = {"CONV_2D": 6, "TRANSPOSE_CONV": 4, "EXP": 2, "QUANTIZE": 3, "FULLY_CONNECTED": 9}
# Newest version of each operator that is known, from compiled files, to run on the accelerator.
_MAPPED = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "PAD": 2,
    "SPLIT": 2,
    "CONCATENATION": 2,
    "FULLY_CONNECTED": 4,
    "SOFTMAX": 2,
    "RESIZE_BILINEAR": 3,
}
_MAPPED_IN_LOGS = frozenset(["MEAN"])


@dataclasses.dataclass(frozen=True)
class Rule:
    """A requirement for a file.

    Attributes:
        name: Short name, for lists.
        wants: The required property of a file.
        find: Returns the parts of a file that break the rule; empty if no part does.
        refuses: Whether a file that breaks the rule is unusable. Otherwise, a part of it runs, or may run, on the CPU.
    """

    name: str
    wants: str
    find: Callable[[Model], Iterator[str]]
    refuses: bool = True


@dataclasses.dataclass(frozen=True)
class Finding:
    """A violation of a rule by a file.

    Attributes:
        rule: Name of the rule.
        refuses: Whether the file is unusable.
        text: A sentence with the expected and the actual property.
    """

    rule: str
    refuses: bool
    text: str


def lint(model: Model) -> list[Finding]:
    """Checks a file that is meant for the Edge TPU compiler.

    Args:
        model: The file.

    Returns:
        The violations, in the order of the rules.

    Example:
        >>> lint(Model.read("prefix_int8.tflite"))  # doctest: +SKIP
        []
    """
    return [
        Finding(rule.name, rule.refuses, f"expected {rule.wants}, got {found}")
        for rule in RULES
        for found in rule.find(model)
    ]


def _runtime(model: Model) -> Iterator[str]:
    text = (model.metadata(_RUNTIME_ENTRY) or b"").rstrip(b"\0").decode(errors="replace")
    parts = text.split(".")
    if not all(part.isdigit() for part in parts):
        yield f"{text!r}"
    elif tuple(map(int, parts)) > _NEWEST_RUNTIME:
        yield text


def _subgraphs(model: Model) -> Iterator[str]:
    if len(model.graphs) != 1:
        yield f"{len(model.graphs)}"


def _batch(model: Model) -> Iterator[str]:
    for graph in model.graphs:
        for index in (*graph.inputs, *graph.outputs):
            if graph.tensors[index].shape[:1] != (1,):
                yield f"{list(graph.tensors[index].shape)} of {graph.tensors[index].name}"


def _shapes(model: Model) -> Iterator[str]:
    for subgraph in model.schema.subgraphs:
        for tensor in subgraph.tensors:
            signature = [] if tensor.shapeSignature is None else list(tensor.shapeSignature)
            if -1 in signature:
                yield f"{[int(size) for size in signature]} of {_text(tensor.name)}"


def _types(model: Model) -> Iterator[str]:
    for graph in model.graphs:
        for tensor in graph.tensors:
            if tensor.dtype not in _TYPES:
                yield f"{tensor.dtype} of {tensor.name}"


def _variables(model: Model) -> Iterator[str]:
    for graph, op in model.operators():
        if op.name == "VAR_HANDLE":
            yield f"{graph.tensors[op.outputs[0]].name}"
    for graph in model.graphs:
        yield from (tensor.name for tensor in graph.tensors if tensor.is_variable)


def _custom(model: Model) -> Iterator[str]:
    yield from sorted({op.name for _, op in model.operators() if op.is_custom})


def _codes(model: Model) -> Iterator[str]:
    known = vars(schema_fb.BuiltinOperator)
    for name in sorted({op.name for _, op in model.operators() if not op.is_custom}):
        if known[name] >= _FIRST_UNKNOWN_CODE:
            yield f"{name}, number {known[name]}"


def _versions(model: Model) -> Iterator[str]:
    for name, version in sorted({(op.name, op.version) for _, op in model.operators()}):
        if version >= _REFUSED.get(name, version + 1):
            yield f"{name}@{version}"


def _dense(model: Model) -> Iterator[str]:
    for graph, op in model.operators():
        if op.name == "FULLY_CONNECTED":
            kernel = model.schema.subgraphs[graph.index].tensors[op.inputs[1]]
            scales = getattr(kernel.quantization, "scale", None)
            if scales is not None and len(scales) > 1:
                yield f"{len(scales)} of {_text(kernel.name)}"


def _mapped(model: Model) -> Iterator[str]:
    for graph, op in model.operators():
        if not _is_mapped(graph, op) and op.name not in _MAPPED_IN_LOGS:
            yield f"{op.name}@{op.version}; it and all after it may run on the CPU"
            return


def _logged(model: Model) -> Iterator[str]:
    yield from sorted({f"{op.name}@{op.version}" for _, op in model.operators() if op.name in _MAPPED_IN_LOGS})


def _is_mapped(graph, op) -> bool:
    if op.version > _MAPPED.get(op.name, 0):
        return False
    if op.name != "RESIZE_BILINEAR":
        return True
    before, after = (graph.tensors[i].shape[1:3] for i in (op.inputs[0], op.outputs[0]))
    return bool(op.options.halfPixelCenters) and after == tuple(2 * size for size in before)


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


RULES: tuple[Rule, ...] = (
    Rule("runtime", f"a file for runtimes up to {'.'.join(map(str, _NEWEST_RUNTIME))}", _runtime),
    Rule("subgraphs", "one graph", _subgraphs),
    Rule("batch", "inputs and outputs of one image", _batch),
    Rule("shapes", "shapes that are known", _shapes),
    Rule("types", "tensors of int8, uint8 or int32", _types),
    Rule("variables", "no variables", _variables),
    Rule("custom", "builtin operators", _custom),
    Rule("codes", f"operators of a number below {_FIRST_UNKNOWN_CODE}", _codes),
    Rule("versions", "versions of operators that the compiler was not seen to refuse", _versions),
    Rule("dense", "one scale for the kernel of a dense layer, as runtimes 2.5 and 2.7 compute it", _dense),
    Rule("mapped", "operators that were seen to run on the accelerator", _mapped, refuses=False),
    Rule("logged", "operators that were seen in compiled files, not only in logs", _logged, refuses=False),
)
