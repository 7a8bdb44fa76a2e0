"""Prints a script with which a shell completes commands, flags, their values and files after `tinytl`.

In bash, add this line to ~/.bashrc:
  eval "$(tinytl completion bash)"
In zsh, add this line to ~/.zshrc:
  eval "$(tinytl completion zsh)"
In fish, write the script once:
  tinytl completion fish > ~/.config/fish/completions/tinytl.fish

The script does not change until the package does: a shell starts faster if it reads it from a file.

Examples:
  tinytl completion bash
  tinytl completion bash > ~/.local/share/bash-completion/completions/tinytl
"""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tinytl_tf.cli import runner
from tinytl_tf.cli.completed import completed_commands
from tinytl_tf.cli.completion_bash import bash_script
from tinytl_tf.cli.completion_fish import fish_script
from tinytl_tf.cli.completion_zsh import zsh_script
from tinytl_tf.cli.main import COMMANDS
from tinytl_tf.errors import InputError

__all__ = []

WORDS = "shell"  # the flag that takes words without a name

_SCRIPTS = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}

CHOICES = tuple(_SCRIPTS)  # of its words


def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of the command."""
    flags.DEFINE_list("shell", [], "The shell; it may be given as a word alone.", flag_values=values)


def main(values: flags.FlagValues) -> dict[str, Any]:
    """Runs the command; returns the result for --json."""
    if len(values.shell) != 1 or values.shell[0] not in _SCRIPTS:
        given = repr(" ".join(values.shell)) if values.shell else "none"
        raise InputError(
            f"expected one shell of {', '.join(CHOICES)}, got {given:.200}; `tinytl completion bash` is an example"
        )
    script = _SCRIPTS[values.shell[0]](completed_commands(COMMANDS))
    print(script, end="")
    return {"shell": values.shell[0], "script": script}


if __name__ == "__main__":
    sys.exit(runner.run_command("completion", sys.argv[1:]))
