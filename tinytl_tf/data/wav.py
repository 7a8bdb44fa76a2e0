"""Reads waveforms from WAV files with Python's `wave` module."""

import os
import wave

import numpy as np

from tinytl_tf.errors import InputError
from tinytl_tf.regular_file import open_regular

__all__ = ["check_wav", "read_wav"]

_BYTES = 2  # per sample
_REMEDY = "save it as mono WAV of 16-bit PCM at that rate, as `ffmpeg -i IN -ac 1 -ar RATE -c:a pcm_s16le OUT.wav` does"


def read_wav(path: str | os.PathLike, samples: int, sample_rate: int) -> np.ndarray:
    """Reads the waveform of a file in the form that a model takes.

    A recording that is too long is cropped equally at its start and end; if the difference is odd, one more sample is
    cropped at the end. A recording that is too short is padded with zeros in the same way. See "Arrays" in
    docs/formats.md.

    Args:
        path: a WAV file of 16-bit PCM with one channel.
        samples: number of samples to return.
        sample_rate: required sample rate of the file; nothing is resampled.

    Returns:
        float32 array [samples] from -1 to 1: the samples divided by 32768.

    Raises:
        InputError: if the file cannot be read, has a different format or rate, is cut short, or has no samples.

    Example:
        >>> with wave.open("beep.wav", "wb") as file:
        ...     file.setparams((1, 2, 8000, 0, "NONE", ""))
        ...     file.writeframes(np.array([1, 2, -32768], "<i2").tobytes())
        >>> (read_wav("beep.wav", 4, 8000) * 32768).tolist()
        [1.0, 2.0, -32768.0, 0.0]
    """

    def read(file: wave.Wave_read) -> bytes:
        length = file.getnframes()
        file.setpos(max(0, (length - samples) // 2))
        return file.readframes(min(length, samples))

    content = _with_wave(path, sample_rate, read)
    values = np.frombuffer(content, "<i2").astype(np.float32) / 32768
    missing = samples - len(values)
    return np.pad(values, (missing // 2, missing - missing // 2))


def check_wav(path: str | os.PathLike, sample_rate: int) -> None:
    """Checks the header of a file, and that no samples are missing; arguments and errors as for `read_wav`."""
    _with_wave(path, sample_rate, lambda file: b"")


def _with_wave(path, sample_rate, read):
    try:
        with open_regular(path) as stream, wave.open(stream) as file:
            _check(path, file, sample_rate, os.fstat(stream.fileno()).st_size - stream.tell())
            return read(file)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"expected a WAV file at {path}, got none; put it back or load the set again") from error
    # Broken files raise wave.Error, EOFError, OSError and more.
    except Exception as error:
        problem = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"expected a WAV file at {path}, got one that cannot be read ({problem:.80}); {_REMEDY}"
        ) from error


def _check(path, file: wave.Wave_read, sample_rate: int, left: int) -> None:
    kind = (file.getnchannels(), file.getsampwidth(), file.getframerate())
    if kind != (1, _BYTES, sample_rate):
        raise InputError(
            f"expected WAV of 1 channel, 16 bits and {sample_rate} samples a second, got {kind[0]} channels, "
            f"{8 * kind[1]} bits and {kind[2]} in {path}; {_REMEDY}"
        )
    length = file.getnframes()
    if length < 1 or _BYTES * length > left:
        raise InputError(f"expected the samples of {path}, got {left} bytes for {length} of them; record it again")
