"""docs/compatibility.md names files and tests that exist."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]


def test_every_file_of_the_table_exists():
    rows = [line for line in (ROOT / "docs/compatibility.md").read_text().splitlines() if line.startswith("| ")][1:]
    named = [path for row in rows for path in re.findall(r"`([\w/]+\.py)`", row)]
    assert len(rows) > 10
    assert [path for path in named if not (ROOT / path).is_file()] == []
    assert all(len(re.findall(r"`tests/[\w/]+\.py`", row)) >= 1 for row in rows)
