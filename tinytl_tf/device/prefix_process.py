"""The prefix in a process of its own, under another Python with another runtime."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Sequence

import numpy as np

from tinytl_tf.errors import InputError

__all__ = ["PrefixProcess"]

_LONGEST_LINE = 65536


class PrefixProcess:
    """Talks to `prefix_runner.py`, run as a program.

    Args:
        command: The program and its arguments, for example
            `["python3.7", "prefix_runner.py", "prefix_int8_edgetpu.tflite", "libedgetpu.so.1"]`.

    Attributes:
        input: `shape`, `scale` and `zero_point` of the image, as the program says.
        output: The same of the features.

    Raises:
        InputError: If the program cannot be started or does not say what it takes and gives.

    Example:
        >>> prefix = PrefixProcess(["python3", "prefix_runner.py", "prefix_int8.tflite"])  # doctest: +SKIP
        >>> prefix(image).dtype  # doctest: +SKIP
        dtype('int8')
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = [str(word) for word in command]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, not a pipe: a full one would stop the program
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
        except OSError as error:
            self._errors.close()
            raise InputError(
                f"expected a program that runs the prefix, got: {error.strerror}: {self._command[0]}; check the command"
            ) from error
        line = self._process.stdout.readline(_LONGEST_LINE)
        try:
            values = json.loads(line)
            self.input, self.output = _described(values["input"]), _described(values["output"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._failed("said nothing of its input and output") from error

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the int8 features of one image, uint8 `[H, W, 3]`.

        Raises:
            InputError: If the program has ended.
        """
        shape = self.output["shape"]
        size = int(np.prod(shape))
        try:
            self._process.stdin.write(np.ascontiguousarray(image).tobytes())
            self._process.stdin.flush()
            content = self._process.stdout.read(size)
        except OSError as error:
            raise self._failed("ended") from error
        if len(content) < size:
            raise self._failed("ended")
        return np.frombuffer(content, np.int8).reshape(shape)

    def close(self) -> None:
        """Ends the program."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()

    def _failed(self, what: str) -> InputError:
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        return InputError(
            f"expected features from {' '.join(self._command):.200}, but it {what}: "
            f"{lines[-1] if lines else 'no message'}; run it by itself to see why"
        )


def _described(values: dict) -> dict:
    shape = [int(size) for size in values["shape"]]
    if not shape or min(shape) < 1:
        raise ValueError("no shape")
    return {"shape": shape, "scale": float(values["scale"]), "zero_point": int(values["zero_point"])}
