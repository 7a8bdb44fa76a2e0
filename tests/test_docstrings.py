"""Examples in docstrings run: those that need weights, files or minutes are marked `# doctest: +SKIP` line by line."""

import doctest
import importlib
import os
import re

import pytest

from tests.modules import ROOT, module_files

WITH_EXAMPLES = [name for name, path in module_files() if ">>>" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    module = importlib.import_module(name)
    found = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    for test in found:
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
    assert any(test.examples for test in found)


def test_examples_are_written_to_be_run():
    """An example of Python without `>>>` would never run."""
    plain = []
    for _, path in module_files():
        for match in re.finditer(r"^ *Examples?:\n+ *(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            if not match[1].startswith((">>>", "```", "tinytl ", "python -m ")):
                plain.append(f"{path.relative_to(ROOT)}: {match[1]}")
    assert not plain, "\n".join(plain)
