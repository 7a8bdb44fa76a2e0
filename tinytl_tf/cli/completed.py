"""The commands that a shell completes after `tinytl`, with their flags and values."""

import dataclasses

from absl import flags

from tinytl_tf.cli import runner

__all__ = ["CompletedCommand", "CompletedFlag", "completed_commands"]

_SPECIAL = frozenset(("help", "helpfull", "helpshort", "helpxml"))


@dataclasses.dataclass(frozen=True)
class CompletedFlag:
    """A flag of a command.

    Attributes:
        spellings: `("--resume", "--noresume")` of a switch; `("--output=",)` of a flag with a value.
        description: A few words without a period.
        choices: Values to choose from; empty if there is no list.
        takes_files: Whether the value may be a path.
    """

    spellings: tuple[str, ...]
    description: str
    choices: tuple[str, ...] = ()
    takes_files: bool = False


@dataclasses.dataclass(frozen=True)
class CompletedCommand:
    """A command.

    Attributes:
        name: Its name.
        description: A few words without a period.
        flags: Its flags, and those that every command has.
        words: Words to choose from, which it takes without the name of a flag.
        takes_files: Whether it takes paths without the name of a flag.
    """

    name: str
    description: str
    flags: tuple[CompletedFlag, ...]
    words: tuple[str, ...] = ()
    takes_files: bool = False


def completed_commands(commands: dict[str, str]) -> list[CompletedCommand]:
    """Returns the commands with their flags, without an import of TensorFlow.

    Args:
        commands: Name and description of each.
    """
    return [_command(name, description) for name, description in commands.items()]


def _command(name: str, description: str) -> CompletedCommand:
    module, values = runner.import_command(name), flags.FlagValues()
    runner.define_flags(module, values, [name])
    words_flag, words = getattr(module, "WORDS", ""), tuple(getattr(module, "CHOICES", ()))
    listed = [_flag(values[flag], words if flag == words_flag else ()) for flag in sorted(set(values) - _SPECIAL)]
    listed.append(CompletedFlag(("--help",), "Describe the command and all of its flags"))
    return CompletedCommand(name, description, tuple(listed), words, takes_files=bool(words_flag) and not words)


def _flag(flag: flags.Flag, choices: tuple[str, ...]) -> CompletedFlag:
    is_config = flag.name == "config"
    choices = choices or tuple(runner.config_names() if is_config else getattr(flag.parser, "enum_values", None) or ())
    description = _sentence(flag.help.removeprefix(f"<{'|'.join(choices)}>: "))
    if flag.boolean:
        return CompletedFlag((f"--{flag.name}", f"--no{flag.name}"), description)
    return CompletedFlag((f"--{flag.name}=",), description, choices, takes_files=is_config or not choices)


def _sentence(text: str) -> str:
    """Returns the first sentence, without its period."""
    return text.partition(". ")[0].rstrip(".")
