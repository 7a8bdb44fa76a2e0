import mmap
import pathlib
import sys

import pytest

from tinytl_tf.tflite import mapped_file
from tinytl_tf.tflite.mapped_file import give_back_pages

PAGE = mmap.PAGESIZE
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what is mapped")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a file.bin"
    path.write_bytes(bytes(range(256)) * (2000 * PAGE // 256))
    return path


def resident_bytes(path):
    """How much of a mapped file is in this process' memory."""
    lines = iter(pathlib.Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return next(int(row.split()[1]) * 1024 for row in lines if row.startswith("Rss:"))
    raise AssertionError(f"{path} is not mapped")


def read_all(pages):
    return [pages[i] for i in range(0, len(pages), PAGE)]


def test_pages_that_were_read_leave_the_process_and_come_back(path):
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        content = read_all(pages)
        assert resident_bytes(path) == 2000 * PAGE
        assert give_back_pages(path) == 2000 * PAGE
        assert resident_bytes(path) == 0
        assert read_all(pages) == content


def test_a_link_leads_to_the_file(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ):
        assert give_back_pages(tmp_path / "link") == 2000 * PAGE


def test_what_may_have_been_changed_stays(path):
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as pages:
        pages[0] = 99
        assert give_back_pages(path) == 0
        assert pages[0] == 99


def test_a_file_that_is_not_mapped(path):
    assert give_back_pages(path) == 0


def test_other_systems_are_left_alone(path, monkeypatch):
    monkeypatch.setattr(mapped_file, "_MAPS", pathlib.Path("/no/such/maps"))
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ):
        assert give_back_pages(path) == 0
