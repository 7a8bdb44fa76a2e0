"""C files for firmware: constants of a file for TensorFlow Lite Micro, and the file as a C array."""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence

from tinytl_tf.files import expand
from tinytl_tf.tflite.manifest import Manifest

__all__ = ["header", "header_paths", "source"]

_LINE = 24  # bytes of the file per line


def header_paths(tflite_path: str | os.PathLike) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns the paths of the C header and source of a `.tflite`: `NAME_model.h` and `NAME_model.c`, next to it.

    Example:
        >>> [path.name for path in header_paths("flowers.tflite")]
        ['flowers_model.h', 'flowers_model.c']
    """
    path = expand(tflite_path)
    return path.with_name(f"{path.stem}_model.h"), path.with_name(f"{path.stem}_model.c")


def header(manifest: Manifest, name: str) -> str:
    """Returns the C header: sizes, indices of inputs and outputs, values of commands, and the operators to register.

    The header is valid C and C++. A macro for C++ registers the operators.

    Args:
        manifest: Manifest of the file.
        name: Name of the file without its extension; the prefix of all names in the header.
    """
    prefix = _identifier(name).upper()
    facts, (height, width) = manifest.micro, manifest.input.size
    outputs = len(manifest.labels) + manifest.spare_classes
    sizes = {
        "TFLITE_BYTES": (manifest.sizes["file_bytes"], ""),
        "ARENA_BYTES": (facts["arena"]["bytes"], "measured on x86-64; a processor of 32 bits needs less"),
        "RESOURCE_VARIABLES": (facts["resource_variables"], "for MicroResourceVariables::Create"),
        "OPERATORS": (len(facts["operators"]), "for MicroMutableOpResolver"),
        "HEIGHT": (height, "pixels"),
        "WIDTH": (width, "pixels"),
        "OUTPUTS": (outputs, "logits, the last ones without a class where there are more than labels"),
        "LABELS": (len(manifest.labels), ""),
        "STATE_SIZE": (manifest.state_size, "floats"),
        "BATCH_SIZE": (manifest.batch_size, "images of a step by default; any number will do"),
    }
    guard = f"TINYTL_{prefix}_MODEL_H_"
    lower = prefix.lower()
    calls = " \\\n".join(f"    (resolver).{call}();" for call in facts["operators"])
    lines = [
        f"/* Made by the export of {name}.tflite, SHA-256 {manifest.sha256}; export it again to change it. */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        *(_define(f"{prefix}_{key}", value, comment) for key, (value, comment) in sizes.items()),
        "",
        "/* Numbers of the graph's inputs and outputs, and values of the input `command`. */",
        *_enum(prefix, "INPUT", {key: number for number, key in enumerate(facts["inputs"])}),
        *_enum(prefix, "OUTPUT", {key: number for number, key in enumerate(facts["outputs"])}),
        *_enum(prefix, "COMMAND", facts["commands"]),
        "",
        "/* The file, its labels, and the digest of the model that state files carry. */",
        f"extern const unsigned char {lower}_tflite[{prefix}_TFLITE_BYTES];",
        f"extern const char *const {lower}_labels[{prefix}_LABELS];",
        f"extern const unsigned char {lower}_fingerprint[32];",
        "",
        f"/* C++: registers the operators, with a tflite::MicroMutableOpResolver<{prefix}_OPERATORS>. */",
        f"#define {prefix}_ADD_OPERATORS(resolver) \\",
        "  do { \\",
        f"{calls} \\",
        "  } while (0)",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        f"#endif /* {guard} */",
    ]
    return "\n".join(lines) + "\n"


def source(manifest: Manifest, name: str, content: bytes) -> str:
    """Returns the C source: the file as an array, the labels and the fingerprint.

    Args:
        manifest: Manifest of the file.
        name: Name of the file without its extension.
        content: Content of the file.
    """
    lower = _identifier(name).lower()
    prefix = lower.upper()
    fingerprint = bytes.fromhex(manifest.micro["state_of"] or manifest.sha256)
    labels = "".join(f"    {_string(label)},\n" for label in manifest.labels)
    return (
        f'/* Made by the export of {name}.tflite; export it again to change it. */\n#include "{name}_model.h"\n\n'
        f"_Alignas(16) const unsigned char {lower}_tflite[{prefix}_TFLITE_BYTES] = {{\n{_bytes(content)}}};\n\n"
        f"const char *const {lower}_labels[{prefix}_LABELS] = {{\n{labels}}};\n\n"
        f"const unsigned char {lower}_fingerprint[32] = {{\n{_bytes(fingerprint)}}};\n"
    )


def _identifier(name: str) -> str:
    text = re.sub(r"\W", "_", name, flags=re.ASCII)
    return text if text[:1].isalpha() else f"model_{text}"


def _define(name: str, value: int, comment: str) -> str:
    return f"#define {name} {value}" + (f" /* {comment} */" if comment else "")


def _enum(prefix: str, kind: str, numbers: Mapping[str, int]) -> Sequence[str]:
    entries = ", ".join(f"{prefix}_{kind}_{key.upper()} = {number}" for key, number in numbers.items())
    return [f"enum {{ {entries} }};"]


def _bytes(content: bytes) -> str:
    lines = (content[start : start + _LINE] for start in range(0, len(content), _LINE))
    return "".join(f"    {','.join(map(str, line))},\n" for line in lines)


def _string(text: str) -> str:
    """Returns a C string literal with the UTF-8 bytes of a text."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{plain}"'
