"""Class names at the boundaries of the rule in docs/formats.md."""

GOOD_NAMES = (
    *("zèbre", "a b", "日本", "Ελ", "\U0001f600", "-", "x" * 255, "é" * 127 + "x", " a ", "e\u0301clair", "a\u200bb"),
    *(
        "赤\u3000バラ",
        "می\u200cخواهم",
        "a\xa0b",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\ue000",
        "\uffff",
        "\u0378",
    ),
    *("\u0301", "\ufeffa", "\u2010", "\u2030", "\U0010ffff", "\xa1", "\u202a.", "\u1681", "\u2070"),
)
BAD_NAMES = {
    "empty": "",
    "a line feed": "a\nb",
    "a carriage return": "a\rb",
    "a tab": "a\tb",
    "the first control": "a\x01",
    "the last ASCII control": "a\x1f",
    "delete": "a\x7f",
    "the first C1 control": "a\x80",
    "next line": "a\x85b",
    "the last C1 control": "a\x9f",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "a blank": " ",
    "no-break spaces": "\xa0\xa0",
    "soft hyphen": "\xad",
    "Ogham space": "\u1680",
    "vowel separator": "\u180e",
    "spaces of all widths": "".join(map(chr, range(0x2000, 0x2010))),
    "directions": "".join(map(chr, range(0x202A, 0x2030))),
    "format characters": "".join(map(chr, range(0x205F, 0x2070))),
    "ideographic space": "\u3000",
    "byte order mark": "\ufeff",
    "all that is invisible": " \xa0\xad\u1680\u180e\u2000\u200f\u202a\u202f\u205f\u206f\u3000\ufeff",
    "256 bytes": "x" * 256,
    "256 bytes of two each": "é" * 128,
    "16 KB": "x" * 2**14,
    "half a pair": b"\xed\xa0\x80",
    "the other half": b"\xed\xbf\xbf",
    "overlong": b"\xc0\xaf",
    "overlong of three": b"\xe0\x9f\xbf",
    "overlong of four": b"\xf0\x8f\xbf\xbf",
    "cut": b"a\xc3",
    "cut in the middle": b"\xe2\x82a",
    "lonely": b"\x80",
    "too far": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "no byte of UTF-8": b"\xff",
}


def as_bytes(name: str | bytes) -> bytes:
    """UTF-8 of a name that may be bytes already."""
    return name.encode() if isinstance(name, str) else name
