"""Memory that TensorFlow Lite Micro needs for a file, measured with its interpreter."""

import dataclasses
import re
import subprocess
import sys

from tinytl_tf.errors import InputError
from tinytl_tf.files import temporary_folder
from tinytl_tf.tflite.runtime.micro import import_runtime

__all__ = ["Arena", "measure_arena"]

# In a process of its own, since it prints its result on standard error; and each try in a fork, since a too small
# arena can end the process.
_CODE = """
import os, sys
from tflite_micro.python.tflite_micro import runtime
content = open(sys.argv[1], "rb").read()

def fits(units):
    pid = os.fork()
    if not pid:
        try:
            runtime.Interpreter.from_bytes(content, arena_size=16 * units)
        except RuntimeError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0

low, high = 255, 256
while not fits(high):
    low, high = high, 2 * high
    if high > 2**26:
        raise SystemExit(3)
while high - low > 1:
    middle = (low + high) // 2
    low, high = (low, middle) if fits(middle) else (middle, high)
print(16 * high)
sys.stderr.write("-- the one that fits --\\n")
sys.stderr.flush()
runtime.Interpreter.from_bytes(content, arena_size=16 * high).print_allocations()
"""
_PART = re.compile(r"Arena allocation (head|tail) (\d+) bytes")
_TIMEOUT = 600  # seconds


@dataclasses.dataclass(frozen=True)
class Arena:
    """The arena of a file, on the machine that exported it; on one of 32 bits the tail is smaller.

    Attributes:
        bytes: The smallest arena that it starts with.
        head_bytes: Tensors and work space.
        tail_bytes: Variables, and the records of operators and tensors.
    """

    bytes: int
    head_bytes: int
    tail_bytes: int


def measure_arena(content: bytes) -> Arena:
    """Finds the smallest arena that TensorFlow Lite Micro starts a file with.

    Args:
        content: The `.tflite`.

    Raises:
        InputError: If the package `tflite-micro` is not installed, or no arena of up to 1 GB is enough; the
            message has the runtime's last lines.

    Example:
        >>> measure_arena(pathlib.Path("micro.tflite").read_bytes()).bytes  # doctest: +SKIP
        523264
    """
    import_runtime()
    with temporary_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", _CODE, str(path)], capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    said, _, last = done.stderr.partition("-- the one that fits --")
    if done.returncode:
        words = " ".join(line.strip() for line in said.splitlines()[-2:])
        raise InputError(
            f"TensorFlow Lite Micro cannot start the file: {words or f'it ended with {done.returncode}'}; "
            "please report it with the model"
        )
    parts = dict(_PART.findall(last))
    return Arena(int(done.stdout), int(parts["head"]), int(parts["tail"]))
