"""State files in C: the same bytes as in Python, every damage refused, whole or absent."""

import json
import os
import random
import resource
import signal
import struct
import subprocess
import time
import zlib

import numpy as np
import pytest

from tests.c.client import Refused
from tests.c.conftest import GOLDEN
from tests.c.names import BAD_NAMES, GOOD_NAMES, as_bytes
from tests.device.test_state_file import BAD_FILES
from tinytl_tf.device import read_state, write_state
from tinytl_tf.files import sha256

STATES = json.loads((GOLDEN / "states.json").read_text())
SMALL, DAMAGED = STATES["small"], STATES["damaged"]
# A decomposed name is another name, which docs/formats.md lets a reader take.
DAMAGES = [
    (damaged, change)
    for damaged in (DAMAGED, STATES["damaged_names"])
    for change in damaged["damages"]
    if change["name"] != "same name decomposed"
]
CONTENT, FINGERPRINT = (GOLDEN / SMALL["file"]).read_bytes(), SMALL["fingerprint"]
# The check of golden/states.json -> the status.
STATUS = {
    "N": "COUNT",
    "names": "NAMES",
    "outputs": "OUTPUTS",
    "finite": "NOT_FINITE",
    "slots": "REFUSED",
    "restore": "REFUSED",
}
BAD_STATUS = {
    **{"text": "MAGIC", "empty": "MAGIC", "header cut": "LENGTH", "version": "VERSION", "data cut": "LENGTH"},
    **{"longer": "LENGTH", "checksum": "CHECKSUM", "fingerprint": "FINGERPRINT", "size": "COUNT"},
    **{"version 2 without names": "LENGTH", "length of the names": "LENGTH", "names that are no text": "NAMES"},
    **{"a name twice": "NAMES", "an empty name": "NAMES", "not finite": "NOT_FINITE"},
}


def refuse(c, *words):
    """Returns what a command that has to be refused was answered."""
    with pytest.raises(Refused) as error:
        c.ask(*words)
    return error.value


def damage(content, change):
    result = bytearray(content[: change["length"]].ljust(change["length"], b"\0"))
    for edit in change["edits"]:
        new = bytes.fromhex(edit["bytes"])
        result[edit["offset"] : edit["offset"] + len(new)] = new
    return bytes(result)


def test_golden_file_is_read_and_written(c, tmp_path):
    words = c.ask("read", GOLDEN / SMALL["file"], FINGERPRINT, 4)
    assert [float.fromhex(word) for word in words] == SMALL["values"]
    c.ask("write", tmp_path / "state.tinytl", FINGERPRINT, *(float(value).hex() for value in SMALL["values"]))
    assert (tmp_path / "state.tinytl").read_bytes() == CONTENT
    assert os.listdir(tmp_path) == ["state.tinytl"]


def test_an_empty_and_a_big_state_are_those_of_python(c, tmp_path):
    path = tmp_path / "state.tinytl"
    for values in (np.zeros(0, np.float32), np.random.default_rng(0).normal(size=480).astype(np.float32)):
        c.ask("write", tmp_path / "c.tinytl", FINGERPRINT, *(float(value).hex() for value in values))
        write_state(path, values, bytes.fromhex(FINGERPRINT))
        assert (tmp_path / "c.tinytl").read_bytes() == path.read_bytes()
        words = c.ask("read", path, FINGERPRINT, len(values))
        np.testing.assert_array_equal(np.array([float.fromhex(word) for word in words], np.float32), values)


