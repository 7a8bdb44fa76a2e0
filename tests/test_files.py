import contextlib
import errno
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.owner import Owner

ROOT = pathlib.Path(__file__).parents[1]


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


# Enters a temporary file or folder, says so, and waits there.
WAITING = """
import os, pathlib, sys
from tinytl_tf import files, owner
kind, place, how = sys.argv[1:]
if how == "foreign id":
    os.getpid = lambda: 4194303  # as in another namespace; no process here has it
if how == "other host":
    owner._machine = lambda: ("00000000", "00000000", 0)
if how == "restarted host":
    owner._machine = lambda: (owner._digest(owner.socket.gethostname()), "00000000", 0)
def wait(*_):
    print("there", flush=True)
    sys.stdin.read(1)
if kind == "file":
    os.fsync = wait
    files.atomic_write_bytes(pathlib.Path(place, "file"), b"of the other")
else:
    with files.temporary_folder(pathlib.Path(place)) as folder:
        (folder / "file").touch()
        wait()
        (folder / "file").unlink()
"""


@contextlib.contextmanager
def waiting(kind, place, how="here"):
    """Another process in the middle of a temporary file or folder, which ends well unless the block kills it."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, kind, str(place), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        assert process.stdout.readline() == "there\n"
        yield process
        if process.poll() is None:
            _, error = process.communicate("x")
            assert process.returncode == 0, error


def left_by_a_killed_process(kind, place, how):
    """Returns the name of what it leaves in a folder."""
    with waiting(kind, place, how) as process:
        process.kill()
        process.wait()
    (name,) = os.listdir(place)
    return name


def sweep(kind, place):
    """Does what removes leftovers of other processes; returns the names that are there afterwards."""
    if kind == "file":
        files.atomic_write_bytes(place / "mine", b"")
        (place / "mine").unlink()
    else:
        with files.temporary_folder(place):
            pass
    return os.listdir(place)


KINDS = pytest.mark.parametrize("kind", ["file", "folder"])


@KINDS
@pytest.mark.parametrize("how", ["here", "foreign id", "other host", "restarted host"])
def test_temporary_files_of_a_living_process_stay(tmp_path, kind, how):
    with waiting(kind, tmp_path, how):
        (name,) = os.listdir(tmp_path)
        assert sweep(kind, tmp_path) == [name]
        os.utime(tmp_path / name, (0, 0))
        assert sweep(kind, tmp_path) == [name]
    assert os.listdir(tmp_path) == (["file"] if kind == "file" else [])


@KINDS
@pytest.mark.parametrize("how", ["here", "foreign id"])
def test_temporary_files_of_a_killed_process_are_removed(tmp_path, kind, how):
    assert left_by_a_killed_process(kind, tmp_path, how)
    assert sweep(kind, tmp_path) == []


@KINDS
def test_of_another_machine_only_old_ones_of_the_same_host_are_removed(tmp_path, kind):
    """The lock of another machine may not reach here, so that a free one alone proves nothing."""
    for how, old, stays in (
        ("other host", False, True),
        ("other host", True, True),
        ("restarted host", False, True),
        ("restarted host", True, False),
    ):
        name = left_by_a_killed_process(kind, tmp_path, how)
        if old:
            os.utime(tmp_path / name / ("lock" if kind == "folder" else ""), (0, 0))
        assert sweep(kind, tmp_path) == ([name] if stays else [])
        if stays:
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()


@KINDS
def test_without_locks_only_what_has_certainly_ended_is_removed(tmp_path, kind, monkeypatch):
    def refuse(stream, operation):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with waiting(kind, tmp_path):
        (name,) = os.listdir(tmp_path)
        assert sweep(kind, tmp_path) == [name]
    assert os.listdir(tmp_path) == (["file"] if kind == "file" else [])
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    for how, stays in (("here", False), ("other host", True), ("restarted host", True)):
        name = left_by_a_killed_process(kind, tmp_path, how)
        os.utime(tmp_path / name / ("lock" if kind == "folder" else ""), (0, 0))
        assert sweep(kind, tmp_path) == ([name] if stays else [])
        if stays:
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()


@KINDS
def test_a_temporary_that_is_swept_before_it_is_locked_is_made_again(tmp_path, kind, monkeypatch):
    """Another process finds it between its making and its lock, and takes it for a leftover."""
    real = files.try_lock

    def late(stream):
        monkeypatch.setattr(files, "try_lock", real)
        (name,) = os.listdir(tmp_path)
        files._remove_leftovers(tmp_path)
        assert os.listdir(tmp_path) == []
        return real(stream)

    monkeypatch.setattr(files, "try_lock", late)
    if kind == "file":
        files.atomic_write_bytes(tmp_path / "file", b"whole")
        assert (tmp_path / "file").read_bytes() == b"whole"
    else:
        with files.temporary_folder(tmp_path) as folder:
            (folder / "file").touch()
    assert os.listdir(tmp_path) == (["file"] if kind == "file" else [])


def test_a_folder_that_is_swept_before_it_has_a_lock_is_made_again(tmp_path, monkeypatch):
    real = pathlib.Path.mkdir

    def swept(path, **options):
        monkeypatch.setattr(pathlib.Path, "mkdir", real)
        real(path, **options)
        files._remove_leftovers(tmp_path)
        assert os.listdir(tmp_path) == []

    monkeypatch.setattr(pathlib.Path, "mkdir", swept)
    with files.temporary_folder(tmp_path) as folder:
        assert folder.is_dir()


def test_what_only_looks_like_a_temporary_is_left_alone(tmp_path):
    owner = str(Owner.here())
    for name in (".tinytl-1-2-3-4-00000000.tmp", f".tinytl-{owner}-00000000", f"tinytl-{owner}-00000000.tmp", "x.tmp"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / f".tinytl-{owner}-00000001.tmp")
    (tmp_path / f".tinytl-{owner}-00000002.tmp").symlink_to("x.tmp")
    (tmp_path / f".tinytl-{owner}-00000003.tmp").mkdir()
    (tmp_path / f".tinytl-{owner}-00000003.tmp" / "photo").touch()  # no folder of ours: it has no lock
    before = set(os.listdir(tmp_path)) - {f".tinytl-{owner}-00000001.tmp"}
    assert before <= set(sweep("file", tmp_path))


def test_a_folder_that_cannot_be_listed_can_be_written(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    files.atomic_write_bytes(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


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


@pytest.mark.parametrize("length", [226, 250, 255])
def test_any_name_that_the_disk_takes_can_be_written(tmp_path, length):
    path = tmp_path / ("x" * length)
    files.refuse_existing(path, overwrite=False)
    files.require_room(path, 10)
    files.atomic_write_bytes(path, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("path", ["x" * 256, "花" * 86, f"new/{'x' * 256}", f"new/{'x' * 256}/file", "x/" * 2100])
@pytest.mark.parametrize("folder", [False, True])
def test_a_name_that_is_too_long_is_refused_before_the_work(tmp_path, path, folder):
    with pytest.raises(InputError) as error:
        files.refuse_existing(tmp_path / path, overwrite=True, folder=folder)
    assert str(error.value) == f"cannot write {tmp_path / path}: File name too long; choose another path"


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
    [
        ("$NOT_SET/x", "got none called NOT_SET; set it"),
        ("~no_such_user/x", "a home folder for ~no_such_user in"),
        ("a\0b", r"without NUL characters, got 'a\\x00b'"),
    ],
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


def test_without_a_temporary_folder_it_is_one_line(monkeypatch):
    def fail():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", fail)
    with (
        pytest.raises(InputError, match="temporary files, but none can be written; set TMPDIR"),
        files.temporary_folder(),
    ):
        pass
