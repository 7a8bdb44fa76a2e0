"""Entry point of `tinytl`: selects the command and runs it."""

import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Sequence

from tinytl_tf.cli.signals import Signals
from tinytl_tf.cli.streams import end_of_printed, guarded_streams, open_missing_descriptors
from tinytl_tf.cli.supervisor import supervised

__all__ = ["main"]

# The descriptions are kept here because importing a command to read its help may import TensorFlow.
COMMANDS = {
    "pretrain": "pre-train lite residuals on a source data set, as a starting point for other data sets",
    "train": "train a network in Keras with an update scheme",
    "evaluate": "measure the accuracy of a checkpoint or an exported file on a data set",
    "plan": "choose what to train within a memory budget, and write it as a config",
    "export": "write a .tflite that keeps training on a device",
    "adapt": "train an exported .tflite on your images, with LiteRT only",
    "infer": "print the predictions of an exported .tflite for photos",
    "move-state": "move a device's state to a new export of the same network",
    "rebake": "write a Coral board's state into the int8 file of the complete network",
    "serve": "serve a page that trains an exported .tflite in a browser",
    "memory": "report training memory: the paper's account, planned, or measured",
    "networks": "list the networks, their sizes and the sources of their weights",
    "quickstart": "run the complete workflow on data that comes with a dependency",
    "completion": "print a script that completes commands and flags in bash, zsh or fish",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `tinytl <command> [flags]`.

    Args:
        argv: Arguments after the program name. By default, `sys.argv[1:]`: the function is then the entry point of the
            process, and ignores interrupts after its work is done.

    Returns:
        The exit status.
    """
    if argv is None:
        open_missing_descriptors()
        return supervised(sys.argv[1:], lambda: _guarded(sys.argv[1:], _leave_quietly))
    return _guarded(argv)


def _guarded(argv: Sequence[str], at_end: Callable[[], None] = lambda: None) -> int:
    signals = Signals()
    with guarded_streams():
        try:
            with signals.handled():
                status = _main(argv)
        except KeyboardInterrupt:
            status = signals.exit_status or 130
        at_end()
    return status


def _leave_quietly() -> None:
    """Keeps the end of the process quiet: ignores interrupts and hides messages from libraries being unloaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "--verbose" not in sys.argv:
        sys.stderr.flush()
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)


def _main(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("help", "--help", "-h"):
        print(_usage())
        return end_of_printed("tinytl")
    if argv[0] == "--version":
        print(f"tinytl {importlib.metadata.version('tinytl_tf')}")
        return end_of_printed("tinytl")
    if argv[0] not in COMMANDS:
        print(f"tinytl: error: expected a command of {', '.join(COMMANDS)}; got {argv[0]!r}", file=sys.stderr)
        return 2
    from tinytl_tf.cli import runner  # slow: interrupts are handled from here on

    return runner.run_command(argv[0], argv[1:])


def _usage() -> str:
    lines = [f"  {name:<11} {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: tinytl <command> [flags]; `tinytl <command> --help` lists the flags", "", *lines])


if __name__ == "__main__":
    sys.exit(main())
