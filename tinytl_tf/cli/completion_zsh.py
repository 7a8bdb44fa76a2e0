"""The script that completes `tinytl` in zsh."""

from collections.abc import Sequence

from tinytl_tf.cli.completed import CompletedCommand, CompletedFlag

__all__ = ["zsh_script"]

_SCRIPT = r"""#compdef tinytl
# Completes `tinytl` in zsh; written by `tinytl completion zsh`.

_tinytl_config() {
    _alternative 'configs:config of the package:(@CONFIGS@)' 'files:config file:_files -g "*.py"'
}

_tinytl() {
    local -a commands=(
@COMMANDS@
    )
    if ((CURRENT == 2)); then
        _describe command commands
        _arguments '--help[List the commands]' '--version[Print the version]'
        return
    fi
    if [[ $PREFIX == --config.*=* ]]; then
        compset -P '*='
        _files
        return
    fi
    local command=$words[2]
    shift words
    ((CURRENT--))
    case $command in
@CASES@
    esac
}

if [[ $funcstack[1] == _tinytl ]]; then
    _tinytl "$@"
else
    (($+functions[compdef])) || { autoload -Uz compinit && compinit }
    compdef _tinytl tinytl
fi
"""


def zsh_script(commands: Sequence[CompletedCommand]) -> str:
    """Returns the script.

    Args:
        commands: All commands.
    """
    configs = {choice for command in commands for flag in command.flags if _is_config(flag) for choice in flag.choices}
    listed = [f"        {_quoted(_escaped(command.name) + ':' + command.description)}" for command in commands]
    parts = {
        "CONFIGS": " ".join(sorted(configs)),
        "COMMANDS": "\n".join(listed),
        "CASES": "\n".join(map(_case, commands)),
    }
    script = _SCRIPT
    for name, text in parts.items():
        script = script.replace(f"@{name}@", text)
    return script


def _case(command: CompletedCommand) -> str:
    specs = [spec for flag in command.flags for spec in _specs(flag)]
    if command.words:
        specs.append(f"*:word:({' '.join(command.words)})")
    elif command.takes_files:
        specs.append("*:file:_files")
    lines = " \\\n                ".join(map(_quoted, specs))
    return f"        {command.name})\n            _arguments \\\n                {lines}\n            ;;"


def _specs(flag: CompletedFlag) -> list[str]:
    description = _escaped(flag.description)
    if not flag.spellings[0].endswith("="):
        return [f"{spelling}[{description}]" for spelling in flag.spellings]
    action = "_files"
    if _is_config(flag):
        action = "_tinytl_config"
    elif flag.choices:
        action = f"({' '.join(flag.choices)})"
    return [f"{flag.spellings[0]}[{description}]:value:{action}"]


def _is_config(flag: CompletedFlag) -> bool:
    return bool(flag.choices) and flag.takes_files


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\[]:" else letter for letter in text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"
