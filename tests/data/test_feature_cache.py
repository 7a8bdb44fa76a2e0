import os
import subprocess
import sys

import numpy as np
import pytest

from tinytl_tf.data import FeatureCache
from tinytl_tf.errors import InputError

SHAPE = (4, 4, 8)
RECORD = 32 + 128 + 4
HEADER = 48


def key(number):
    return number.to_bytes(32, "big")


def features(number):
    return np.full(SHAPE, number, np.int8)


def opened(folder, records=100, depends_on="network"):
    return FeatureCache(folder, depends_on, SHAPE, "int8", limit_bytes=HEADER + records * RECORD)


def known(cache, numbers):
    """Which of these are there; each that is has to be right."""
    found = {number: cache.get(key(number)) for number in numbers}
    for number, value in found.items():
        assert value is None or np.array_equal(value, features(number))
    return [number for number, value in found.items() if value is not None]


@pytest.fixture
def full(tmp_path):
    """A folder with ten entries."""
    cache = opened(tmp_path)
    for number in range(10):
        assert cache.put(key(number), features(number))
    cache.close()
    return tmp_path


def test_features_are_there_when_the_file_is_opened_again(full):
    cache = opened(full)
    assert known(cache, range(12)) == list(range(10))
    assert len(cache) == 10
    assert [key(number) in cache for number in (0, 9, 10)] == [True, True, False]
    assert cache.bytes == HEADER + 10 * RECORD


@pytest.mark.parametrize("cut", [1, 4, 100, RECORD - 1])
def test_a_record_that_a_kill_cut_short_is_left_out_and_written_again(full, cut):
    path = next(full.iterdir())
    os.truncate(path, path.stat().st_size - cut)
    cache = opened(full)
    assert known(cache, range(10)) == list(range(9))
    cache.put(key(9), features(9))
    cache.close()
    assert known(opened(full), range(10)) == list(range(10))


@pytest.mark.parametrize("place", [0, 31, 32, 90, RECORD - 1])
def test_a_changed_byte_costs_its_record_alone(full, place):
    path = next(full.iterdir())
    content = bytearray(path.read_bytes())
    content[HEADER + 3 * RECORD + place] ^= 64
    path.write_bytes(content)
    cache = opened(full)
    assert known(cache, range(10)) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    cache.put(key(3), features(3))
    assert known(cache, range(10)) == list(range(10))


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 1000])
def test_a_file_that_is_none_starts_afresh(full, content):
    path = next(full.iterdir())
    path.write_bytes(content)
    cache = opened(full)
    assert len(cache) == 0
    cache.put(key(0), features(0))
    assert known(cache, [0]) == [0]


def test_a_file_of_another_network_under_this_name_starts_afresh(full):
    """As when somebody copies or renames it: its features are those of another network."""
    path = next(full.iterdir())
    other = opened(full, depends_on="another network")
    other.close()
    path.rename(other.path)
    cache = opened(full, depends_on="another network")
    assert known(cache, range(10)) == []
    assert len(cache) == 0


def test_what_is_new_replaces_what_was_not_used_and_nothing_else(full):
    cache = opened(full, records=10)
    assert known(cache, range(8)) == list(range(8))
    assert [cache.put(key(number), features(number)) for number in (20, 21, 22)] == [True, True, False]
    assert known(cache, [*range(10), 20, 21, 22]) == [*range(8), 20, 21]
    assert cache.bytes == HEADER + 10 * RECORD


def test_files_of_other_networks_go_first_and_the_folder_stays_below_its_limit(tmp_path):
    for number in range(5):
        cache = opened(tmp_path, 12, f"network {number}")
        for entry in range(5):
            cache.put(key(entry), features(entry))
        cache.close()
        os.utime(cache.path, (number, number))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= HEADER + 12 * RECORD
    assert cache.path.exists()
    assert known(opened(tmp_path, 12, "network 0"), range(5)) == []


def test_a_file_of_another_network_that_is_in_use_stays(tmp_path):
    used = opened(tmp_path, 10, "network 1")
    for entry in range(9):
        used.put(key(entry), features(entry))
    cache = opened(tmp_path, 10, "network 2")
    assert [cache.put(key(entry), features(entry)) for entry in range(3)] == [True, False, False]
    assert known(used, range(9)) == list(range(9))


def test_other_shapes_types_and_networks_have_other_files(tmp_path):
    caches = [
        FeatureCache(tmp_path, depends_on, shape, dtype)
        for depends_on, shape, dtype in (
            ("a", (4,), "int8"),
            ("b", (4,), "int8"),
            ("a", (4,), "uint8"),
            ("a", (2, 2), "int8"),
        )
    ]
    assert len({cache.path for cache in caches}) == 4


def test_one_process_at_a_time(full):
    cache = opened(full)
    code = f"import sys; from tinytl_tf.data import FeatureCache\nFeatureCache(sys.argv[1], 'network', {SHAPE}, 'int8')"
    for is_open in (True, False):
        done = subprocess.run([sys.executable, "-c", code, full], capture_output=True, text=True, check=False)
        assert done.returncode == is_open
        assert ("another process uses the features" in done.stderr) is is_open
        cache.close()


def test_a_kill_in_the_middle_of_writing_leaves_whole_records(tmp_path):
    code = (
        "import sys, numpy as np; from tinytl_tf.data import FeatureCache\n"
        f"cache = FeatureCache(sys.argv[1], 'network', {SHAPE}, 'int8')\n"
        "print('open', flush=True)\n"
        "for n in range(10**9):\n"
        f"    cache.put((n % 100).to_bytes(32, 'big'), np.full({SHAPE}, n % 100, np.int8))"
    )
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            writer.kill()
        cache = opened(tmp_path)
        known(cache, range(100))
        cache.close()


def test_arguments_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected room for the features of an image, 212 bytes, got a limit of 211"):
        FeatureCache(tmp_path, "network", SHAPE, "int8", limit_bytes=211)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="expected a folder for features at .*file, got: .*; choose one that can be"):
        FeatureCache(tmp_path / "file", "network", SHAPE, "int8")
    with pytest.raises(InputError, match=r"expected a key of 32 bytes and int8 \[4, 4, 8\], got 32 and float64 \[2\]"):
        opened(tmp_path).put(key(0), np.zeros(2))
