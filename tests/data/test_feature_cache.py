import concurrent.futures
import contextlib
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tinytl_tf.data import FeatureCache, feature_cache
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


@pytest.mark.parametrize("length", [0, 1, 8, HEADER - 1])
def test_a_file_whose_start_a_kill_cut_short_starts_afresh(full, length):
    path = next(full.iterdir())
    os.truncate(path, length)
    cache = opened(full)
    assert len(cache) == 0
    cache.put(key(0), features(0))
    cache.close()
    assert known(opened(full), [0]) == [0]


OTHERS = [b"x", b"x" * 1000, b"TINYTLF\r" * 10, b"\0" * 100, b"PK\x03\x04" + b"TINYTLF\n" * 20]


@pytest.mark.parametrize("content", OTHERS, ids=range(len(OTHERS)))
def test_a_file_of_the_user_is_neither_replaced_nor_removed(full, content):
    path = next(full.iterdir())
    other = full / f"features-{'0' * 32}.bin"
    for name in (path, other):
        name.write_bytes(content)
        os.utime(name, (0, 0))
    with pytest.raises(InputError) as error:
        opened(full)
    assert str(error.value) == (
        f"expected a file of features at {path}, got another file; move that away, or choose another folder"
    )
    path.unlink()
    cache = opened(full, records=1)
    for number in range(3):
        cache.put(key(number), features(number))
    assert other.read_bytes() == content


NAMES = ["features-1.bin", "features-.bin", f"features-{'A' * 32}.bin", f"features-{'a' * 33}.bin", "x.bin"]


def test_files_of_other_names_are_left_alone_whatever_they_hold(full):
    """Copies of our own among them, in folders and behind links too."""
    own = next(full.iterdir())
    content = own.read_bytes()
    for name in NAMES:
        (full / name).write_bytes(content)
    (full / f"features-{'1' * 32}.bin").mkdir()
    (full / f"features-{'2' * 32}.bin").symlink_to("x.bin")
    (full / f"features-{'3' * 32}.bin").symlink_to("nowhere")
    os.mkfifo(full / f"features-{'4' * 32}.bin")
    before = sorted(path.name for path in full.iterdir() if path != own)
    cache = opened(full, records=3, depends_on="another network")
    assert [cache.put(key(number), features(number)) for number in range(4)] == [True, True, True, False]
    assert sorted(path.name for path in full.iterdir() if path != cache.path) == before
    assert not own.exists()
    assert all((full / name).read_bytes() == content for name in NAMES)


