"""The text of the product uses the wording of native engineers: patterns and replacements are in `english.py`."""

import bisect
import fnmatch
import pathlib
import re

import pytest

from tests.english import IGNORED, WORDINGS

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ("benchmarks", "configs", "docs", "export", "tinytl_tf")
SUFFIXES = {".py", ".md", ".kt", ".ts", ".c", ".h"}
BUILT = {"node_modules", "target", "build", "dist", "page-dist"}
# A space, or the end of a line of a docstring, a comment or a string literal that continues on the next line.
SPACE = r"""(?:[ \t]+|[ \t]*["'`]?[ \t]*\+?[ \t]*\n[ \t]*(?:\#|//|\*|f?["'`])?[ \t]*)"""


def product_files():
    yield from sorted(ROOT.glob("*.md"))
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and not BUILT & set(path.relative_to(ROOT).parts):
                yield path


def compiled(wording):
    return re.compile(wording.pattern.replace(" ", SPACE), re.IGNORECASE)


def findings(text, name):
    """Yields a line for each pattern of `WORDINGS` in a file's text: place, words and replacement."""
    if name.startswith(IGNORED):
        return
    ends = [match.start() for match in re.finditer("\n", text)]
    for wording in WORDINGS:
        if any(fnmatch.fnmatch(name, path) for path in wording.paths):
            for match in compiled(wording).finditer(text):
                line = bisect.bisect_left(ends, match.start()) + 1
                yield f"{name}:{line}: {' '.join(match.group().split())!r}; write: {wording.write}"


def test_the_text_is_plain_english():
    found = []
    for path in product_files():
        found += findings(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())
    assert not found, "\n".join(found)


def test_the_search_covers_all_kinds_of_files():
    files = list(product_files())
    assert {path.suffix for path in files} == SUFFIXES
    assert ROOT / "README.md" in files
    assert len(files) > 300


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What a device learnt", "learnt"),
        ("it normalises pixels", "normalises"),
        ("it can not be planned", "can not"),
        ("it goes\n    # on later", "goes # on"),
        ('"the run goes "\n    f"on later"', 'goes " f"on'),
        (" * null if there\n * is none", "there * is none"),
        ("a.txt is no state file", "txt is no state"),
        ("a file beside the model", "beside"),
        ("float32 as ever", "as ever"),
        ("read it once more", "once more"),
        ("the state comes home", "comes home"),
    ],
)
def test_a_planted_sentence_is_found(text, words):
    (found,) = findings(f"first\n{text}\n", "docs/page.md")
    assert found.startswith(f"docs/page.md:2: {words!r}; write: ")


@pytest.mark.parametrize(
    "text",
    [
        "there is no such file",
        "it is no longer kept",
        "expected images, got none",
        "the learned values",
        "a set\n\nbes ide",
    ],
)
def test_plain_sentences_pass(text):
    assert not list(findings(text, "docs/page.md"))


@pytest.mark.parametrize(
    ("name", "is_found"), [("export/build.py", True), ("tinytl_tf/files.py", True), ("README.md", False)]
)
def test_a_pattern_holds_for_its_paths(name, is_found):
    assert any(findings("it keeps what the layer makes of it", name)) is is_found


def test_ignored_folders_are_not_searched():
    assert not list(findings("learnt", "golden/README.md"))
