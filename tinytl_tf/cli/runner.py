"""Runs one command of `tinytl`: flags, help, errors, exit status and the JSON result, in one place for all of them.

A command is a module `tinytl_tf/cli/<command>.py` whose docstring is its help and which has two functions:

    def define_flags(values: flags.FlagValues, argv: Sequence[str]) -> None:
        flags.DEFINE_string("model", None, "The .tflite file.", flag_values=values, required=True)

    def main(values: flags.FlagValues) -> dict:
        return {"accuracy": ...}  # what --json writes

`values` is made anew for each run, so that commands share no flags. `argv` is for
`config_flags.DEFINE_config_file(..., flag_values=values, sys_argv=argv)`, which finds overrides in it.
"""

import contextlib
import importlib
import json
import os
import pathlib
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from tinytl_tf import files
from tinytl_tf.errors import InputError, TinyTLError

__all__ = ["import_tensorflow", "refuse_unused", "run_command"]

_HELP = {"--help", "-help", "-h", "--helpfull", "--helpshort"}


def run_command(name: str, argv: Sequence[str]) -> int:
    """Runs the command `name` with the arguments `argv`.

    Args:
        name: Name of a module of `tinytl_tf.cli`.
        argv: The arguments after the command's name.

    Returns:
        The exit status: 0; that of a `TinyTLError`, whose message is one line on standard error; or 130
        when interrupted. Any other exception is a fault of ours and keeps its traceback.
    """
    try:
        command = importlib.import_module(f"tinytl_tf.cli.{name}")
        values = flags.FlagValues()
        command.define_flags(values, [name, *argv])
        flags.DEFINE_string("json", None, "Write the result to this file, as JSON.", flag_values=values)
        flags.DEFINE_boolean("overwrite", False, "Replace files that exist already.", flag_values=values)
        if _HELP.intersection(argv):
            print(f"{command.__doc__.strip()}\n\nflags:\n{values.get_help(include_special_flags=False)}")
            return 0
        _parse(values, [name, *argv])
        if values.json is not None:
            files.refuse_existing(values.json, values.overwrite)
        result = command.main(values)
        if values.json is not None:
            text = json.dumps(result, indent=2, default=_to_json, allow_nan=False) + "\n"
            files.atomic_write_bytes(values.json, text.encode())
    except TinyTLError as error:
        print(f"tinytl {name}: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"tinytl {name}: interrupted", file=sys.stderr)
        return 130
    return 0


def refuse_unused(values: flags.FlagValues, names: Sequence[str], why: str) -> None:
    """Refuses flags that would do nothing.

    Args:
        values: The flags of the command.
        names: Names of those that have no effect in this combination.
        why: The rest of the sentence, for example "with --workdir, which runs in Keras".

    Raises:
        InputError: If one of them was given.
    """
    given = [name for name in names if values[name].present]
    if given:
        raise InputError(f"--{given[0]} does nothing {why}; leave it out")


def import_tensorflow() -> None:
    """Imports TensorFlow for a command, without the remarks of its C++ parts and its converter.

    A mistake that matters is a Python exception as well. Setting TF_CPP_MIN_LOG_LEVEL, for example to 0, shows all.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.set_verbosity(logging.ERROR)
    with _held_back_stderr():  # what is said while the libraries load heeds no level
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Holds back what any part of the process writes to standard error; shows it if the block raises."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _parse(values: flags.FlagValues, argv: Sequence[str]) -> None:
    try:
        with warnings.catch_warnings(), _no_bytecode():
            # ml_collections loads config files the old way.
            warnings.filterwarnings("ignore", r"the load_module\(\) method is deprecated", DeprecationWarning)
            rest = values(argv)[1:]
            for name in values:
                getattr(values[name].value, "lock", None)  # config_flags tells of a missing config file at first use
    except Exception as error:  # a config file is the user's code, so that it may raise anything
        raise InputError(f"{' '.join(_words(error).split())} (`tinytl {argv[0]} --help` lists the flags)") from error
    if rest:
        raise InputError(f"expected flags of the form --name=value, got {rest[0]!r}")


@contextlib.contextmanager
def _no_bytecode() -> Iterator[None]:
    """Keeps Python from leaving a `__pycache__` beside a config file, which is the user's."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _words(error: Exception) -> str:
    """The error's words, and where it comes from when it is not from a flag."""
    if isinstance(error, flags.Error):
        return str(error)
    if error.args and isinstance(error.args[0], KeyError):  # ml_collections puts the name in two layers of quotes
        return f"the config has no such key: {error.args[0].args[0]}"
    cause = error.__cause__ or error
    return f"the config file cannot be used: {type(cause).__name__}: {cause}"


def _to_json(value: Any) -> Any:
    """Turns what numpy and pathlib give into what JSON knows."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, pathlib.PurePath):
        return str(value)
    raise TypeError(f"expected a result made of JSON's types, got {type(value).__name__}")
