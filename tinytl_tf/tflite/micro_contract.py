"""Inputs, outputs and commands of a file for TensorFlow Lite Micro, which runs one graph without names."""

import dataclasses

__all__ = ["COMMANDS", "GRAPH", "INPUTS", "OUTPUTS", "MicroFacts"]

GRAPH = "micro"  # name of the signature during the export; the finished file has no signature
# In the order of the graph.
INPUTS = ("image", "label", "learning_rate", "command", "state")
OUTPUTS = ("loss", "accuracy", "applied", "logits", "state")
COMMANDS = {
    name: number for number, name in enumerate(("infer", "accumulate", "apply", "forget", "save", "restore", "reset"))
}


@dataclasses.dataclass(frozen=True)
class MicroFacts:
    """Types of the field `micro` of a manifest, to check its content; `Manifest` explains the fields."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    commands: dict[str, int]
    arena: dict[str, int]
    operators: tuple[str, ...]
    resource_variables: int
    state_of: str
