"""Lists the operators of an exported file, and rejects those that a runtime on a phone or board cannot run."""

import collections
import dataclasses
import importlib.metadata
import os
import re

from tinytl_tf.errors import InputError
from tinytl_tf.export.runtime_versions import first_runtime
from tinytl_tf.tflite.graph import Graph, Operator
from tinytl_tf.tflite.model import Model

__all__ = [
    "OperatorCount",
    "audit",
    "conversion_error",
    "layer_of",
    "minimum_runtime",
    "place_of",
    "write_minimum_runtime",
]

_REMEDY = "the runtime has no such builtin operator; write the layer with the operations of tinytl_tf.ops"
_RUNTIME_ENTRY, _RUNTIME_BYTES = "min_runtime_version", 16
# The converter's report of an operator without a builtin equivalent: its location, then its name.
_REFUSED = re.compile(r"error: loc\((?P<location>.*)\): '(?P<op>[\w.]+)' op is neither a custom op nor a flex op")
_NODE = re.compile(r'fused\["\w*:?", "(?P<name>[^"@]+)')
_PLUMBING = re.compile(r"(gradient_tape|while|cond|body|functional|(Stateful)?PartitionedCall)(_\d+)?(:\d+)?")


@dataclasses.dataclass(frozen=True, order=True)
class OperatorCount:
    """How often a file uses an operator.

    Attributes:
        name: Builtin name.
        version: Version that the runtime must support.
        count: Number of uses in all graphs of the file.
    """

    name: str
    version: int
    count: int


def audit(model: Model | str | os.PathLike) -> list[OperatorCount]:
    """Lists the operators of a file.

    Args:
        model: The file, or its path.

    Returns:
        Each operator and version with its number of uses, sorted by name.

    Raises:
        InputError: If the file cannot be read; or if it has a Flex or custom operator, or one that older runtimes
            compute incorrectly. In the latter cases, the message names the operator and the layer.
    """
    model = model if isinstance(model, Model) else Model.read(model)
    for graph, op in model.operators():
        if op.is_custom:
            raise InputError(f"expected builtin operators only, got {op.name} in {place_of(graph, op)}: {_REMEDY}")
        if op.name == "REVERSE_V2" and graph.tensors[op.inputs[1]].shape != (1,):
            raise InputError(
                f"expected a reversal along one axis, got several in {place_of(graph, op)}: runtimes up to 2.14 "
                "reverse only along the first one, without an error; reverse along one after the other"
            )
    counts = collections.Counter((op.name, op.version) for _, op in model.operators())
    return sorted(OperatorCount(name, version, count) for (name, version), count in counts.items())


def minimum_runtime(model: Model) -> str:
    """Returns the oldest runtime that supports all operators of a file, for example `"2.6.0"`.

    An operator that is not in the table needs the version of the installed TensorFlow.
    """
    converter = importlib.metadata.version("tensorflow").partition("-")[0]
    needed = {first_runtime(op.name, op.version) or converter for _, op in model.operators()}
    return max(needed, key=lambda version: [int(part) for part in version.split(".")], default=converter)


def write_minimum_runtime(model: Model) -> None:
    """Stores `minimum_runtime` in the metadata entry that TensorFlow's tools use, replacing the converter's value.

    Args:
        model: The file; its `schema` is modified.
    """
    model.set_metadata(_RUNTIME_ENTRY, minimum_runtime(model).encode().ljust(_RUNTIME_BYTES, b"\0"))


def conversion_error(message: str) -> InputError:
    """Turns an exception of the converter into an error with a message of one line.

    Args:
        message: Text of the converter's exception.

    Returns:
        An error that names each operator without a builtin equivalent and the layers that need it. For any other
        failure, the message has the first line of the text.

    Example:
        >>> str(conversion_error(str(error)))  # doctest: +SKIP
        'expected builtin operators only, got tf.Relu6Grad in layer net/stem_relu (node net/stem_relu/Relu6Grad): ...'
    """
    refused = {}
    for match in _REFUSED.finditer(message):
        node = _NODE.search(match["location"])
        refused.setdefault((match["op"], node["name"] if node else "?"))
    if not refused:
        return InputError(f"the conversion to LiteRT failed: {next(iter(message.strip().splitlines()), 'no message')}")
    places = "; ".join(f"{op} in layer {layer_of(node)} (node {node})" for op, node in refused)
    return InputError(f"expected builtin operators only, got {places}: {_REMEDY}")


def layer_of(node: str) -> str:
    """Returns the layer in the name of a TensorFlow node, without the operation and the scopes of loops and gradients.

    Example:
        >>> layer_of("gradient_tape/while/net/stem_relu/Relu6/Relu6Grad")
        'net/stem_relu'
    """
    parts = [part for part in node.split("/") if not _PLUMBING.fullmatch(part)]
    while len(parts) > 1 and parts[-1][:1].isupper():  # operations are capitalized, layers are not
        parts.pop()
    return "/".join(parts) or node


def place_of(graph: Graph, op: Operator) -> str:
    """Describes the place of an operator for error messages: its layer, from the tensor names of the converter."""
    name = next((graph.tensors[i].name for i in (*op.outputs, *op.inputs) if i >= 0), "")
    # Fused operators carry the names of all their nodes; the last one is the operator's own.
    node = name.split(";")[-1]
    return f"layer {layer_of(node)} (tensor {node}, graph {graph.name})"
