"""Reads the fenced blocks of a Markdown page, and how to test each of them.

A page is tested the way a reader follows it: its blocks run in order in one empty folder. Python blocks share their
variables; a block of shell commands stops at the first command that fails. HTML comments, which a reader does not see,
define exceptions:

| comment | effect |
|---|---|
| `<!-- test: thorough -->`, once per page | pytest marker for the page |
| `<!-- needs: export/c -->`, once per page | folders of the repository to copy to the empty folder |
| `<!-- tools: cc sklearn -->`, once per page | required programs and modules; without them the page is skipped |
| `<!-- not run: REASON -->`, before a block | the block does not run |
| `<!-- file: NAME -->`, before a block | the block is written to this file |
| `<!-- not compared: REASON -->`, before a block of output | the output is an example |

A `text` block after a block that runs is the expected output; see `same_output`.
"""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
RUN = ("bash", "python")
# What a reader would copy. Blocks in any other language show output or the content of data files.
CODE = (
    *RUN,
    "c",
    "cpp",
    "dockerfile",
    "groovy",
    "html",
    "java",
    "js",
    "kotlin",
    "sh",
    "shell",
    "toml",
    "ts",
    "xml",
    "",
)

_COMMENT = re.compile(r"<!-- (test|needs|tools|not run|file|not compared): (.+?) -->")
_FENCE = re.compile(r"^ *```(\S*)")
_PERCENT = re.compile(r"\d+(?:\.\d+)? ?%")
_DECIMAL = re.compile(r"\d+\.\d+(?:e[+-]?\d+)?")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: the word after the fence.
        text: its lines.
        line: number of the first line, from 1.
        comment: name of the HTML comment before it, or "".
        value: text of that comment.
        output: what has to be printed, or None.
    """

    language: str
    text: str
    line: int
    comment: str = ""
    value: str = ""
    output: str | None = None

    @property
    def runs(self) -> bool:
        """Whether it is executed."""
        return self.language in RUN and self.comment not in ("not run", "file")

    @property
    def is_explained(self) -> bool:
        """Whether it runs, is written to a file, has a reason not to run, or is output and not code."""
        return self.language not in CODE or self.runs or self.comment in ("not run", "file")


@dataclasses.dataclass(frozen=True)
class Page:
    """Blocks of a page, the marker of its test, and the folders, programs and modules that it needs."""

    blocks: tuple[Block, ...]
    marker: str = ""
    needs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


def read_page(text: str) -> Page:
    """Returns the blocks of a Markdown text."""
    blocks, marker, needs, tools = [], "", (), ()
    comment, lines, language, start = ("", ""), None, "", 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if lines is not None:
            if line.strip() == "```":
                _append(blocks, Block(language, "\n".join(lines) + "\n", start, *comment))
                comment, lines = ("", ""), None
            else:
                lines.append(line)
        elif fence:
            lines, language, start = [], fence[1], number + 1
        elif found := _COMMENT.fullmatch(line.strip()):
            if found[1] == "test":
                marker = found[2]
            elif found[1] == "needs":
                needs = tuple(found[2].split())
            elif found[1] == "tools":
                tools = tuple(found[2].split())
            else:
                comment = found.groups()
        elif line.strip():
            comment = ("", "")
    return Page(tuple(blocks), marker, needs, tools)


def _append(blocks: list[Block], block: Block) -> None:
    if block.language == "text" and block.comment != "not compared" and blocks and blocks[-1].runs:
        blocks[-1] = dataclasses.replace(blocks[-1], output=block.text)
    blocks.append(block)


def same_output(expected: str, got: str) -> bool:
    """Returns whether a program printed what its page shows.

    `...` stands for anything. Figures depend on the machine: per cents may differ by 15 points, other numbers with a
    decimal point by a factor of 2. All else is the same, but for spaces.
    """
    pattern = ""
    for part in re.split(r"(\.\.\.)", expected.strip()):
        pattern += "(?s:.*?)" if part == "..." else _pattern(part)
    found = re.fullmatch(pattern, got.strip())
    return found is not None and all(
        _near(*pair) for pair in zip(_figures(expected), map(_number, found.groups()), strict=True)
    )


def _pattern(part: str) -> str:
    pieces = re.split(rf"({_PERCENT.pattern}|{_DECIMAL.pattern})", part)
    result = ""
    for piece in pieces:
        if _PERCENT.fullmatch(piece):
            result += r"(\d+(?:\.\d+)? ?%)"
        elif _DECIMAL.fullmatch(piece):
            result += r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
        else:
            result += re.sub(r"(\\[ \n]|[ \n])+", r"\\s+", re.escape(piece))
    return result


def _figures(text: str) -> list[tuple[float, bool]]:
    return [_number(figure) for figure in re.findall(rf"{_PERCENT.pattern}|{_DECIMAL.pattern}", text)]


def _number(figure: str) -> tuple[float, bool]:
    return float(figure.rstrip(" %")), figure.endswith("%")


def _near(expected: tuple[float, bool], got: tuple[float, bool]) -> bool:
    (a, is_percent), (b, _) = expected, got
    return abs(a - b) <= 15 if is_percent else a / 2 <= b <= 2 * a
