"""The file `labels.csv` of a folder of images that have several attributes each."""

import collections
import csv
import io
import pathlib
import unicodedata

import numpy as np

from tinytl_tf.data.reason import reason
from tinytl_tf.errors import InputError
from tinytl_tf.regular_file import open_regular

LABELS_FILE = "labels.csv"
_FORMAT = "expected a header file,ATTRIBUTE,... and rows of a path inside the folder and 0 or 1 for each attribute"


def read_labels(path: pathlib.Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Reads which attributes each image has.

    ```
    file,smiling,glasses
    1.jpg,0,1
    more/2.jpg,1,1
    ```

    Args:
        path: The file, UTF-8.

    Returns:
        The attributes in order, in Unicode's normal form NFC, and of each image, by its path inside the folder, float32
        `[attributes]` of 0 and 1.

    Raises:
        InputError: If the file cannot be read or has another format, or an attribute or image is named twice.
    """
    try:
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read ({reason(error)}); {_FORMAT}") from error
    if not rows or rows[0][0].strip() != "file" or len(rows[0]) < 2:
        raise InputError(f"{path} begins with {','.join(rows[0]) if rows else 'nothing'!r:.80}; {_FORMAT}")
    attributes = [unicodedata.normalize("NFC", name.strip()) for name in rows[0][1:]]
    _refuse_twice(path, "attribute", attributes)
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]) or not {value.strip() for value in row[1:]} <= {"0", "1"}:
            raise InputError(f"row {number} of {path} is {','.join(row)!r:.80}; {_FORMAT}")
    names = [pathlib.PurePosixPath(row[0].strip()).as_posix() for row in rows[1:]]
    _refuse_twice(path, "file", names)
    return attributes, {
        name: np.array([float(value) for value in row[1:]], np.float32)
        for name, row in zip(names, rows[1:], strict=True)
    }


def _refuse_twice(path: pathlib.Path, kind: str, names: list[str]) -> None:
    for name, count in collections.Counter(names).items():
        if count > 1:
            raise InputError(f"{path} has the {kind} {name!r:.80} {count} times; keep one of them")
