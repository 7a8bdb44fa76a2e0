"""Rows of finished trainings: a file of JSON lines that several commands may add to at once."""

import json
import os
import pathlib

__all__ = ["append", "find", "read"]


def read(path: str | os.PathLike) -> list[dict]:
    """Returns the rows of a file, empty without a file."""
    path = pathlib.Path(path)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def find(path: str | os.PathLike, key: dict) -> dict | None:
    """Returns the row that has the values of a key."""
    return next((row for row in read(path) if row.items() >= key.items()), None)


def append(path: str | os.PathLike, row: dict) -> None:
    """Adds a row; other processes always read an appended short line completely."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
