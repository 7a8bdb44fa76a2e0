import os
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from tinytl_tf.device import read_state, write_state
from tinytl_tf.errors import InputError

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "state_v1.tinytl"
FINGERPRINT = bytes(range(32))
STATE = np.array([0.0, 1.0, -2.5, 1e-45], np.float32)
GOLDEN_HEX = (
    "54494e59544c0d0a"  # magic
    "01000000"  # version
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"  # fingerprint
    "04000000"  # N
    "000000000000803f000020c001000000"  # values
    "27f918dc"  # CRC-32 of all before
)


NAMES = ("ros\u00e9", "lily")
NAMED_HEX = (
    "54494e59544c0d0a"  # magic
    "02000000"  # version
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"  # fingerprint
    "04000000"  # N
    "000000000000803f000020c001000000"  # values
    "0a000000"  # L
    "726f73c3a90a6c696c79"  # names
)


def with_checksum(content):
    return content + struct.pack("<I", zlib.crc32(content))


def test_golden_file_is_read_and_written(tmp_path):
    assert GOLDEN.read_bytes() == bytes.fromhex(GOLDEN_HEX)
    np.testing.assert_array_equal(read_state(GOLDEN, FINGERPRINT, 4).values, STATE)
    write_state(tmp_path / "state.tinytl", STATE, FINGERPRINT)
    assert (tmp_path / "state.tinytl").read_bytes() == GOLDEN.read_bytes()


def test_what_is_read_can_be_written_to():
    state = read_state(GOLDEN, FINGERPRINT, 4).values
    assert state.dtype == np.float32
    state += 1.0


@pytest.fixture(params=["version 1", "version 2"])
def golden(request):
    return GOLDEN.read_bytes() if request.param == "version 1" else with_checksum(bytes.fromhex(NAMED_HEX))


def test_added_classes_travel_in_version_2(tmp_path):
    path = tmp_path / "state.tinytl"
    write_state(path, STATE, FINGERPRINT, NAMES)
    assert path.read_bytes() == with_checksum(bytes.fromhex(NAMED_HEX))
    saved = read_state(path, FINGERPRINT, 4)
    np.testing.assert_array_equal(saved.values, STATE)
    assert saved.added_classes == NAMES
    assert read_state(GOLDEN, FINGERPRINT, 4).added_classes == ()


