import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from tinytl_tf import files
from tinytl_tf.errors import InputError


def test_writes_replaces_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    files.atomic_write_bytes(path, b"old")
    files.atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


def test_what_is_written_in_pieces_is_whole(tmp_path):
    data = os.urandom(3 * files._WRITTEN_AT_ONCE + 17)
    files.atomic_write_bytes(tmp_path / "file", data)
    assert (tmp_path / "file").read_bytes() == data


def test_leftovers_of_dead_writers_are_removed_and_others_kept(tmp_path):
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead = int(done.stdout)
    others = {f".file.{os.getpid()}-aa.tmp", f".other.{dead}-aa.tmp", ".file.mine.tmp"}
    for name in {*others, f".file.{dead}-aa.tmp"}:
        (tmp_path / name).touch()
    files.atomic_write_bytes(tmp_path / "file", b"")
    assert set(os.listdir(tmp_path)) == {*others, "file"}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.atomic_write_bytes(path, b"old")

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(InputError) as error:
        files.atomic_write_bytes(path, b"new")
    assert str(error.value) == (
        f"expected to write {path}, got: No space left on device; choose a path that can be written"
    )
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="a folder; choose another path"):
        files.atomic_write_bytes(tmp_path, b"")
    assert not list(tmp_path.parent.glob("*.tmp"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="got: (Not a directory|File exists)"):
        files.atomic_write_bytes(tmp_path / "file" / "below", b"")


def test_refuse_existing(tmp_path):
    path = tmp_path / "file"
    files.refuse_existing(path, overwrite=False)
    path.touch()
    files.refuse_existing(path, overwrite=True)
    with pytest.raises(InputError) as error:
        files.refuse_existing(path, overwrite=False)
    assert str(error.value) == f"{path} exists already; choose another path, or give overwrite=True to replace it"
    with pytest.raises(InputError) as error:
        files.refuse_existing(path / "below", overwrite=False)
    assert str(error.value) == f"cannot write {path / 'below'}: {path} is not a writable folder; choose another path"


def test_home_and_variables_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path / "place"))
    monkeypatch.chdir(tmp_path)
    assert files.expand("~/x") == tmp_path / "x"
    assert files.expand(pathlib.Path("~")) == tmp_path
    assert files.expand("$PLACE/x") == files.expand("${PLACE}/x") == tmp_path / "place" / "x"
    assert files.expand("./~x") == pathlib.Path("~x")
    assert files.expand("5$") == pathlib.Path("5$")
    files.atomic_write_bytes("~/a/file", b"x")
    assert (tmp_path / "a" / "file").read_bytes() == b"x"
    assert not (tmp_path / "~").exists()
    (tmp_path / "$NOT_SET").touch()
    assert files.expand("$NOT_SET") == pathlib.Path("$NOT_SET")


@pytest.mark.parametrize(
    ("path", "words"),
    [("$NOT_SET/x", "got none called NOT_SET; set it"), ("~no_such_user/x", "a home folder for ~no_such_user in")],
)
def test_what_cannot_be_expanded_is_refused(path, words, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(InputError, match=words):
        files.expand(path)


def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("there/file", "there/none"):
        link = tmp_path / name.replace("/", "_")
        link.symlink_to(name)
        files.refuse_existing(link, overwrite=True)
        files.atomic_write_bytes(link, b"new")
        assert link.is_symlink()
        assert (tmp_path / name).read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["folder", "FIFO", "device"])
@pytest.mark.parametrize("linked", [False, True])
def test_only_regular_files_are_replaced(tmp_path, kind, linked):
    path = tmp_path / "path"
    if kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path = pathlib.Path("/dev/null")
    if linked:
        (tmp_path / "link").symlink_to(path)
        path = tmp_path / "link"
    before = os.stat(path)
    for write in (lambda: files.atomic_write_bytes(path, b"x"), lambda: files.refuse_existing(path, overwrite=True)):
        with pytest.raises(InputError) as error:
            write()
        assert str(error.value) == f"expected a path for a file, got {path}, a {kind}; choose another path"
    assert os.stat(path) == before


def test_a_folder_may_be_kept_but_not_be_a_file(tmp_path):
    files.refuse_existing(tmp_path, overwrite=True, folder=True)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="expected a folder at .*, got a file"):
        files.refuse_existing(tmp_path / "file", overwrite=True, folder=True)


def test_a_full_disk_is_noticed_before(tmp_path):
    files.require_room(tmp_path / "new" / "file", 1000)
    files.require_room(tmp_path / "file", 0)
    with pytest.raises(InputError, match="expected room for .* bytes in .*, got: .* bytes free; free some"):
        files.require_room(tmp_path / "file", 1 << 60)
    assert not os.listdir(tmp_path)


LIMITED = """
import resource, sys
from tinytl_tf import files
from tinytl_tf.errors import InputError

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
path = sys.argv[1]
for write in (lambda: files.require_room(path, 5000), lambda: files.atomic_write_bytes(path, b"x" * 5000)):
    try:
        write()
    except InputError as error:
        print(error)
try:
    with files.temporary_folder() as folder:
        (folder / "file").write_bytes(b"x" * 5000)
except InputError as error:
    print(error)
"""


def test_a_limit_is_noticed_before_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, path],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=True,
    )
    assert result.stdout.splitlines() == [
        f"expected room for 5,000 bytes in {tmp_path}, got: File too large; free some, or choose another path",
        f"expected to write {path}, got: File too large; choose a path that can be written",
        f"expected room for temporary files, but {tmp_path} is full; set TMPDIR to a folder with room",
    ]
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_temporary_folders_of_killed_processes_are_removed_and_others_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "import os\nfrom tinytl_tf import files\nwith files.temporary_folder(): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    (left,) = tmp_path.iterdir()
    held = tmp_path / f"{left.name}-held"
    shutil.copytree(left, held)
    (tmp_path / "other").mkdir()
    with open(held / "lock") as lock:
        files.fcntl.flock(lock, files.fcntl.LOCK_EX)
        with files.temporary_folder() as folder:
            assert not list(folder.iterdir())
            assert set(tmp_path.iterdir()) == {held, tmp_path / "other", folder.parent}
    assert set(tmp_path.iterdir()) == {held, tmp_path / "other"}


def test_without_a_temporary_folder_it_is_one_line(monkeypatch):
    def fail():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with (
        pytest.raises(InputError, match="temporary files, but none can be written; set TMPDIR"),
        files.temporary_folder(),
    ):
        pass
