"""The text of `tinytl COMMAND --help`."""

import textwrap
import types

from absl import flags

__all__ = ["help_text"]

_WIDTH = 100


def help_text(command: types.ModuleType, values: flags.FlagValues) -> str:
    """Returns the docstring of a command and the descriptions of its flags, with those in `command.FIRST` first.

    Args:
        command: The module of the command.
        values: The flags of the command.
    """
    first = getattr(command, "FIRST", ())
    rest = sorted(name for name in values if name not in first and name not in _SPECIAL)
    groups = [("flags:", first), ("more flags:", rest)] if first else [("flags:", rest)]
    parts = ["\n".join([title, *(_describe(values[name]) for name in names)]) for title, names in groups]
    return "\n\n".join([command.__doc__.strip(), *parts])


_SPECIAL = frozenset(("help", "helpfull", "helpshort", "helpxml"))


def _describe(flag: flags.Flag) -> str:
    choices = getattr(flag, "enum_values", None)
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    kinds = f"<{'|'.join(choices)}>: " if choices else ""
    text = f"{name}: {kinds}{flag.help}"
    if flag.default not in (None, "", False, []):
        text += f" (default: {','.join(flag.default) if isinstance(flag.default, list) else flag.default})"
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)
