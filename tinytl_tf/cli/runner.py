"""Runs one command of `tinytl`. Flags, help, errors, exit status and the JSON result work the same for all commands.

A command is a module `tinytl_tf/cli/<command>.py`. Its docstring is the help text. It has two functions:

    def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
        flags.DEFINE_string("model", None, "The .tflite file.", flag_values=values, required=True)

    def main(values: flags.FlagValues) -> dict:
        return {"accuracy": ...}  # the result that --json writes

A command may also define `FIRST`, the names of the flags to list first in `--help`; `WORDS`, the name of a list flag
that collects positional arguments; `CHOICES`, all words that this flag takes; and `with_config(argv)`, which adds
`--config` if it is missing.

Each run gets its own `values`, so that commands share no flags. `argv` is for
`config_flags.DEFINE_config_file(..., flag_values=values, sys_argv=argv)`, which reads overrides from it.
"""

import contextlib
import importlib
import importlib.resources
import json
import math
import os
import pathlib
import re
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags

from tinytl_tf import files
from tinytl_tf.cli import noise
from tinytl_tf.cli.help_text import help_text
from tinytl_tf.cli.signals import Signals
from tinytl_tf.cli.streams import end_of_printed, guarded_streams
from tinytl_tf.data.reason import reason
from tinytl_tf.errors import InputError, TinyTLError

__all__ = [
    "MOST",
    "config_names",
    "define_flags",
    "import_command",
    "import_tensorflow",
    "print_next",
    "refuse_unused",
    "run_command",
]

# Flags whose value is a path, in any command. The value of `data` may also be a name, which expansion leaves as is.
_PATHS = frozenset(
    (
        "branch_weights",
        "continue_from",
        "data",
        "features_cache",
        "from_model",
        "json",
        "model",
        "output",
        "plot",
        "state",
        "state_in",
        "state_model",
        "state_of",
        "state_out",
        "wasm",
        "workdir",
    )
)
# Commands whose printed text is their only result, unless --json is given.
_PRINTED = frozenset(("completion", "evaluate", "infer", "memory", "networks"))
_LONGEST_WORD = 1000
MOST = 2**53 - 1  # the largest integer that all clients, and a float, represent exactly
_HELP = {"--help", "-help", "-h", "--helpfull", "--helpshort"}


def run_command(name: str, argv: Sequence[str]) -> int:
    """Runs the command `name` with the arguments `argv`.

    Args:
        name: Name of a module of `tinytl_tf.cli`, with hyphens instead of underscores.
        argv: The arguments after the command's name.

    Returns:
        The exit status: 0 for success; the status of a `TinyTLError`, whose message is printed as one line on standard
        error; 130 after an interrupt (SIGINT); 143 after SIGTERM. Any other exception is a bug in this package and
        propagates. Failure to print does not affect the status, except for commands whose result is only printed:
        they return 1 if standard output cannot be written, without a message if its reader closed the pipe.
    """
    with guarded_streams():
        return _guarded(name, argv)


def _guarded(name: str, argv: Sequence[str]) -> int:
    signals, values = Signals(), flags.FlagValues()
    with signals.handled():
        try:
            with noise.held_back(verbose=_is_verbose(argv)), signals.unwrapped():
                is_only_printed = _run(name, argv, values)
        except TinyTLError as error:
            return _end(f"tinytl {name}: error: {_in_flags(str(error), values)}", error.exit_status)
        except KeyboardInterrupt:
            pass
        else:
            if signals.exit_status is None:
                return end_of_printed(f"tinytl {name}") if is_only_printed else 0
        return _end(f"tinytl {name}: interrupted", signals.exit_status or 130)


def _end(text: str, status: int) -> int:
    with contextlib.suppress(KeyboardInterrupt):  # a second interrupt, while the last line is printed
        print(text, file=sys.stderr)
    return status


def _is_lack_of_memory(error: Exception) -> bool:
    """Whether the error is an out-of-memory error of NumPy or TensorFlow (by name, to avoid importing TensorFlow)."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _in_flags(text: str, values: flags.FlagValues) -> str:
    """Replaces library arguments in the advice of an error message, `name=True`, with the corresponding flags."""
    return re.sub(r"\b(\w+)=True\b", lambda match: f"--{match[1]}" if match[1] in values else match[0], text)


def _is_verbose(argv: Sequence[str]) -> bool:
    """Whether --verbose is given. Checked before the flags are parsed: libraries write output while being imported."""
    given = [word for word in argv if word.lstrip("-").partition("=")[0] in ("verbose", "noverbose")]
    return bool(given) and given[-1].lstrip("-").lower() in ("verbose", "verbose=true", "verbose=1")


def _run(name: str, argv: Sequence[str], values: flags.FlagValues) -> bool:
    """Runs the command; returns whether its result was only printed to standard output."""
    command = import_command(name)
    argv = _with_config_paths(getattr(command, "with_config", list)(argv))
    define_flags(command, values, [name, *argv])
    if _HELP.intersection(argv):
        print(help_text(command, values))
        return True
    _parse(values, [name, *argv], getattr(command, "WORDS", ""))
    for flag in _PATHS.intersection(values):
        if values[flag].value:
            values[flag].value = os.fspath(files.expand(values[flag].value))
    if values.json is not None:
        files.refuse_existing(values.json, values.overwrite)
    try:
        result = command.main(values)
    except Exception as error:
        if not _is_lack_of_memory(error):
            raise
        raise InputError(
            f"not enough memory ({reason(error)}); choose a lower resolution or batch size, or a smaller network, or "
            "end other programs"
        ) from error
    if values.json is None:
        return name in _PRINTED
    text = json.dumps(_to_json(result), indent=2, allow_nan=False) + "\n"
    files.atomic_write_bytes(values.json, text.encode())
    return False


def import_command(name: str) -> types.ModuleType:
    """Imports the module of the command `name`."""
    return importlib.import_module(f"tinytl_tf.cli.{name.replace('-', '_')}")


def define_flags(command: types.ModuleType, values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Defines the flags of a command: its own, and those that every command has.

    Args:
        command: The module of the command.
        values: Gets the flags.
        argv: The name of the command and its arguments.
    """
    command.define_flags(values, argv)
    flags.DEFINE_string("json", None, "Write the result to this file as JSON.", flag_values=values)
    flags.DEFINE_boolean("overwrite", False, "Replace existing files.", flag_values=values)
    flags.DEFINE_boolean("verbose", False, "Also show the output of TensorFlow and LiteRT.", flag_values=values)


