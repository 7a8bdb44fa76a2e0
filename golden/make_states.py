"""State files that a reader has to take, damages of one that it has to refuse, and states that move to another file."""

import pathlib
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinytl_tf.device import write_state
from tinytl_tf.files import sha256
from tinytl_tf.state import average_states

SMALL = "state_v1.tinytl"  # belongs to no model: for a reader alone
SMALL_FINGERPRINT = bytes(range(32))
SMALL_VALUES = np.array([0.0, 1.0, -2.5, 1e-45], np.float32)
DAMAGED = "state_float32.tinytl"
NAMED = "state_spare.tinytl"
HEADER, CHECKSUM = 48, 4  # bytes before and after the values
MOVED = (  # a state, the model that it was saved from, and the model that it moves to
    ("state_float32.tinytl", "model_float32.tflite", "model_int8.tflite"),
    ("state_int8.tinytl", "model_int8.tflite", "model_float32.tflite"),
    ("state_spare.tinytl", "model_spare.tflite", "model_spare.tflite"),
    ("state_regression.tinytl", "model_regression.tflite", "model_regression.tflite"),
)
NOT_MOVED = (  # the same, and the first check that refuses it
    ("state_float32.tinytl", "model_float32.tflite", "model_array.tflite", "classes"),
    ("state_array.tinytl", "model_array.tflite", "model_regression.tflite", "classes"),
    ("state_float32.tinytl", "model_float32.tflite", "model_settings.tflite", "frozen"),
    ("state_float32.tinytl", "model_int8.tflite", "model_float32.tflite", "fingerprint"),
    ("state_float32.tinytl", "model_float32.tflite", "model_spare.tflite", "variables"),
)


def write(folder: pathlib.Path) -> dict[str, Any]:
    """Writes `state_v1.tinytl` and returns `states.json`, with damages of the states of two models."""
    write_state(folder / SMALL, SMALL_VALUES, SMALL_FINGERPRINT)
    return {
        "small": {
            "file": SMALL,
            "fingerprint": SMALL_FINGERPRINT.hex(),
            "values": [float(value) for value in SMALL_VALUES],
        },
        "damaged": _list(folder / DAMAGED, "model_float32.tflite", damages),
        "damaged_names": _list(folder / NAMED, "model_spare.tflite", damages_of_names),
        "moved": [_describe(folder, *entry) for entry in MOVED],
        "not_moved": [dict(zip(("file", "from", "to", "check"), entry, strict=True)) for entry in NOT_MOVED],
    }


def move(folder: pathlib.Path, state: str, source: str, target: str, output: pathlib.Path) -> None:
    """Writes a state of one file for another file, as `tinytl move-state` does."""
    average_states([(folder / state, folder / source)], folder / target, output)


def _describe(folder: pathlib.Path, state: str, source: str, target: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as temporary:
        output = pathlib.Path(temporary, "moved.tinytl")
        move(folder, state, source, target, output)
        return {"file": state, "from": source, "to": target, "sha256": sha256(output)}


def _list(path: pathlib.Path, model: str, make: Callable[[bytes], Iterator[tuple]]) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "file": path.name,
        "model": model,
        "damages": [
            {"name": name, "check": check, "why": why, **_difference(content, damaged)}
            for name, check, why, damaged in make(content)
        ],
    }


