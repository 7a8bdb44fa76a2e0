"""The `tinytl` entry point: finds the command and runs it."""

import sys
from collections.abc import Sequence

from tinytl_tf.cli import runner

__all__ = ["main"]

# Written here, because importing a command to ask for its help may import TensorFlow.
COMMANDS = {
    "train": "train a network in Keras under an update scheme",
    "evaluate": "accuracy of a checkpoint or an exported file on a data set",
    "plan": "what to train within a budget of memory, as a config",
    "export": "write a .tflite that goes on training on a device",
    "adapt": "train an exported .tflite on your images, with LiteRT only",
    "memory": "paper, planned and measured training memory",
    "quickstart": "all of it on data that comes with the package",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `tinytl <command> [flags]`.

    Args:
        argv: Arguments after the program's name; `sys.argv[1:]` by default.

    Returns:
        The exit status.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("help", "--help", "-h"):
        print(_usage())
        return 0
    if argv[0] not in COMMANDS:
        print(f"tinytl: error: expected a command of {', '.join(COMMANDS)}; got {argv[0]!r}", file=sys.stderr)
        return 2
    return runner.run_command(argv[0], argv[1:])


def _usage() -> str:
    lines = [f"  {name:<11} {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: tinytl <command> [flags]; `tinytl <command> --help` lists the flags", "", *lines])


if __name__ == "__main__":
    sys.exit(main())
