"""How places and their layers are called is known in one module."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
KNOWS = ROOT / "tinytl_tf/networks/spec.py"
# The head of an arena is another one.
OTHER_MEANING = {ROOT / "tinytl_tf/tflite/runtime/micro_arena.py": {"head"}}
NAME = re.compile(r"(stem|head|classifier)(/\S*)?|block_\d*(/\S*|_\S*)?|\w*_lite_residual(/\S*)?")


def names_in(path):
    """String literals that are such a name; docstrings and sentences are none."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
            yield node.value


def test_no_module_but_one_knows_the_names_of_places():
    modules = [path for folder in ("tinytl_tf", "export") for path in (ROOT / folder).rglob("*.py")]
    found = {path: set(names_in(path)) - OTHER_MEANING.get(path, set()) for path in modules if path != KNOWS}
    assert {str(path.relative_to(ROOT)): names for path, names in found.items() if names} == {}
    assert {"stem", "head", "classifier", "block_"} <= set(names_in(KNOWS))