def damages(content: bytes) -> Iterator[tuple[str, str, str, bytes]]:
    """Gives the name of each damage, the check that finds it, why it has to be refused, and the damaged file."""
    count = (len(content) - HEADER - CHECKSUM) // 4

    def changed(offset: int, new: bytes, repair: bool = True) -> bytes:
        result = content[:offset] + new + content[offset + len(new) :]
        return _with_checksum(result[:-CHECKSUM]) if repair else result

    def value(index: int, bits: int) -> bytes:
        return changed(HEADER + 4 * (index % count), struct.pack("<I", bits))

    yield "empty", "magic", "nothing in it", b""
    yield "magic", "magic", "another kind of file", changed(0, b"T1NYTL")
    yield "text mode", "magic", "copied as text: CR LF became LF", content.replace(b"\r\n", b"\n", 1)[:64]
    yield "version 0", "version", "no such version", changed(8, struct.pack("<I", 0))
    yield "version 3", "version", "a later version, whose layout nobody knows", changed(8, struct.pack("<I", 3))
    yield "version 2", "length", "the names are missing", changed(8, struct.pack("<I", 2))
    yield "header alone", "length", "the values are missing", content[:HEADER]
    yield "half a header", "length", "ends inside of the fingerprint", content[:20]
    yield "cut", "length", "the last byte is missing", content[:-1]
    yield "longer", "length", "a byte too many", content + b"\0"
    yield "filled", "length", "zeros from a file system that was cut off", content + bytes(4096)
    yield "most values", "length", "N of 2^32 - 1", changed(44, b"\xff" * 4)
    yield (
        "overflow",
        "length",
        "4 N is 2^32, which is 0 in 32 bits",
        _with_checksum(content[:44] + struct.pack("<I", 2**30)),
    )
    yield "flipped bit", "checksum", "a value has changed", changed(HEADER + 1000, _flip(content[HEADER + 1000]), False)
    yield "zeros", "checksum", "a sector of 512 bytes was never written", changed(512, bytes(512), False)
    yield "checksum", "checksum", "the checksum has changed", changed(len(content) - 4, _flip(content[-4]), False)
    yield "other model", "fingerprint", "belongs to another model", changed(12, b"\xff" * 32)
    fewer = content[:44] + struct.pack("<I", count - 1) + content[HEADER : -CHECKSUM - 4]
    yield "fewer values", "N", "one value less than the model has", _with_checksum(fewer)
    yield "no values", "N", "no value at all", _with_checksum(content[:44] + struct.pack("<I", 0))
    yield "NaN", "finite", "the first value is no number", value(0, 0x7FC00000)
    yield "signaling NaN", "finite", "a value in the middle is no number", value(count // 2, 0x7F800001)
    yield "infinity", "finite", "the second value is infinite", value(1, 0x7F800000)
    yield "minus infinity", "finite", "the value before the last is infinite", value(-2, 0xFF800000)
    yield "steps", "slots", "the count of steps is -1", value(-1, 0xBF800000)
    yield "sum", "restore", "a value of 3e38: `restore` gives 0", value(7, 0x7F61B1E6)


def damages_of_names(content: bytes) -> Iterator[tuple[str, str, str, bytes]]:
    """Gives what `damages` does, for a state file with the names of added classes."""
    (count,) = struct.unpack_from("<I", content, 44)
    start = HEADER + 4 * count  # of L

    def named(names: bytes, length: int | None = None) -> bytes:
        number = struct.pack("<I", len(names) if length is None else length)
        return _with_checksum(content[:start] + number + names)

    names = content[start + 4 : -CHECKSUM]
    yield (
        "version 1",
        "length",
        "the names are too many bytes",
        _with_checksum(content[:8] + struct.pack("<I", 1) + content[12:-CHECKSUM]),
    )
    yield "length of names", "length", "L is one less than the bytes of the names", named(names, len(names) - 1)
    yield "length of 2^32", "length", "L is 2^32 - 1", named(names, 2**32 - 1)
    yield "no names", "length", "L is 0, which version 1 is for", named(b"")
    yield "cut", "length", "the last byte is missing", content[:-1]
    yield (
        "flipped bit",
        "checksum",
        "a letter has changed",
        content[: start + 4] + _flip(names[0]) + content[start + 5 :],
    )
    yield "no UTF-8", "names", "a byte that begins nothing", named(b"\xff" + names)
    yield "empty name", "names", "a line with nothing in it", named(names + b"\n")
    yield "blank name", "names", "a name of a space", named(b" ")
    yield "control character", "names", "a name with a tab", named(b"a\tb")
    yield "same name", "names", "a name that an exported class has", named("éclair".encode())
    yield "separator", "names", "a name with U+2028, a separator of lines", named("a\u2028b".encode())
    yield "invisible name", "names", "a name of U+200D alone", named("\u200d".encode())
    yield "long name", "names", "a name of 256 bytes", named(b"x" * 256)
    yield "twice", "names", "one name for two classes", named(b"a\na")
    yield "too many", "names", "three classes for two spare outputs", named(b"a\nb\nc")
    yield "one more", "outputs", "two names, but one output in use", named(names + b"\nzebra")


def apply(content: bytes, damage: dict[str, Any]) -> bytes:
    """Returns the damaged file: cut, or filled with zeros, to `length`; then `edits`, each an offset and bytes."""
    result = bytearray(content[: damage["length"]].ljust(damage["length"], b"\0"))
    for edit in damage["edits"]:
        new = bytes.fromhex(edit["bytes"])
        result[edit["offset"] : edit["offset"] + len(new)] = new
    return bytes(result)


def _difference(content: bytes, damaged: bytes) -> dict[str, Any]:
    """Returns what `apply` needs."""
    before = content[: len(damaged)].ljust(len(damaged), b"\0")
    places = [i for i, (old, new) in enumerate(zip(before, damaged, strict=True)) if old != new]
    edits, start = [], 0
    for end in range(1, len(places) + 1):
        if end == len(places) or places[end] > places[end - 1] + 8:
            first, last = places[start], places[end - 1]
            edits.append({"offset": first, "bytes": damaged[first : last + 1].hex()})
            start = end
    return {"length": len(damaged), "edits": edits}


def _with_checksum(content: bytes) -> bytes:
    return content + struct.pack("<I", zlib.crc32(content))


def _flip(byte: int) -> bytes:
    return bytes([byte ^ 4])
