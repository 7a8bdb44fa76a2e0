"""The script that completes `tinytl` in bash."""

from collections.abc import Sequence

from tinytl_tf.cli.completed import CompletedCommand

__all__ = ["bash_script"]

# `=` and `:` break words in bash, so that `--target=micro` is three of COMP_WORDS, unless a user has changed
# COMP_WORDBREAKS. Without an answer of the function, `-o default` completes paths.
_SCRIPT = r"""# Completes `tinytl` in bash; written by `tinytl completion bash`.

_tinytl_flags() {
    case $1 in
@FLAGS@
    esac
}

_tinytl_values() {
    case "$1 $2" in
@VALUES@
    esac
}

_tinytl_words() {
    case $1 in
@WORDS@
        *) _tinytl_flags "$1" ;;
    esac
}

_tinytl() {
    local IFS=$' \t\n'
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local flag='' value='' attached='' choices=''
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        choices='@COMMANDS@ --help --version' value=$current
    elif [[ $current == --*=* ]]; then
        flag=${current%%=*} value=${current#*=} attached=${current%%=*}=
    elif [[ $current == '=' ]]; then
        flag=$previous
    elif [[ $previous == '=' ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 2]} value=$current
    elif [[ $current == ':' || $previous == ':' ]]; then
        return
    elif [[ $current == -* ]]; then
        choices=$(_tinytl_flags "$command") value=$current
    elif [[ " $(_tinytl_flags "$command") " == *" $previous= "* ]]; then
        flag=$previous value=$current
    else
        choices=$(_tinytl_words "$command") value=$current
    fi
    if [[ $flag ]]; then
        choices=$(_tinytl_values "$command" "$flag")
    fi
    if [[ $choices ]]; then
        COMPREPLY=($(compgen -P "$attached" -W "$choices" -- "$value"))
        if [[ $flag == --config ]]; then
            compopt -o plusdirs 2>/dev/null
            mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -P "$attached" -f -X '!*.py' -- "$value")
        else
            compopt +o default 2>/dev/null
        fi
        if [[ ${COMPREPLY[0]-} == *= ]]; then
            compopt -o nospace 2>/dev/null
        fi
    elif [[ $attached ]]; then
        mapfile -t COMPREPLY < <(compgen -P "$attached" -f -- "$value")
    fi
}

complete -o default -F _tinytl tinytl
"""


def bash_script(commands: Sequence[CompletedCommand]) -> str:
    """Returns the script.

    Args:
        commands: All commands.
    """
    spelled, values, words = [], [], []
    for command in commands:
        spelled.append(_case(command.name, [text for flag in command.flags for text in flag.spellings]))
        for flag in command.flags:
            if flag.choices:
                values.append(_case(f'"{command.name} {flag.spellings[0][:-1]}"', flag.choices))
        if command.words or command.takes_files:
            words.append(_case(command.name, command.words))
    parts = {"FLAGS": spelled, "VALUES": values, "WORDS": words}
    script = _SCRIPT.replace("@COMMANDS@", " ".join(command.name for command in commands))
    for name, lines in parts.items():
        script = script.replace(f"@{name}@", "\n".join(lines))
    return script


def _case(pattern: str, words: Sequence[str]) -> str:
    return f"        {pattern}) echo '{' '.join(words)}' ;;"