def config_names() -> list[str]:
    """Returns the names of the configs that come with the package, sorted."""
    return sorted(one.stem for one in _config_folder().glob("*.py") if one.stem != "__init__")


def _config_folder() -> pathlib.Path:
    return pathlib.Path(str(importlib.resources.files("tinytl_tf.configs")))


def _with_config_paths(argv: Sequence[str]) -> list[str]:
    """Resolves the path of `--config`. Needed before the flags are parsed, because parsing reads the file."""
    result = list(argv)
    for position, word in enumerate(argv):
        flag, equals, path = word.partition("=")
        if flag not in ("--config", "-config"):
            continue
        if equals and path:
            result[position] = f"{flag}={_config_path(path)}"
        elif not equals and position + 1 < len(argv):
            result[position + 1] = _config_path(argv[position + 1])
    return result


def _config_path(path: str) -> str:
    """Returns the path of a config file, from a path or the name of a config in this package, such as `default`."""
    file = files.expand(path)
    if path.partition(":")[0].endswith(".py") or file.is_file():  # a parameter may follow
        return str(file)
    names = config_names()
    if path not in names:
        raise InputError(
            f"expected --config=FILE.py, or the name of a config that comes with the package, got {path!r:.200}; there "
            f"are {', '.join(names)}"
        )
    return str(_config_folder() / f"{path}.py")


def print_next(*commands: str) -> None:
    """Prints commands that use the output of this one."""
    print("next:")
    for command in commands:
        print(f"  {command}")


def refuse_unused(values: flags.FlagValues, names: Sequence[str], why: str) -> None:
    """Rejects flags that would have no effect.

    Args:
        values: The flags of the command.
        names: Names of the flags that have no effect in this combination.
        why: The rest of the sentence, for example "with --workdir, which runs in Keras".

    Raises:
        InputError: If one of these flags was given.
    """
    given = [name for name in names if values[name].present]
    if given:
        raise InputError(f"--{given[0]} does nothing {why}; leave it out")


def import_tensorflow() -> None:
    """Imports TensorFlow for a command, without import warnings. `noise` holds back its output."""
    with noise.quiet_imports():
        importlib.import_module("tensorflow")


def _parse(values: flags.FlagValues, argv: Sequence[str], words_flag: str) -> None:
    """Parses the arguments. Positional arguments are appended to the flag `words_flag`, if the command has one."""
    try:
        with warnings.catch_warnings(), _no_bytecode():
            # ml_collections loads config files the old way.
            warnings.filterwarnings("ignore", r"the load_module\(\) method is deprecated", DeprecationWarning)
            rest = values(argv)[1:]
            for name in values:
                getattr(values[name].value, "lock", None)  # config_flags reports a missing config file on first access
    except Exception as error:  # a config file is user code, which may raise anything
        words = " ".join(map(_shortened, _words(error).split()))
        raise InputError(f"{words} (`tinytl {argv[0]} --help` lists the flags)") from error
    if rest and words_flag:
        values[words_flag].value = [*values[words_flag].value, *rest]
    elif rest:
        raise InputError(f"expected flags of the form --name=value, got {rest[0]!r}")
    for name in values:
        value = values[name].value
        if type(value) is int and abs(value) > MOST:
            raise InputError(f"expected --{name} of at most {MOST}, got {_shortened(str(value))}")


def _shortened(word: str) -> str:
    """Shortens a word that is too long for one line; paths are much shorter than the limit."""
    return word if len(word) <= _LONGEST_WORD else f"{word[:40]}...({len(word)} characters)"


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Keeps Python from creating a `__pycache__` folder next to the user's config file."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _words(error: Exception) -> str:
    """Returns the error message, with its origin if it does not come from a flag."""
    if isinstance(error, flags.Error):
        return str(error)
    if error.args and isinstance(error.args[0], KeyError):  # ml_collections wraps the name in two layers of quotes
        return f"the config has no such key: {error.args[0].args[0]}"
    cause = error.__cause__ or error
    return f"the config file cannot be used: {type(cause).__name__}: {cause}"


def _to_json(value: Any) -> Any:
    """Converts NumPy values and paths to JSON types; numbers that are not finite become null."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, pathlib.PurePath) else value