def fifo(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def dangling(path):
    path.symlink_to("nowhere")


def link_in_a_circle(path):
    path.symlink_to(path.name)


def link_to_a_file(path):
    path.with_name("mine").write_bytes(b"mine")
    path.symlink_to("mine")


def device(path):
    path.symlink_to("/dev/full")


@pytest.mark.parametrize("make", [fifo, folder, dangling, link_in_a_circle, link_to_a_file, device])
def test_what_is_no_file_in_its_place_is_refused_and_not_waited_for(full, make):
    path = next(full.iterdir())
    path.unlink()
    make(path)
    with pytest.raises(InputError) as error:
        opened(full)
    assert str(error.value) == (
        f"expected a file of features at {path}, got a link, folder or device; move that away, or choose another folder"
    )
    assert not (full / "nowhere").exists()
    assert make is not link_to_a_file or (full / "mine").read_bytes() == b"mine"


@contextlib.contextmanager
def most_bytes(size):
    """No file may become larger, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, HEADER - 1])
def test_a_disk_without_room_for_the_start_is_refused(tmp_path, room):
    with most_bytes(room), pytest.raises(InputError) as error:
        opened(tmp_path)
    assert str(error.value) == (
        f"expected a folder for features at {tmp_path}, got: File too large; choose one that can be written"
    )
    assert known(opened(tmp_path), [0]) == []


@pytest.mark.parametrize("room", [0, 1, RECORD - 1])
def test_a_disk_that_becomes_full_is_told_and_what_was_kept_stays(full, room):
    cache = opened(full)
    with most_bytes(HEADER + 10 * RECORD + room), pytest.raises(InputError) as error:
        cache.put(key(10), features(10))
    assert str(error.value) == (
        f"expected to write features to {cache.path}, got: File too large; make room, or choose another folder"
    )
    assert known(cache, range(11)) == list(range(10))
    cache.put(key(10), features(10))
    cache.close()
    assert known(opened(full), range(11)) == list(range(11))


@pytest.mark.parametrize("length", [0, 1, HEADER, HEADER + 5 * RECORD, HEADER + 5 * RECORD + 7])
def test_a_file_that_is_cut_off_while_it_is_used_loses_what_was_cut_off(full, length):
    cache = opened(full)
    os.truncate(cache.path, length)
    assert known(cache, range(10)) == list(range(max(0, length - HEADER) // RECORD))
    for number in (3, 9):
        assert cache.put(key(number), features(number))
    assert {3, 9} <= set(known(cache, range(10)))
    cache.close()
    assert {3, 9} <= set(known(opened(full), range(10)))


def test_a_folder_that_vanishes_while_it_is_used_is_made_again_by_the_next_run(tmp_path):
    cache = opened(tmp_path / "features")
    shutil.rmtree(tmp_path / "features")
    assert cache.put(key(0), features(0))
    assert known(cache, [0]) == [0]
    cache.close()
    assert known(opened(tmp_path / "features"), [0]) == []


def test_what_cannot_be_read_counts_as_missing(full, monkeypatch):
    cache = opened(full)

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", broken)
    assert known(cache, [0, 1]) == []


def test_a_file_that_was_removed_before_it_was_locked_is_made_anew(full, monkeypatch):
    """As by another process that makes room."""
    lock, path = feature_cache.try_lock, next(full.iterdir())

    def removed_before(stream):
        if path.exists() and os.stat(path).st_size > HEADER:
            path.unlink()
        return lock(stream)

    monkeypatch.setattr(feature_cache, "try_lock", removed_before)
    cache = opened(full)
    monkeypatch.undo()
    cache.put(key(0), features(0))
    cache.close()
    assert known(opened(full), range(10)) == [0]


def test_a_file_of_a_larger_limit_is_cut_to_the_new_one(full):
    path = next(full.iterdir())
    for size in (path.stat().st_size, 2**40):
        os.truncate(path, size)
        cache = opened(full, records=4)
        assert known(cache, range(10)) == [0, 1, 2, 3]
        assert cache.bytes == HEADER + 4 * RECORD
        cache.close()


def test_threads_may_share_an_object(tmp_path):
    cache = opened(tmp_path)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda number: cache.put(key(number), features(number)), range(100)))
    assert known(cache, range(100)) == list(range(100))


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


@pytest.mark.parametrize(("records", "stays"), [(5, True), (8, False)])
def test_half_of_the_folder_is_left_to_the_file_in_use(tmp_path, records, stays):
    other = opened(tmp_path, 12, "another network")
    for entry in range(records):
        other.put(key(entry), features(entry))
    other.close()
    opened(tmp_path, 12).close()
    assert other.path.exists() == stays


def test_of_files_of_other_networks_the_one_used_last_stays(tmp_path):
    paths = []
    for number in (1, 2):
        cache = opened(tmp_path, 100, f"network {number}")
        for entry in range(5):
            cache.put(key(entry), features(entry))
        cache.close()
        os.utime(cache.path, (number, number))
        paths.append(cache.path)
    opened(tmp_path, 100, "network 1").close()  # reads it
    opened(tmp_path, 11, "network 3").close()
    assert [path.exists() for path in paths] == [True, False]


def test_a_record_that_has_become_that_of_another_image_counts_as_missing(full):
    cache = opened(full)
    content = bytearray(cache.path.read_bytes())
    one, other = (slice(HEADER + place * RECORD, HEADER + (place + 1) * RECORD) for place in (3, 4))
    content[one], content[other] = content[other], content[one]
    cache.path.write_bytes(content)
    assert known(cache, range(10)) == [0, 1, 2, 5, 6, 7, 8, 9]


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
