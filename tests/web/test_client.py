"""The TypeScript client's own tests, where Node.js and its packages are; nothing is installed here."""

import pathlib
import re
import shutil
import subprocess

import pytest

WEB = pathlib.Path(__file__).parents[2] / "export" / "web"
OLDEST = 20


def missing():
    """Why the tests cannot run, or nothing."""
    if shutil.which("node") is None:
        return "there is no Node.js; `export/web/ci.sh` says what to install"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST:
        return f"Node.js {version} is older than {OLDEST}"
    if not (WEB / "node_modules").exists():
        return "the web client's packages are not installed; run `npm ci` in export/web, or export/web/ci.sh"
    return ""


def test_the_client_in_node():
    why = missing()
    if why:
        pytest.skip(f"web client not tested: {why}")
    done = subprocess.run(
        ["node", "scripts/test.mjs", "--test-reporter=tap"], cwd=WEB, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert int(re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)[1]) > 100
