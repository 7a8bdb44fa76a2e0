import os
import subprocess
import sys

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
    with pytest.raises(InputError, match="got: Is a directory"):
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
    assert str(error.value) == f"{path} exists already; choose another path, or give --overwrite to replace it"
    with pytest.raises(InputError) as error:
        files.refuse_existing(path / "below", overwrite=False)
    assert str(error.value) == f"cannot write {path / 'below'}: {path} is not a writable folder; choose another path"
