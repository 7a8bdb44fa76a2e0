"""State files that a reader has to take, and damages of one that it has to refuse."""

import pathlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinytl_tf.device import write_state

SMALL = "state_v1.tinytl"  # belongs to no model: for a reader alone
SMALL_FINGERPRINT = bytes(range(32))
SMALL_VALUES = np.array([0.0, 1.0, -2.5, 1e-45], np.float32)
DAMAGED = "state_float32.tinytl"
HEADER, CHECKSUM = 48, 4  # bytes before and after the values


def write(folder: pathlib.Path) -> dict[str, Any]:
    """Writes `state_v1.tinytl` and returns `states.json`, whose damages are those of the state of `model_float32`."""
    write_state(folder / SMALL, SMALL_VALUES, SMALL_FINGERPRINT)
    content = (folder / DAMAGED).read_bytes()
    return {
        "small": {
            "file": SMALL,
            "fingerprint": SMALL_FINGERPRINT.hex(),
            "values": [float(value) for value in SMALL_VALUES],
        },
        "damaged": {
            "file": DAMAGED,
            "model": "model_float32.tflite",
            "damages": [
                {"name": name, "check": check, "why": why, **_difference(content, damaged)}
                for name, check, why, damaged in damages(content)
            ],
        },
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
    yield "version 2", "version", "a later version, whose layout nobody knows", changed(8, struct.pack("<I", 2))
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
