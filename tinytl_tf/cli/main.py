"""The `tinytl` entry point: finds the command and runs it."""

import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Sequence

from tinytl_tf.cli.signals import Signals
from tinytl_tf.cli.streams import end_of_printed, guarded_streams, open_missing_descriptors
from tinytl_tf.cli.supervisor import supervised

__all__ = ["main"]

# Written here, because importing a command to ask for its help may import TensorFlow.
COMMANDS = {
    "pretrain": "train lite residuals on a source set, for other sets to start from",
    "train": "train a network in Keras under an update scheme",
    "evaluate": "accuracy of a checkpoint or an exported file on a data set",
    "plan": "what to train within a budget of memory, as a config",
    "export": "write a .tflite that keeps training on a device",
    "adapt": "train an exported .tflite on your images, with LiteRT only",
    "infer": "answers of an exported .tflite for photos",
    "move-state": "move a device's state to a new export of the same network",
    "rebake": "put a Coral board's state into the int8 file of the complete network",
    "serve": "a page that trains an exported .tflite in a browser",
    "memory": "paper, planned and measured training memory",
    "networks": "which networks there are, how large, and where their weights come from",
    "quickstart": "all of it on data that comes with the package",
    "completion": "a script that completes commands and flags in bash, zsh or fish",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `tinytl <command> [flags]`.

    Args:
        argv: Arguments after the program's name; `sys.argv[1:]` by default. Without them this is the entry point of
            the process, which heeds no interrupt after its work is done.

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
    """Lets nothing disturb the end of the process: no interrupt, and no remark of a library that is unloaded."""
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
    from tinytl_tf.cli import runner  # takes a while: an interrupt is handled from here on

    return runner.run_command(argv[0], argv[1:])


def _usage() -> str:
    lines = [f"  {name:<11} {text}" for name, text in COMMANDS.items()]
    return "\n".join(["usage: tinytl <command> [flags]; `tinytl <command> --help` lists the flags", "", *lines])


if __name__ == "__main__":
    sys.exit(main())
