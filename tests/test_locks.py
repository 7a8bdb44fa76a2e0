import errno
import fcntl
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from tinytl_tf import locks
from tinytl_tf.errors import InputError
from tinytl_tf.locks import output_lock
from tinytl_tf.owner import Owner

ROOT = pathlib.Path(__file__).parents[1]
HOLDER = """
import sys
from tinytl_tf.locks import output_lock
with output_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(output, *prefix):
    """A process that holds the lock of an output until its standard input is closed."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", HOLDER, str(output)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_refused_and_named_until_the_first_ends(tmp_path):
    output = tmp_path / "new" / "mine.tinytl"
    with holder(output) as first:
        with pytest.raises(InputError) as error, output_lock(output):
            pass
        first.stdin.close()
    assert str(error.value) == (
        f"{output} is in use by another training (process {first.pid} on {socket.gethostname()}); wait for it to end, "
        "or choose another path"
    )
    assert list(tmp_path.iterdir()) == []
    with output_lock(output):
        assert [path.name for path in output.parent.iterdir()] == ["mine.tinytl.lock"]


def test_a_killed_run_leaves_no_lock(tmp_path):
    output = tmp_path / "mine.tinytl"
    with holder(output) as first:
        first.kill()
    assert (tmp_path / "mine.tinytl.lock").exists()
    with output_lock(output):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_the_run_writes_stays(tmp_path):
    with output_lock(tmp_path / "run", folder=True):
        (tmp_path / "run" / "file").touch()
        assert (tmp_path / "run" / ".lock").exists()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["file"]


def test_links_to_one_file_have_one_lock(tmp_path):
    (tmp_path / "link").symlink_to("file")
    with (
        output_lock(tmp_path / "file"),
        pytest.raises(InputError, match="link is in use by another"),
        output_lock(tmp_path / "link"),
    ):
        pass


@pytest.mark.parametrize("successor", [False, True])
def test_a_lock_on_a_removed_file_is_none(tmp_path, monkeypatch, successor):
    """The last run removes its file between our opening and our locking of it; another one may have begun since."""
    output, path = tmp_path / "mine.tinytl", tmp_path / "mine.tinytl.lock"
    real, others = fcntl.flock, []

    def late(stream, operation):
        monkeypatch.setattr(fcntl, "flock", real)
        path.unlink()
        if successor:
            others.append(holder(output))
        real(stream, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    if successor:
        with pytest.raises(InputError, match="is in use by another"), output_lock(output):
            pass
        with others[0]:
            others[0].stdin.close()
    else:
        with (
            output_lock(output),
            pytest.raises(InputError, match="is in use by another"),
            output_lock(output),
        ):
            pass


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(stream, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_without_locks_the_record_decides(tmp_path, no_locks):
    output, path = tmp_path / "mine.tinytl", tmp_path / "mine.tinytl.lock"
    with output_lock(output):
        with pytest.raises(InputError) as error, output_lock(output):
            pass
        record = json.loads(path.read_text())
    assert str(error.value).endswith(f"wait for it to end (if it has, remove {path}), or choose another path")
    here = Owner.here()
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    for owner, is_free in (
        (Owner(here.host, here.kernel, here.namespace, int(ended.stdout)), True),
        (Owner(here.host, "00000000", here.namespace, int(ended.stdout)), False),
        (Owner(here.host, here.kernel, here.namespace + 1, int(ended.stdout)), False),
    ):
        path.write_text(json.dumps({**record, "owner": str(owner)}))
        if is_free:
            with output_lock(output):
                pass
            assert not path.exists()
            continue
        with pytest.raises(InputError, match="is in use by another"), output_lock(output):
            pass
        assert path.exists()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"pid": 1}', b"[" * 5000])
def test_whatever_a_lock_file_says_it_is_one_line(tmp_path, text):
    path = tmp_path / "file.lock"
    path.write_bytes(text)
    with open(path, "rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(InputError) as error, output_lock(tmp_path / "file"):
            pass
    assert "is in use by another training (a process that has just begun); wait for it" in str(error.value)
    with output_lock(tmp_path / "file"):
        assert json.loads(path.read_bytes())["pid"] == os.getpid()


@pytest.mark.parametrize("kind", ["folder", "dangling link", "long name"])
def test_a_lock_that_cannot_be_written_is_one_line(tmp_path, kind):
    output = tmp_path / ("x" * 252 if kind == "long name" else "file")
    if kind == "folder":
        (tmp_path / "file.lock").mkdir()
    if kind == "dangling link":
        (tmp_path / "file.lock").symlink_to("none")
    with (
        pytest.raises(InputError, match=r"^expected to write .*\.lock, got: .*; choose a path that can"),
        output_lock(output),
    ):
        pass
    assert not (tmp_path / "none").exists()


def test_an_error_of_the_block_is_not_taken_for_one_of_the_lock(tmp_path):
    with pytest.raises(FileNotFoundError, match="of the block"), output_lock(tmp_path / "file"):
        raise FileNotFoundError("of the block")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_stable_files_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "is_at", lambda stream, path: False)
    with pytest.raises(InputError, match="file.lock, got: it changes each time"), output_lock(tmp_path / "file"):
        pass
