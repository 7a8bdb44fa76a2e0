"""Converts JSON to the types of dataclasses."""

import dataclasses
import functools
import os
import sys
import types
import typing
from collections.abc import Collection
from typing import Any

from tinytl_tf.errors import InputError

__all__ = ["parse_fields"]

_REMEDY = "export the model again"
_SHOWN = 40  # maximum characters of a name in an error message


def parse_fields(
    kind: Any,
    value: Any,
    where: str,
    path: str | os.PathLike,
    optional: Collection[str] = (),
    remedy: str = _REMEDY,
) -> Any:
    """Converts a JSON value to the type of a dataclass field.

    Args:
        kind: The type: a dataclass, a tuple, a dictionary or a plain type. A float must be finite. `X | None` is read
            as X: a field that may be missing is left out, never null.
        value: A value from `json.loads`.
        where: Dotted name of the field with a dot at its end, or empty, for error messages.
        path: Source of the value, for error messages.
        optional: Fields of dataclasses that may be missing, and then have their defaults.
        remedy: End of error messages.

    Raises:
        InputError: If a field is missing, is unknown, or has the wrong type.
    """

    def parse(kind: Any, value: Any, where: str) -> Any:
        return parse_fields(kind, value, where, path, optional, remedy)

    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return parse(arguments[0], value, where)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        fields = _types(kind)
        odd = sorted((fields.keys() ^ value.keys()) - (set(optional) - value.keys()))
        if odd:
            problem = "the unknown" if odd[0] in value else "no"
            raise InputError(f"{path} has {problem} field {where + odd[0]!r:.80}; {remedy}")
        return kind(**{name: parse(fields[name], value[name], f"{where}{name}.") for name in fields if name in value})
    if origin is tuple and isinstance(value, list):
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else arguments
        if len(kinds) == len(value):
            return tuple(parse(k, v, where) for k, v in zip(kinds, value, strict=True))
    elif origin is dict and isinstance(value, dict):
        return {name: parse(arguments[1], item, f"{where}{_shown(name)}.") for name, item in value.items()}
    elif kind is float:
        if type(value) in (int, float) and abs(value) <= sys.float_info.max:  # false for NaN
            return float(value)
    elif kind is Any or type(value) is kind:
        return value
    name = "a finite number" if kind is float else getattr(kind, "__name__", str(kind))
    raise InputError(f"expected {name} as {where.rstrip('.')} in {path}, got {value!r:.80}; {remedy}")


@functools.cache
def _types(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _shown(name: str) -> str:
    return name if name.isprintable() and len(name) <= _SHOWN else f"{name!r:.{_SHOWN}}"
