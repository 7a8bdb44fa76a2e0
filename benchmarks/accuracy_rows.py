"""Rows of finished runs, in a file of JSON lines that several commands may append to at the same time."""

import json
import os
import pathlib

__all__ = ["append", "find", "read"]


def read(path: str | os.PathLike) -> list[dict]:
    """Returns the rows of a file, or an empty list if the file does not exist."""
    path = pathlib.Path(path)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def find(path: str | os.PathLike, key: dict) -> dict | None:
    """Returns the first row with all entries of a key, or None."""
    return next((row for row in read(path) if row.items() >= key.items()), None)


def append(path: str | os.PathLike, row: dict) -> None:
    """Appends a row. Other processes never see a part of it, because short lines are appended at once."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
