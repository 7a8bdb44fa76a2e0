"""Damaged variants of JSON files, for tests that require a clear error or a correct result for each."""

import copy
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

# What a field may be replaced by, as JSON text.
NUMBERS = ["0", "-1", "1", "2", "0.5", "-0.0", "1e39", "1e308", "1e400", "-1e400", "NaN", "Infinity", "-Infinity"]
NUMBERS += [str(2**31 - 1), str(2**31), str(2**53), str(2**63), str(2**64), str(10**30)]
OTHERS = [
    "null",
    "true",
    "false",
    '""',
    '" "',
    '"x"',
    '"\\u0000"',
    '"a\\nb"',
    '"\\ud800"',
    '".."',
    '"/etc/passwd"',
    "[]",
    "{}",
]
OTHERS += ['[""]', "[0]", "[[]]", '{"": 0}', '{"a": {}}', json.dumps("x" * 300)]
# Only in the place of fields of the outermost object, as they take long.
LARGE = ["9" * 5000, json.dumps("x" * 100_000), "[" * 900 + "]" * 900, "[" * 100_000]
LARGE += [json.dumps(["x"] * 1000), json.dumps(list(range(1000)))]
_MARK = "HERE IS THE VALUE"


def damaged(
    values: Any, fields: Collection[str] | None = None, texts: Sequence[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Yields the name of each damage with the damaged text.

    Every field and element is replaced by each of `texts`, removed, doubled (as an element, or as a key), and renamed.

    Args:
        values: Content of the JSON file.
        fields: Fields of the outermost object that are damaged; all, and the object itself, by default.
        texts: JSON texts; `NUMBERS` and `OTHERS` by default.
    """
    for place in places(values):
        if fields is not None and (not place or place[0] not in fields):
            continue
        where = ".".join(map(str, place)) or "all"
        marked = json.dumps(_replaced(values, place, _MARK))
        for text in [*(NUMBERS + OTHERS if texts is None else texts), *(LARGE if len(place) < 2 else [])]:
            yield f"{where} = {text[:20]}", marked.replace(f'"{_MARK}"', text)
        if place:
            for name, change in (("without", _remove), ("doubled", _double), ("renamed", _rename)):
                yield f"{where} {name}", change(copy.deepcopy(values), place)


def require_line(error: Exception) -> None:
    """Checks that the message of an error is one line that a person can read."""
    assert str(error).isprintable()
    assert len(str(error)) < 1000


def places(values: Any, place: tuple = ()) -> Iterator[tuple]:
    """Yields the keys that lead to each value inside of `values`; of a long list, to its first and last elements."""
    yield place
    if isinstance(values, dict):
        items = list(values.items())
    elif isinstance(values, list):
        items = list(enumerate(values))
        items = items[:1] + items[-1:] if len(items) > 2 else items
    else:
        items = []
    for key, value in items:
        yield from places(value, (*place, key))


def _parent(values: Any, place: tuple) -> Any:
    for key in place[:-1]:
        values = values[key]
    return values


def _replaced(values: Any, place: tuple, value: Any) -> Any:
    if not place:
        return value
    result = copy.deepcopy(values)
    _parent(result, place)[place[-1]] = value
    return result


def _remove(values: Any, place: tuple) -> str:
    del _parent(values, place)[place[-1]]
    return json.dumps(values)


def _double(values: Any, place: tuple) -> str:
    parent, key = _parent(values, place), place[-1]
    if isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
        return json.dumps(values)
    parent[_MARK] = parent[key]
    return json.dumps(values).replace(json.dumps(_MARK), json.dumps(key))


def _rename(values: Any, place: tuple) -> str:
    parent, key = _parent(values, place), place[-1]
    if isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
    else:
        parent.reverse()
    return json.dumps(values)
