"""Runs the programs in export/web/benchmark, which operate the page of `tinytl serve` in Chromium."""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from tinytl_tf.errors import InputError

__all__ = ["ROOT", "run"]

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run(program: str, *arguments: object) -> Any:
    """Runs a program; returns its JSON output."""
    command = ["node", "scripts/benchmark.mjs", program, *map(str, arguments)]
    environment = {**os.environ, "PYTHON": sys.executable}
    try:
        done = subprocess.run(
            command, cwd=ROOT / "export" / "web", env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            f"expected Node.js and Chromium to run export/web, got: {error}; run export/web/ci.sh --apt, which "
            "installs the requirements"
        ) from error
    return json.loads(done.stdout.splitlines()[-1])
