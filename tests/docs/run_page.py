"""Runs the blocks of a page in the current folder: `python run_page.py PAGE`. Exits with 1 at the first failure."""

import contextlib
import io
import pathlib
import subprocess
import sys
import traceback

from tests.docs.pages import Block, read_page, same_output

SECONDS = 900  # of one block of shell commands


def run(block: Block, names: dict) -> tuple[str, str]:
    """Returns what a block printed, and why it failed or ""."""
    if block.language == "python":
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * (block.line - 1) + block.text, "page", "exec"), names)
        except Exception:
            return printed.getvalue(), traceback.format_exc()
        return printed.getvalue(), ""
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    return done.stdout, done.stderr[-3000:] if done.returncode else ""


def main(path: str) -> int:
    """Runs a page."""
    names = {"__name__": "__main__"}
    for block in read_page(pathlib.Path(path).read_text(encoding="utf-8")).blocks:
        if block.comment == "file":
            pathlib.Path(block.value).write_text(block.text, encoding="utf-8")
        if not block.runs:
            continue
        printed, failure = run(block, names)
        print(f"---- line {block.line}: {block.language}\n{printed}", flush=True)
        if not failure and block.output is not None and not same_output(block.output, printed):
            failure = f"expected the output\n{block.output}"
        if failure:
            print(f"{path}:{block.line} failed\n{failure}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
