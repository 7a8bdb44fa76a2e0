"""Opens a `.tflite`. All Python clients open files here, so that every file is checked before it runs."""

import dataclasses
import mmap
import os
import pathlib
import unicodedata

from ai_edge_litert import schema_py_generated as schema

from tinytl_tf import files
from tinytl_tf.errors import InputError
from tinytl_tf.files import sha256
from tinytl_tf.strict_json import parse_json
from tinytl_tf.tasks import TASKS
from tinytl_tf.tflite.manifest import CONTRACTS, LABELS_ENTRY, Manifest, manifest_path

__all__ = ["OpenedFile", "open_file"]

_IDENTIFIER = b"TFL3"
_LARGEST_ENTRY = 2**20  # maximum bytes of the names


@dataclasses.dataclass(frozen=True)
class OpenedFile:
    """Description of a file, from the file and its manifest.

    Attributes:
        path: The `.tflite`.
        fingerprint: SHA-256 of all bytes of the file.
        manifest: The manifest in its folder, or None.
        labels: Names of the outputs, from the manifest or from the file itself, or None.
        spare_classes: Number of outputs after `labels` that have no class; 0 by default.
        task: A key of `tinytl_tf.tasks.TASKS`, from the manifest or from the file itself, or None.
    """

    path: pathlib.Path
    fingerprint: bytes
    manifest: Manifest | None
    labels: tuple[str, ...] | None
    spare_classes: int
    task: str | None

    @property
    def xnnpack(self) -> bool:
        """Whether clients use XNNPACK by default."""
        return self.manifest is None or self.manifest.xnnpack


def open_file(path: str | os.PathLike, *, trust: bool = False) -> OpenedFile:
    """Reads the description of a `.tflite`, without the runtime.

    The file is hashed once, and the hash must match the one that the exporter wrote into the manifest, so every changed
    byte is detected. Without a manifest, only the structure can be checked, here and by the runtime's own verifier: a
    changed weight goes unnoticed, and a changed shape can end the process.

    Args:
        path: The file, with its manifest in the same folder.
        trust: Whether to open a file without a manifest.

    Raises:
        InputError: If the file cannot be read; if it is not a `.tflite` or is damaged; if it has operators that are not
            builtin; if it does not match its manifest; or if it has no manifest and `trust` is false.
    """
    path = files.expand(path)
    try:
        if not path.is_file() and path.exists():
            raise InputError(f"expected a .tflite file at {path}, got a folder or device; check the path")
        digest = sha256(path)
    except OSError as error:
        raise InputError(f"expected a .tflite file at {path}, got: {error.strerror}; check the path") from error
    inside = _read_labels(path)
    has_manifest = manifest_path(path).exists()
    if not has_manifest and not trust:
        raise InputError(
            f"expected {manifest_path(path).name} next to {path}, got none: without its checksum a damaged file could "
            "end the process; copy both files that the export wrote, or give trust=True"
        )
    manifest = Manifest.read(path, digest=digest) if has_manifest else None
    if manifest is None:
        task, labels, spare = inside or (None, None, 0)
        return OpenedFile(path, bytes.fromhex(digest), None, labels, spare, task)
    stated = (manifest.task, manifest.labels, manifest.spare_classes)
    if inside not in (None, stated):
        raise InputError(
            f"{path} is for {_outputs(inside)}, its manifest for {_outputs(stated)}; copy both files of one export"
        )
    return OpenedFile(path, bytes.fromhex(digest), manifest, manifest.labels, manifest.spare_classes, manifest.task)


def _outputs(stated: tuple[str, tuple[str, ...], int]) -> str:
    task, labels, spare = stated
    return f"{task} of {list(labels)!r:.200}" + (f" and {spare} spare" if spare else "")


def _read_labels(path: pathlib.Path) -> tuple[str, tuple[str, ...], int] | None:
    """Walks through the file's structure; returns the task, names and number of spare outputs in its metadata."""
    try:
        with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[4:8] != _IDENTIFIER:
                raise InputError(f"{path} is not a .tflite file: expected the mark TFL3 at byte 4; check the path")
            model = schema.Model.GetRootAs(content, 0)
            custom = sorted({code.decode() for code in _custom_codes(model) if code})
            text = _metadata(model)
    except InputError:
        raise
    except Exception as error:  # an offset of a damaged file can lead anywhere
        raise InputError(
            f"{path} is truncated or corrupt ({type(error).__name__} while reading it); copy or export it again"
        ) from error
    if custom:
        raise InputError(
            f"{path} needs the operators {', '.join(custom)}, expected LiteRT's builtin operators only; "
            "export it with `tinytl export`"
        )
    return None if text is None else _parse_labels(path, text)


def _custom_codes(model: schema.Model) -> list[bytes | None]:
    return [model.OperatorCodes(i).CustomCode() for i in range(model.OperatorCodesLength())]


def _metadata(model: schema.Model) -> bytes | None:
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == LABELS_ENTRY.encode():
            buffer = model.Buffers(entry.Buffer())
            if buffer.DataLength() > _LARGEST_ENTRY:
                raise ValueError("names of a megabyte")
            return buffer.DataAsNumpy().tobytes()
    return None


def _parse_labels(path: pathlib.Path, text: bytes) -> tuple[str, tuple[str, ...], int]:
    try:
        values = parse_json(text)
        contract, task, labels = values["contract"], values["task"], values["labels"]
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise TypeError("labels")
        spare = values.get("spare_classes", 0)
        if type(spare) is not int or spare < 0:
            raise TypeError("spare_classes")
        normal = {unicodedata.normalize("NFC", label) for label in labels}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} has names of its outputs that cannot be read ({type(error).__name__}); export it again"
        ) from error
    if contract not in CONTRACTS:
        raise InputError(
            f"{path} has signatures of contract {contract!r:.20}, expected {' or '.join(map(str, CONTRACTS))}; "
            "export the model again"
        )
    if not labels or len(normal) != len(labels) or "" in normal:
        raise InputError(f"{path} has the names {labels!r:.200}, expected names, none twice; export it again")
    if not isinstance(task, str) or task not in TASKS:
        raise InputError(f"{path} is for the task {task!r:.80}, expected one of {', '.join(TASKS)}; export it again")
    return task, tuple(labels), spare
