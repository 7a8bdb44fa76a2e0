"""The file `labels.csv` of a folder of images that have several attributes each."""

import collections
import csv
import io
import pathlib

import numpy as np

from tinytl_tf.data.classes import check_name, normalized
from tinytl_tf.data.reason import reason
from tinytl_tf.errors import InputError
from tinytl_tf.regular_file import open_regular

LABELS_FILE = "labels.csv"
_FORMAT = (
    "expected UTF-8 with a header file,ATTRIBUTE,... and rows of a path inside the folder and 0 or 1 for each attribute"
)
_BLANKS = " \t"  # around a field; other spaces may be part of a name


def read_labels(path: pathlib.Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Reads which attributes each image has.

    ```
    file,smiling,glasses
    1.jpg,0,1
    more/2.jpg,1,1
    ```

    Any line endings, a byte order mark, quoted fields, and blanks around fields are allowed.

    Args:
        path: The file, UTF-8.

    Returns:
        The attributes in order, in Unicode's normal form NFC, and for each image, by its path inside the folder as
        spelled in the file, float32 `[attributes]` of 0 and 1.

    Raises:
        InputError: If the file cannot be read or has a different format; if the name of an attribute is missing or
            refused; or if an attribute or image is named twice.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            rows = [(reader.line_num, [field.strip(_BLANKS) for field in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({reason(error)}); {_FORMAT}") from error
    _, header = rows.pop(0) if rows else (0, [])
    if len(header) < 2 or header[0] != "file":
        raise InputError(f"{path} begins with {','.join(header) or 'nothing'!r:.80}; {_FORMAT}")
    attributes = [_attribute(path, column, name) for column, name in enumerate(header[1:], 2)]
    _refuse_twice(path, "attribute", attributes)
    for line, row in rows:
        if len(row) != len(header) or not {*row[1:]} <= {"0", "1"}:
            raise InputError(f"line {line} of {path} is {','.join(row)!r:.80}; {_FORMAT}")
    names = [pathlib.PurePosixPath(name).as_posix() for _, (name, *_) in rows]
    _refuse_twice(path, "file", names)
    return attributes, {name: np.array(row[1:], np.float32) for name, (_, row) in zip(names, rows, strict=True)}


def _attribute(path: pathlib.Path, column: int, name: str) -> str:
    try:
        check_name(name)
    except InputError as error:
        raise InputError(f"column {column} of {path}: {error}") from error
    return normalized(name)


def _refuse_twice(path: pathlib.Path, kind: str, names: list[str]) -> None:
    for name, count in collections.Counter(names).items():
        if count > 1:
            raise InputError(f"{path} has the {kind} {name!r:.80} {count} times; keep one of them")
