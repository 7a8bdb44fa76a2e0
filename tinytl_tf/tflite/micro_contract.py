"""Inputs, outputs and commands of a file for TensorFlow Lite Micro, which runs one graph and knows no names."""

__all__ = ["COMMANDS", "GRAPH", "INPUTS", "OUTPUTS"]

GRAPH = "micro"  # name of the signature while the file is made; the finished file has none
# In the order in which the graph has them.
INPUTS = ("image", "label", "learning_rate", "command", "state")
OUTPUTS = ("loss", "accuracy", "applied", "logits", "state")
COMMANDS = {
    name: number for number, name in enumerate(("infer", "accumulate", "apply", "forget", "save", "restore", "reset"))
}