def test_every_flipped_bit_is_refused(golden, tmp_path):
    path = tmp_path / "state.tinytl"
    for position in range(8 * len(golden)):
        content = bytearray(golden)
        content[position // 8] ^= 1 << position % 8
        path.write_bytes(content)
        with pytest.raises(InputError):
            read_state(path, FINGERPRINT, 4)


def test_every_cut_is_refused(golden, tmp_path):
    path = tmp_path / "state.tinytl"
    for length in range(len(golden)):
        path.write_bytes(golden[:length])
        with pytest.raises(InputError):
            read_state(path, FINGERPRINT, 4)


CONTENT = GOLDEN.read_bytes()
NAMED = with_checksum(bytes.fromhex(NAMED_HEX))
BAD_FILES = {
    "text": (b"hello", "{path} is not a state file: expected it to begin with b'TINYTL\\r\\n', got b'hello'"),
    "empty": (b"", "{path} is not a state file: expected it to begin with b'TINYTL\\r\\n', got b''"),
    "header cut": (CONTENT[:20], "{path} is cut short: expected 48 bytes or more, got 20; use another copy"),
    "version": (
        with_checksum(CONTENT[:8] + b"\3\0\0\0" + CONTENT[12:-4]),
        "{path} has format version 3, expected 1 or 2; use the tinytl_tf that wrote it",
    ),
    "version 2 without names": (
        with_checksum(CONTENT[:8] + b"\2\0\0\0" + CONTENT[12:-4]),
        "{path} is damaged: expected 73 to 1048649 bytes for 4 values, got 68; use another copy",
    ),
    "length of the names": (
        with_checksum(NAMED[:64] + b"\7\0\0\0" + NAMED[68:-4]),
        "{path} is damaged: expected 79 bytes for 4 values and 7 bytes of names, got 82; use another copy",
    ),
    "names that are no text": (
        with_checksum(NAMED[:68] + b"\xff" * 10),
        "{path} has names of classes that cannot be used ('utf-8' codec can't decode byte 0xff in position 0: invalid "
        "start byte); use another copy",
    ),
    "a name twice": (
        with_checksum(NAMED[:68] + b"lil\nlil\nli"),
        "{path} has names of classes that cannot be used (expected names of classes that differ, got one twice "
        "among ['lil', 'lil', 'li']); use another copy",
    ),
    "an empty name": (
        with_checksum(NAMED[:68] + b"rose\n     "),
        "{path} has names of classes that cannot be used (expected the name of a class, got '     ', which is "
        "invisible; give the class another name); use another copy",
    ),
    "data cut": (CONTENT[:-1], "{path} is damaged: expected 68 bytes for 4 values, got 67; use another copy"),
    "longer": (CONTENT + b"\0", "{path} is damaged: expected 68 bytes for 4 values, got 69; use another copy"),
    "checksum": (
        CONTENT[:-4] + b"\0\0\0\0",
        f"{{path}} is damaged: expected checksum 00000000, got {zlib.crc32(CONTENT[:-4]):08x}; use another copy",
    ),
    "fingerprint": (
        with_checksum(CONTENT[:12] + b"\xff" * 32 + CONTENT[44:-4]),
        "{path} belongs to the model with SHA-256 ffffffffffffffff..., expected 0001020304050607...; "
        "load the .tflite file that it was saved from",
    ),
    "size": (
        with_checksum(CONTENT[:44] + b"\3\0\0\0" + CONTENT[48:60]),
        "{path} has 3 values, expected the 4 of the model; save the state again",
    ),
    "not finite": (
        with_checksum(CONTENT[:52] + struct.pack("<2f", np.inf, np.nan) + CONTENT[60:-4]),
        "cannot use {path}: expected finite values, got inf at index 1 (2 in all); "
        "reset the model and train with a lower learning rate",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / "state.tinytl"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_state(path, FINGERPRINT, 4)
    assert str(error.value) == message.format(path=path)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="expected a state file at .*none.*got: No such file or directory"):
        read_state(tmp_path / "none", FINGERPRINT, 4)
    with pytest.raises(InputError, match="got: Is a directory"):
        read_state(tmp_path, FINGERPRINT, 4)


def test_state_that_is_not_finite_is_not_written(tmp_path):
    path = tmp_path / "state.tinytl"
    write_state(path, STATE, FINGERPRINT)
    with pytest.raises(InputError, match="cannot save .*got nan at index 2"):
        write_state(path, np.array([0, 0, np.nan, 0], np.float32), FINGERPRINT)
    np.testing.assert_array_equal(read_state(path, FINGERPRINT, 4).values, STATE)
    assert os.listdir(tmp_path) == ["state.tinytl"]


# Forks, because 50 starts of an interpreter take 10 s; in a process of its own, because pytest's has threads.
KILL_LOOP = """
import itertools, os, pathlib, random, signal, sys, time
import numpy as np
from tinytl_tf.device import read_state, write_state

path = pathlib.Path(sys.argv[1])
fingerprint, size = bytes(32), 200_000
moments = random.Random(0)
valid = half_written = 0
runs, longest = 0, 0.02
while runs < 50 or not (valid and half_written):
    runs += 1
    if runs % 50 == 0:
        longest *= 2  # a busy machine does not get that far
    path.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        for value in itertools.count():
            write_state(path, np.full(size, value, np.float32), fingerprint)
    time.sleep(moments.uniform(0.0005, longest))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    half_written += any(name.endswith(".tmp") for name in os.listdir(path.parent))
    if path.exists():
        state = read_state(path, fingerprint, size).values
        assert (state == state[0]).all()
        valid += 1
write_state(path, np.zeros(size, np.float32), fingerprint)
print(os.listdir(path.parent))
"""


def test_a_killed_writer_never_leaves_a_broken_file(tmp_path):
    path = tmp_path / "state.tinytl"
    done = subprocess.run([sys.executable, "-c", KILL_LOOP, path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['state.tinytl']\n"
