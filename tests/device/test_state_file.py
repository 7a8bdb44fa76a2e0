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


def with_checksum(content):
    return content + struct.pack("<I", zlib.crc32(content))


def test_golden_file_is_read_and_written(tmp_path):
    assert GOLDEN.read_bytes() == bytes.fromhex(GOLDEN_HEX)
    np.testing.assert_array_equal(read_state(GOLDEN, FINGERPRINT, 4), STATE)
    write_state(tmp_path / "state.tinytl", STATE, FINGERPRINT)
    assert (tmp_path / "state.tinytl").read_bytes() == GOLDEN.read_bytes()


def test_what_is_read_can_be_written_to():
    state = read_state(GOLDEN, FINGERPRINT, 4)
    assert state.dtype == np.float32
    state += 1.0


def test_every_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "state.tinytl"
    golden = GOLDEN.read_bytes()
    for position in range(8 * len(golden)):
        content = bytearray(golden)
        content[position // 8] ^= 1 << position % 8
        path.write_bytes(content)
        with pytest.raises(InputError):
            read_state(path, FINGERPRINT, 4)


def test_every_cut_is_refused(tmp_path):
    path = tmp_path / "state.tinytl"
    golden = GOLDEN.read_bytes()
    for length in range(len(golden)):
        path.write_bytes(golden[:length])
        with pytest.raises(InputError):
            read_state(path, FINGERPRINT, 4)


CONTENT = GOLDEN.read_bytes()
BAD_FILES = {
    "text": (b"hello", "{path} is not a state file: expected it to begin with b'TINYTL\\r\\n', got b'hello'"),
    "empty": (b"", "{path} is not a state file: expected it to begin with b'TINYTL\\r\\n', got b''"),
    "header cut": (CONTENT[:20], "{path} is cut short: expected 48 bytes or more, got 20; use another copy"),
    "version": (
        with_checksum(CONTENT[:8] + b"\2\0\0\0" + CONTENT[12:-4]),
        "{path} has format version 2, expected 1; use the tinytl_tf that wrote it",
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
    np.testing.assert_array_equal(read_state(path, FINGERPRINT, 4), STATE)
    assert os.listdir(tmp_path) == ["state.tinytl"]


# Forks, because 50 starts of an interpreter take 10 s; in a process of its own, because pytest's has threads.
KILL_LOOP = """
import itertools, os, pathlib, random, signal, sys, time
import numpy as np
from tinytl_tf.device import read_state, write_state

path = pathlib.Path(sys.argv[1])
fingerprint, size = bytes(32), 200_000
moments = random.Random(0)
absent = valid = half_written = 0
for run in range(50):
    path.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        for value in itertools.count():
            write_state(path, np.full(size, value, np.float32), fingerprint)
    time.sleep(moments.uniform(0.0005, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    half_written += any(name.endswith(".tmp") for name in os.listdir(path.parent))
    if path.exists():
        state = read_state(path, fingerprint, size)
        assert (state == state[0]).all()
        valid += 1
    else:
        absent += 1
write_state(path, np.zeros(size, np.float32), fingerprint)
print(absent, valid, half_written, os.listdir(path.parent))
"""


def test_a_killed_writer_never_leaves_a_broken_file(tmp_path):
    path = tmp_path / "state.tinytl"
    done = subprocess.run([sys.executable, "-c", KILL_LOOP, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    absent, valid, half_written, left = done.stdout.split(maxsplit=3)
    assert int(absent) + int(valid) == 50
    assert int(valid) > 0
    assert int(half_written) > 0, "no kill hit a write: the test proved nothing"
    assert left.strip() == "['state.tinytl']"
