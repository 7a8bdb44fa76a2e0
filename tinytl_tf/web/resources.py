"""Resources of the page: the content for each URL path, fixed before the server starts."""

import dataclasses
import functools
import gzip
import hashlib
import json
import pathlib
from collections.abc import Iterable

from tinytl_tf.device.opening import OpenedFile
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.manifest import manifest_path

__all__ = ["Resource", "page_resources"]

_PAGE = pathlib.Path(__file__).with_name("page")
_GENERAL = pathlib.Path(__file__).with_name("model") / "general.tflite"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".tflite": "application/octet-stream",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_MODELS = "models.json"


@dataclasses.dataclass(frozen=True)
class Resource:
    """Content for one URL path.

    Attributes:
        kind: MIME type.
        content: The bytes, or the file that contains them.
    """

    kind: str
    content: bytes | pathlib.Path

    @functools.cached_property
    def data(self) -> bytes:
        """The bytes; a file is read on first access."""
        return self.content if isinstance(self.content, bytes) else self.content.read_bytes()

    @functools.cached_property
    def packed(self) -> bytes:
        """The bytes compressed with gzip."""
        return gzip.compress(self.data, 6, mtime=0)

    @functools.cached_property
    def tag(self) -> str:
        """Hash of the content, for the header `ETag`."""
        return f'"{hashlib.sha256(self.data).hexdigest()[:32]}"'


def page_resources(model: OpenedFile | None, runtime: Iterable[pathlib.Path]) -> dict[str, Resource]:
    """Returns all resources that the page loads, by URL path.

    Args:
        model: The model that the page opens first; the package's own model is always included.
        runtime: Files of LiteRT's web runtime.

    Raises:
        InputError: If the model has no manifest, if it takes arrays, if its labels are not one class per photo, or if
            its file changed while it was read.
    """
    own = (_GENERAL, manifest_path(_GENERAL))
    found = {path.name: _of_file(path) for path in (*_PAGE.iterdir(), *own)}
    models = [{"name": _GENERAL.stem, "model": own[0].name, "manifest": own[1].name}]
    if model is not None:
        if model.manifest is None:
            raise InputError(
                f"expected {manifest_path(model.path)} next to {model.path}, which the page needs too, got none; copy "
                "both files of one export"
            )
        if model.manifest.takes_arrays:
            raise InputError(
                f"expected a model of photos, got {model.path} of float arrays, which the page cannot take; train it "
                "with the package tinytl-web (export/web) or tinytl_tf.device.TrainableModel"
            )
        if model.manifest.task != "classification":
            labels = "numbers" if model.manifest.task == "regression" else "several attributes"
            raise InputError(
                f"expected a model of one class for each photo, got {model.path} of {labels} "
                f"({model.manifest.task}), for which the page has no labels; train it with `tinytl adapt`"
            )
        found["model/model.tflite"] = _unchanged(model)
        found["model/model.manifest.json"] = Resource(_TYPES[".json"], manifest_path(model.path).read_bytes())
        entry = {"name": model.path.stem, "model": "model/model.tflite", "manifest": "model/model.manifest.json"}
        models.insert(0, entry)
    found[_MODELS] = Resource(_TYPES[".json"], json.dumps(models).encode())
    found |= {f"wasm/{path.name}": _of_file(path) for path in runtime}
    result = {f"/{name}": resource for name, resource in found.items()}
    result["/"] = result.pop("/index.html")
    return result


def _unchanged(model: OpenedFile) -> Resource:
    """Reads a model now, so that the page serves the same content even if the file is replaced later."""
    resource = _of_file(model.path)
    if hashlib.sha256(resource.data).digest() != model.fingerprint:
        raise InputError(f"{model.path} has changed while it was read; start again")
    return resource


def _of_file(path: pathlib.Path) -> Resource:
    return Resource(_TYPES[path.suffix], path)
