"""Runs the prefix in a process of its own, with a different Python and a different runtime."""

import contextlib
import dataclasses
import subprocess
import tempfile
from collections.abc import Sequence

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.strict_json import parse_json
from tinytl_tf.tflite.coral_manifest import Quantized
from tinytl_tf.tflite.fields import parse_fields

__all__ = ["PrefixProcess"]

_LONGEST_LINE = 65536


class PrefixProcess:
    """Communicates with `prefix_runner.py`, which runs as a separate program.

    Args:
        command: The program and its arguments, for example
            `["python3.7", "prefix_runner.py", "prefix_int8_edgetpu.tflite", "libedgetpu.so.1"]`.

    Attributes:
        input: `shape`, `scale` and `zero_point` of the image, from the program.
        output: The same for the features.

    Raises:
        InputError: If the program cannot be started; or if it does not describe its input and output.

    Example:
        >>> prefix = PrefixProcess(["python3", "prefix_runner.py", "prefix_int8.tflite"])  # doctest: +SKIP
        >>> prefix(image).dtype  # doctest: +SKIP
        dtype('int8')
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = [str(word) for word in command]
        if not self._command or any("\0" in word for word in self._command):
            raise InputError(f"expected a program that runs the prefix, got {self._command!r:.80}; check the command")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, not a pipe: a full pipe would stop the program
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
        except OSError as error:
            self._errors.close()
            raise InputError(
                f"expected a program that runs the prefix, got: {error.strerror}: {_line(self._command[0])}; check the "
                "command"
            ) from error
        line = self._process.stdout.readline(_LONGEST_LINE)
        try:
            values = parse_json(line)
            self.input, self.output = _described(values["input"]), _described(values["output"])
        except (ValueError, KeyError, TypeError) as error:  # InputError is a ValueError
            raise self._failed("did not describe its input and output") from error

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
        except (OSError, ValueError) as error:  # ValueError: it has been closed
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
        lines = []
        if not self._errors.closed:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        command, message = _line(" ".join(self._command)), _line(lines[-1] if lines else "no message")
        return InputError(f"expected features from {command}, but it {what}: {message}; run it on its own to see why")


def _line(text: str) -> str:
    return "".join(letter for letter in text[:200] if letter.isprintable())


def _described(values: dict) -> dict:
    fields = {field.name: values[field.name] for field in dataclasses.fields(Quantized)}
    described = parse_fields(Quantized, fields, "", "its description")
    if min(described.shape, default=0) < 1:
        raise ValueError("no shape")
    return dataclasses.asdict(described) | {"shape": list(described.shape)}
