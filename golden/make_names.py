"""Names of classes that every client takes, and bytes that none does."""

from typing import Any

ACCEPTED = (
    "daisy",
    "New York",
    "éclair",
    "e\u0301clair",  # the same with the accent written apart, which a client without a table keeps
    "赤\u3000バラ",
    "می\u200cخواهم",
    "a\u00a0b",
    "👩\u200d🌾",
    "\U0001fae8",  # an emoji of Unicode 15
    "\U0010fffd\ue000",  # private use
    "\u0378",  # no character yet
    "\ufeffbom",
    "trailing ",
    "a,b;c\"d'e/f\\g",
    "\u202eabc",
    "x" * 255,
    "ö" * 127,
)
REFUSED = (
    (b"", "empty"),
    (b" ", "shows nothing"),
    ("\u3000\u00a0\u200b".encode(), "shows nothing"),
    ("\u200d".encode(), "shows nothing"),
    ("\ufeff\u00ad\u2060".encode(), "shows nothing"),
    (b"a\nb", "a control character"),
    (b"a\0b", "a control character"),
    (b"\x1f", "a control character"),
    (b"a\x7f", "a control character"),
    ("a\u0085b".encode(), "a control character"),
    ("a\u009f".encode(), "a control character"),
    ("a\u2028b".encode(), "a separator of lines"),
    ("a\u2029".encode(), "a separator of paragraphs"),
    (b"x" * 256, "256 bytes"),
    ("ö".encode() * 128, "256 bytes"),
    (b"a\xff", "not UTF-8"),
    (b"\xc0\xaf", "not UTF-8: a character in more bytes than it needs"),
    (b"\xed\xa0\x80", "not UTF-8: half of a surrogate pair"),
    (b"\xf4\x90\x80\x80", "not UTF-8: above U+10FFFF"),
    (b"\xe3\x81", "not UTF-8: cut short"),
)


def describe() -> dict[str, Any]:
    """Returns `names.json`."""
    return {
        "accepted": list(ACCEPTED),
        "refused": [{"bytes": content.hex(), "why": why} for content, why in REFUSED],
    }
