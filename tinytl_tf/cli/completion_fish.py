"""The script that completes `tinytl` in fish."""

from collections.abc import Iterator, Sequence

from tinytl_tf.cli.completed import CompletedCommand, CompletedFlag

__all__ = ["fish_script"]

_START = """# Completes `tinytl` in fish; written by `tinytl completion fish`.

complete -c tinytl -f
complete -c tinytl -n __fish_use_subcommand -l help -d 'List the commands'
complete -c tinytl -n __fish_use_subcommand -l version -d 'Print the version'
"""


def fish_script(commands: Sequence[CompletedCommand]) -> str:
    """Returns the script.

    Args:
        commands: All commands.
    """
    return _START + "".join(f"{line}\n" for command in commands for line in _lines(command))


def _lines(command: CompletedCommand) -> Iterator[str]:
    name, description = _quoted(command.name), _quoted(command.description)
    yield f"complete -c tinytl -n __fish_use_subcommand -a {name} -d {description}"
    here = f"complete -c tinytl -n '__fish_seen_subcommand_from {command.name}'"
    if command.words:
        yield f"{here} -a {_quoted(' '.join(command.words))}"
    elif command.takes_files:
        yield f"{here} -F"
    for flag in command.flags:
        for spelling in flag.spellings:
            option = f"{here} -l {spelling.strip('-=')}{_value(flag)}"
            if flag.choices:  # apart, because the description is not that of a choice
                yield f"{option} -a {_quoted(' '.join(flag.choices))}"
            yield f"{option} -d {_quoted(flag.description)}"


def _value(flag: CompletedFlag) -> str:
    if not flag.spellings[0].endswith("="):
        return ""
    return " -r -F" if flag.takes_files else " -r -f"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
