"""Advice in errors: what the library raises speaks of arguments, never of flags, which it knows nothing of."""

import ast
import pathlib
import re

import pytest

from tests.modules import module_files

ROOT = pathlib.Path(__file__).parents[1]
FLAG = re.compile(r"(?<![\w-])--\w")
OF_PIP = re.compile(r"pip install --\S+")


def messages(source):
    """Line and text of the constants in each raised or constructed error."""
    for node in ast.walk(ast.parse(source)):
        is_error = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")).endswith(
            ("Error", "TrainingDiverged")
        )
        if is_error or isinstance(node, ast.Raise):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, OF_PIP.sub("", part.value)


def library_files():
    return [path for _, path in module_files() if "cli" not in path.relative_to(ROOT).parts]


def test_errors_of_the_library_name_no_flags():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in library_files()
        for line, text in messages(path.read_text(encoding="utf-8"))
        if FLAG.search(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ('raise InputError(f"no {x}; give --overwrite")', True),
        ('error = errors.InputError("--workdir")', True),
        ('raise InputError("pip install --force-reinstall x")', False),
        ('print("--flag")', False),
    ],
)
def test_the_search_finds_flags(source, is_found):
    assert any(FLAG.search(text) for _, text in messages(source)) is is_found
