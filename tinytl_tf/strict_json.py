"""Reads JSON that may be damaged, and accepts only JSON that every client reads in the same way."""

import json
import math
import os
from typing import Any

from tinytl_tf.regular_file import open_regular

__all__ = ["parse_json", "read_json"]

_LEAST, _MOST = -(2**63), 2**64 - 1  # limits of an integer
_MOST_LEVELS = 64  # far below Python's recursion limit, so that code that walks through the values stays below it too
_SHOWN = 200  # maximum characters of an error message


def parse_json(text: str | bytes) -> Any:
    """Parses a JSON text.

    Unlike `json.loads`, it refuses NaN and Infinity, numbers that no float64 or 64-bit integer can hold, duplicate keys
    in an object, strings with lone surrogates, and more than 64 levels of nesting.

    Args:
        text: The text, as a string or as UTF-8 bytes.

    Raises:
        ValueError: If the text breaks one of these rules; the message is one line.

    Example:
        >>> parse_json('{"scale": 0.5}')
        {'scale': 0.5}
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        values = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_object,
        )
        _require_flat(values)
        json.dumps(values, ensure_ascii=False).encode()  # fails for a lone surrogate, which no other check finds
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{' '.join(str(error).split()):.{_SHOWN}}") from error
    return values


def read_json(path: str | os.PathLike, most_bytes: int) -> Any:
    """Reads and parses a JSON file; see `parse_json`.

    Args:
        path: The file.
        most_bytes: Maximum size in bytes; a larger file is refused.

    Raises:
        OSError: If the file cannot be read or is not a regular file.
        ValueError: If the file is too large or `parse_json` refuses its text; the message is one line.
    """
    with open_regular(path) as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"more than {most_bytes} bytes")
    return parse_json(content)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"the number {name}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text:.40}, which is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > len(str(_LEAST)) or not _LEAST <= int(text) <= _MOST:
        raise ValueError(f"the number {text:.40}, which is too large")
    return int(text)


def _require_flat(values: Any) -> None:
    level = [values]
    for _ in range(_MOST_LEVELS + 1):
        items = (
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        )
        level = [item for group in items for item in group]
        if not level:
            return
    raise ValueError("nested too deeply")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"the key {name!r:.80} twice")
        values[name] = value
    return values
