"""Guides are true: their blocks run in order, in an empty folder, and print what the page shows."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.docs.pages import CODE, ROOT, read_page, same_output

DOCS = ROOT / "docs"
GUIDES = [ROOT / "README.md", DOCS / "getting-started.md", *sorted((DOCS / "guides").glob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): read_page(path.read_text(encoding="utf-8")) for path in GUIDES}


def with_marker(name):
    marker = PAGES[name].marker
    return pytest.param(name, marks=getattr(pytest.mark, marker)) if marker else name


@pytest.mark.parametrize("name", [with_marker(name) for name in PAGES])
def test_the_blocks_run(name, tmp_path):
    missing = [tool for tool in PAGES[name].tools if not (shutil.which(tool) or importlib.util.find_spec(tool))]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    for folder in PAGES[name].needs:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("build", "__pycache__"))
    scripts = pathlib.Path(sys.executable).parent
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "tests.docs.run_page", ROOT / name]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.mark.parametrize("name", PAGES)
def test_each_block_runs_or_says_why_not(name):
    blocks = PAGES[name].blocks
    unexplained = [
        f"{name}:{block.line}: {block.language or 'no language'}" for block in blocks if not block.is_explained
    ]
    assert not unexplained, "neither runs nor has a comment <!-- not run: REASON -->: " + ", ".join(unexplained)
    assert any(block.runs for block in blocks)


def test_a_page_is_read():
    text = """<!-- test: slow -->
<!-- tools: cc make -->
<!-- needs: export/c configs -->
```bash
echo 1
```

It prints

```text
1
```

<!-- not run: needs a board -->

```bash
flash
```

<!-- file: a.c -->
```c
int a;
```

<!-- not run: of another block -->
Words.

```kotlin
val a
```
"""
    page = read_page(text)
    assert (page.marker, page.needs) == ("slow", ("export/c", "configs"))
    assert page.tools == ("cc", "make")
    assert [(block.language, block.line, block.runs, block.is_explained) for block in page.blocks] == [
        ("bash", 5, True, True),
        ("text", 11, False, True),
        ("bash", 17, False, True),
        ("c", 22, False, True),
        ("kotlin", 29, False, False),
    ]
    assert page.blocks[0].output == "1\n"
    assert page.blocks[3].value == "a.c"
    assert "" in CODE


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("loss 1.50 in 3 steps", "loss 2.25  in 3 steps\n", True),
        ("loss 1.50 in 3 steps", "loss 3.25 in 3 steps", False),
        ("loss 1.50 in 3 steps", "loss 1.50 in 4 steps", False),
        ("80 % right", "94.5 % right", True),
        ("80 % right", "64.5 % right", False),
        ("a\n...\nb 1.0", "a\nc 7.0\nd\nb 1.1", True),
        ("a\n...\nb", "a\nc", False),
        ("all", "all else", False),
    ],
)
def test_output_is_compared(expected, got, same):
    assert same_output(expected, got) is same