def test_every_flipped_bit_and_every_cut_is_refused(c, tmp_path):
    path = tmp_path / "state.tinytl"
    for position in range(8 * len(CONTENT)):
        content = bytearray(CONTENT)
        content[position // 8] ^= 1 << position % 8
        path.write_bytes(content)
        refuse(c, "read", path, FINGERPRINT, 4)
    for length in range(len(CONTENT)):
        path.write_bytes(CONTENT[:length])
        assert refuse(c, "read", path, FINGERPRINT, 4).status in ("MAGIC", "LENGTH")


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_of_the_python_tests_is_named(c, tmp_path, name):
    path = tmp_path / "state.tinytl"
    path.write_bytes(BAD_FILES[name][0])
    error = refuse(c, "read", path, FINGERPRINT, 4)
    assert error.status == BAD_STATUS[name]
    assert str(path) in error.text
    assert "expected" in error.text


def test_messages(c, tmp_path):
    path = tmp_path / "state.tinytl"
    path.write_bytes(CONTENT[:-1])
    assert refuse(c, "read", path, FINGERPRINT, 4).text == (
        f"{path} is damaged: expected 68 bytes for 4 values, got 67; use another copy"
    )
    path.write_bytes(CONTENT[:-4] + b"\0\0\0\0")
    assert refuse(c, "read", path, FINGERPRINT, 4).text == (
        f"{path} is damaged: expected checksum 00000000, got {zlib.crc32(CONTENT[:-4]):08x}; use another copy"
    )
    assert refuse(c, "read", GOLDEN / SMALL["file"], "ff" * 32, 4).text == (
        f"{GOLDEN / SMALL['file']} belongs to the model with SHA-256 00010203..., expected ffffffff...; "
        "load the .tflite file that it was saved from"
    )


def test_missing_file_folder_and_fifo_are_named(c, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, reason in (("none", "No such file or directory"), (".", "a folder or device"), ("fifo", "a folder or")):
        error = refuse(c, "read", tmp_path / name, FINGERPRINT, 4)
        assert error.status == "FILE"
        assert reason in error.text


@pytest.mark.parametrize(("damaged", "change"), DAMAGES, ids=[change["name"] for _, change in DAMAGES])
def test_damaged_golden_state_leaves_the_model_as_it_was(c, tmp_path, damaged, change):
    good, model = GOLDEN / damaged["file"], GOLDEN / damaged["model"]
    path = tmp_path / "damaged.tinytl"
    path.write_bytes(damage(good.read_bytes(), change))
    c.open(model)
    c.ask("restore", "a", good)
    before = c.ask("info", "a")
    error = refuse(c, "restore", "a", path)
    assert error.status == STATUS.get(change["check"], change["check"].upper())
    assert c.ask("info", "a") == before
    c.ask("save", "a", tmp_path / "after.tinytl")
    assert (tmp_path / "after.tinytl").read_bytes() == good.read_bytes()


def test_a_state_that_cannot_be_set_leaves_the_model_as_it_was(c, tmp_path):
    good, model = GOLDEN / DAMAGED["file"], GOLDEN / DAMAGED["model"]
    size = (good.stat().st_size - 52) // 4
    state = read_state(good, bytes.fromhex(sha256(model)), size).values
    c.open(model)
    c.ask("restore", "a", good)
    for values, status in (
        (state[:-1], "ARGUMENT"),
        (np.append(state, np.float32(0)), "ARGUMENT"),
        (np.where(np.arange(size) == 5, np.float32(np.nan), state), "NOT_FINITE"),
        (np.where(np.arange(size) == 5, np.float32(3e38), state), "REFUSED"),
    ):
        values.astype(np.float32).tofile(tmp_path / "state.f32")
        assert refuse(c, "set", "a", tmp_path / "state.f32").status == status
    c.ask("save", "a", tmp_path / "after.tinytl")
    assert (tmp_path / "after.tinytl").read_bytes() == good.read_bytes()


def test_what_cannot_be_written_leaves_the_old_file(c, tmp_path):
    path = tmp_path / "state.tinytl"
    path.write_bytes(b"old")
    for value in ("nan", "inf", "-inf"):
        error = refuse(c, "write", path, FINGERPRINT, "1.0", value)
        assert (error.status, "at index 1" in error.text) == ("NOT_FINITE", True)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.tinytl"]
    assert refuse(c, "write", tmp_path / "no" / "state.tinytl", FINGERPRINT, "1.0").status == "FILE"
    assert "a folder or device" in refuse(c, "write", tmp_path, FINGERPRINT, "1.0").text
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "state.tinytl.tmp").mkdir()
    assert refuse(c, "write", tmp_path / "folder" / "state.tinytl", FINGERPRINT, "1.0").status == "FILE"
    assert "a folder or device" in refuse(c, "write", "/dev/full", FINGERPRINT, "1.0").text
    assert os.listdir(tmp_path / "folder") == ["state.tinytl.tmp"]


def test_a_link_is_followed_and_a_leftover_used_again(c, tmp_path):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "state.tinytl", tmp_path / "link.tinytl"
    target.write_bytes(b"old")
    link.symlink_to(target)
    (tmp_path / "real" / "state.tinytl.tmp").write_bytes(bytes(100_000))
    c.ask("write", link, FINGERPRINT, *(float(value).hex() for value in SMALL["values"]))
    assert link.is_symlink()
    assert target.read_bytes() == CONTENT
    assert os.listdir(tmp_path / "real") == ["state.tinytl"]


def test_a_planted_link_is_not_followed(c, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    (tmp_path / "state.tinytl.tmp").symlink_to(victim)
    assert refuse(c, "write", tmp_path / "state.tinytl", FINGERPRINT, "1.0").status == "FILE"
    assert victim.read_bytes() == b"mine"


def test_only_one_program_writes_a_file_at_a_time(c, tmp_path):
    import fcntl

    with open(tmp_path / "state.tinytl.tmp", "wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        error = refuse(c, "write", tmp_path / "state.tinytl", FINGERPRINT, "1.0")
        assert "another program that is writing it" in error.text
    c.ask("write", tmp_path / "state.tinytl", FINGERPRINT, "1.0")


def test_a_killed_writer_never_leaves_a_broken_file(built, tmp_path):
    path, size = tmp_path / "state.tinytl", 200_000
    moments, valid, half_written, kills = random.Random(0), 0, 0, 0
    # On a machine that is busy a kill may come before the first write is done: go on until both cases were hit.
    while kills < 20 or (kills < 300 and not (valid and half_written)):
        command = f"churn {path} {FINGERPRINT} {size}\n".encode()
        process = subprocess.Popen([built / "client"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(command)
        process.stdin.flush()
        assert process.stdout.readline() == b"ok\n"
        time.sleep(moments.uniform(0.001, 0.04 + 0.01 * kills))
        process.kill()
        process.communicate()
        kills += 1
        half_written += (tmp_path / "state.tinytl.tmp").exists()
        if path.exists():
            state = read_state(path, bytes.fromhex(FINGERPRINT), size).values
            assert (state == state[0]).all()
            valid += 1
    assert valid > 0
    assert half_written > 0, "no kill hit a write: the test proved nothing"
    assert set(os.listdir(tmp_path)) <= {"state.tinytl", "state.tinytl.tmp"}


def test_a_file_is_flushed_before_it_gets_its_name_and_the_name_after(built, tmp_path):
    path = tmp_path / "state.tinytl"
    done = subprocess.run([built / "order", path], capture_output=True, text=True, check=True)
    assert done.stdout == "fsync of 60 bytes\nrename of state.tinytl.tmp\nfsync of the folder\n"
    assert os.listdir(tmp_path) == ["state.tinytl"]


def _little_room():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))


def test_a_full_disk_leaves_the_old_file(built, tmp_path):
    path = tmp_path / "state.tinytl"
    path.write_bytes(b"old")
    process = subprocess.Popen(
        [built / "client"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=_little_room, text=True
    )
    answer, _ = process.communicate(f"write {path} {FINGERPRINT} 1 2 3 4\n")
    assert answer.startswith(f"error TINYTL_ERROR_FILE expected to write {path}, got: File too large")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.tinytl"]


def mutations(built, path, seed, count=100_000):
    """How often each status came."""
    done = subprocess.run([built / "fuzz_state", path, str(count), str(seed)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return {line.split()[0].removeprefix("TINYTL_"): int(line.split()[1]) for line in done.stdout.splitlines()}


@pytest.mark.parametrize("names", [(), ("zèbre", "b")], ids=["without names", "with names"])
def test_hundred_thousand_mutations(built, tmp_path, names):
    path = tmp_path / "state.tinytl"
    write_state(path, np.array(SMALL["values"], np.float32), bytes.fromhex(FINGERPRINT), names)
    counts = mutations(built, path, 0)
    # Each check was reached, many times, and so was the end; nothing else came.
    reached = ["MAGIC", "VERSION", "LENGTH", "CHECKSUM", "FINGERPRINT", "COUNT", "NOT_FINITE"] + ["NAMES"] * bool(names)
    counted = [counts["OK"], *(counts[f"ERROR_{name}"] for name in reached)]
    assert min(counted) > 500
    assert sum(counts.values()) == 100_000
    assert names or sum(counted) == 100_000
    assert mutations(built, path, 0, 2000) == mutations(built, path, 0, 2000) != mutations(built, path, 1, 2000)


def with_names(names, values=SMALL["values"], fingerprint=FINGERPRINT):
    """Content of a state file with any names."""
    content = b"TINYTL\r\n" + struct.pack("<I", 2) + bytes.fromhex(fingerprint) + struct.pack("<I", len(values))
    content += np.array(values, "<f4").tobytes()
    content += struct.pack("<I", len(names)) + names
    return content + struct.pack("<I", zlib.crc32(content))


def read_names(c, path):
    """The names of a file whose reader has to know the golden values."""
    *values, names = c.ask("read", path, FINGERPRINT, 4)
    assert [float.fromhex(value) for value in values] == SMALL["values"]
    return bytes.fromhex(names)


def test_names_are_read_and_written_as_they_are(c, tmp_path):
    path, names = tmp_path / "state.tinytl", "\n".join(GOOD_NAMES).encode()
    path.write_bytes(with_names(names))
    assert read_names(c, path) == names
    (tmp_path / "names").write_bytes(names)
    c.ask("named", path, FINGERPRINT, tmp_path / "names")
    assert path.read_bytes() == with_names(names, [])


def test_names_of_python_are_read(c, tmp_path):
    names = ("zèbre", "a b", "日本", "\U0001f600", "-")
    write_state(tmp_path / "state.tinytl", np.array(SMALL["values"], np.float32), bytes.fromhex(FINGERPRINT), names)
    assert read_names(c, tmp_path / "state.tinytl").decode().split("\n") == list(names)


BAD_LINES = {name: as_bytes(text) for name, text in BAD_NAMES.items() if name not in ("empty", "a line feed")}
BAD_LINES |= {
    "a blank line": b"a\n  \nb",
    "an empty line": b"a\n\nb",
    "an empty last line": b"a\n",
    "twice": b"b\na\nb",
}
BAD_LINES |= {"twice in a row": b"a\na", "a zero": b"a\0b"}


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_names_are_neither_read_nor_written(c, tmp_path, name):
    path, names = tmp_path / "state.tinytl", BAD_LINES[name]
    path.write_bytes(with_names(b"good\n" + names))
    assert refuse(c, "read", path, FINGERPRINT, 4).status == "NAMES"
    if b"\0" not in names:  # where a text of C ends
        path.write_bytes(b"old")
        (tmp_path / "names").write_bytes(b"good\n" + names)
        assert refuse(c, "named", path, FINGERPRINT, tmp_path / "names").status == "NAMES"
        assert path.read_bytes() == b"old"


def test_as_many_names_as_fit_into_a_megabyte(c, tmp_path):
    """A number of them that is compared one with all others would take minutes."""
    path = tmp_path / "state.tinytl"
    names = "\n".join(f"{index:05x}" for index in range(2**20 // 6)).encode()
    names += b"x" * (2**20 - len(names))
    assert len(names) == 2**20
    for content, taken in ((names, True), (names + b"x", False)):
        (tmp_path / "names").write_bytes(content)
        if taken:
            c.ask("named", path, FINGERPRINT, tmp_path / "names")
            assert path.read_bytes() == with_names(names, [])
            path.write_bytes(with_names(names))
            assert c.ask("read", path, FINGERPRINT, 4)[-1] == names.hex()
        else:
            assert "1048576 bytes" in refuse(c, "named", path, FINGERPRINT, tmp_path / "names").text
            assert path.read_bytes() == with_names(names)
            path.write_bytes(with_names(content))
            assert refuse(c, "read", path, FINGERPRINT, 4).status == "LENGTH"


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 1000])
def test_digests(c, tmp_path, size):
    path = tmp_path / "bytes"
    path.write_bytes(np.random.default_rng(size).bytes(size))
    assert c.ask("sha256", path) == [sha256(path)]
    assert c.ask("crc32", path) == [f"{zlib.crc32(path.read_bytes()):08x}"]


def test_the_layout_is_that_of_formats(c, tmp_path):
    """Independent of the golden file: put together from docs/formats.md."""
    content = b"TINYTL\r\n" + struct.pack("<I", 1) + bytes.fromhex(FINGERPRINT) + struct.pack("<I", 1)
    content += struct.pack("<f", 2.5)
    (tmp_path / "state.tinytl").write_bytes(content + struct.pack("<I", zlib.crc32(content)))
    assert c.ask("read", tmp_path / "state.tinytl", FINGERPRINT, 1) == ["0x1.4p+1"]
