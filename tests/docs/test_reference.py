"""The reference is complete, and commands that no test runs have only flags that exist."""

import importlib
import re
import shlex

import pytest
from absl import flags

import tinytl_tf
from tests.docs.pages import ROOT, read_page
from tinytl_tf.cli import main as cli

DOCS = ROOT / "docs"
PAGES = sorted({ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "export").glob("*/README.md")})


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    missing = [name for name in tinytl_tf.__all__ if not re.search(rf"\b{name}\b", text)]
    assert not missing


def test_every_command_is_in_the_reference():
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert [name for name in cli.COMMANDS if f"| `{name}` |" not in text] == []


def test_every_config_is_in_the_reference():
    text = (DOCS / "reference" / "configs.md").read_text(encoding="utf-8")
    names = {path.name for path in (ROOT / "configs").glob("*.py")} - {"__init__.py", "paper.py"}
    assert [name for name in names if name not in text and not name.startswith("paper_")] == []


COMMAND = re.compile(r"(?:^|[`\s(])tinytl (" + "|".join(cli.COMMANDS) + r")((?:[ \t]+[^\s`&|;)#]+)*)")


def commands(text):
    """The commands that a page names, in blocks and in lines, each as its name and flags."""
    found = []
    for name, rest in COMMAND.findall(re.sub(r"\s*\\\n\s*", " ", text)):
        found.append((name, [word for word in shlex.split(rest, posix=False) if word.startswith("--")]))
    return found


def known_flags(command):
    values = flags.FlagValues()
    importlib.import_module(f"tinytl_tf.cli.{command.replace('-', '_')}").define_flags(values, [command])
    names = {"json", "verbose", "overwrite", "help", *values}
    return names | {f"no{name}" for name in names}


def known_keys(config, start="config"):
    for key, value in config.items():
        if hasattr(value, "items"):
            yield from known_keys(value, f"{start}.{key}")
        else:
            yield f"{start}.{key}"


@pytest.fixture(scope="module")
def keys():
    return set(known_keys(importlib.import_module("tinytl_tf.configs.default").get_config()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_flags_exist(page, keys):
    wrong = []
    for name, words in commands(page.read_text(encoding="utf-8")):
        known = known_flags(name)
        for word in words:
            flag = word[2:].partition("=")[0]
            if flag not in (keys if flag.startswith("config.") else known):
                wrong.append(f"tinytl {name} {word}")
    assert not wrong


def test_commands_of_a_page_are_found():
    text = "`tinytl memory --account=paper` and\n```bash\ntinytl train --config=a.py \\\n"
    text += "  --workdir=b && tinytl quickstart\ntinytl serve --port=0\n```"
    assert commands(text) == [
        ("memory", ["--account=paper"]),
        ("train", ["--config=a.py", "--workdir=b"]),
        ("quickstart", []),
        ("serve", ["--port=0"]),
    ]
    assert read_page(text).blocks[0].runs
