import json
import platform
import subprocess
import sys

import pytest

from tinytl_tf.tflite import allocator

# Takes and frees blocks, with small ones between that stay, as the arenas of a loop and the results of its steps do.
LOOP = """
import json
from tinytl_tf.tflite import allocator
told = {give_back} and allocator.give_back_big_blocks()
kept = []
for _ in range(6):
    block = bytearray(20_000_000)
    kept.append([bytes(300) for _ in range(50)])
    del block
lines = open("/proc/self/status").read().splitlines()
rss = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
print(json.dumps([told, rss]))
"""


def run(give_back):
    result = subprocess.run(
        [sys.executable, "-c", LOOP.format(give_back=give_back)], capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_blocks_leave_the_process():
    (told, with_it), (_, without) = run(True), run(False)
    assert told
    assert without - with_it > 15e6


def test_another_allocator_is_left_alone(monkeypatch):
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert allocator.give_back_big_blocks() is False
