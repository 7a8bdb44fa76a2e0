"""LiteRT's web runtime: files of the npm package `@litertjs/core`, from a folder or downloaded once."""

import base64
import hashlib
import io
import os
import pathlib
import tarfile
import urllib.error
import urllib.request

from tinytl_tf import files
from tinytl_tf.errors import InputError

__all__ = ["LITERT_VERSION", "fetch_litert", "litert_files"]

LITERT_VERSION = "2.5.3"
_PACKAGE = f"@litertjs/core/-/core-{LITERT_VERSION}.tgz"
_REGISTRY = "https://registry.npmjs.org"
_REGISTRY_VARIABLES = ("npm_config_registry", "NPM_CONFIG_REGISTRY")  # npm reads the same ones
# As in export/web/package-lock.json; a test compares them.
_INTEGRITY = "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ=="
_BYTES = 11_817_097
_TIMEOUT = 60.0  # seconds without any received data
_BUILDS = {  # build -> stem of its two file names
    "default": "litert_wasm_internal",
    "compatible": "litert_wasm_compat_internal",
    "threads": "litert_wasm_threaded_internal",
}


def litert_files(folder: str | os.PathLike, *, threads: bool = False) -> list[pathlib.Path]:
    """Returns the runtime files that the page needs.

    Args:
        folder: The folder `wasm` of the npm package `@litertjs/core`.
        threads: Whether the page also needs the multithreaded build.

    Raises:
        InputError: If a file is missing.
    """
    folder = files.expand(folder)
    stems = [stem for build, stem in _BUILDS.items() if threads or build != "threads"]
    found = [folder / f"{stem}.{ending}" for stem in stems for ending in ("js", "wasm")]
    missing = [path.name for path in found if not path.is_file()]
    if missing:
        raise InputError(
            f"expected LiteRT's web runtime in {folder}, found no {missing[0]} there; give the folder `wasm` of the "
            f"npm package @litertjs/core {LITERT_VERSION}"
        )
    return found


def fetch_litert() -> pathlib.Path:
    """Returns a folder with the runtime; downloads the npm package if it is not in the user's cache.

    The package is verified against the checksum of the tested version, and stored in the user's cache
    (`$XDG_CACHE_HOME` or `~/.cache`). Like npm, this function uses the registry in `npm_config_registry` if it is set.

    Raises:
        InputError: If the package cannot be downloaded, or if its checksum differs from the expected one.
    """
    folder = _cache() / f"litertjs-core-{LITERT_VERSION}"
    try:
        litert_files(folder, threads=True)
    except InputError:
        _unpack(_download(), folder)
    return folder


def _cache() -> pathlib.Path:
    return files.expand(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "tinytl_tf"


def _download() -> bytes:
    registry = next(filter(None, map(os.environ.get, _REGISTRY_VARIABLES)), _REGISTRY).rstrip("/")
    print(f"fetching LiteRT's web runtime {LITERT_VERSION} once, {_BYTES / 1e6:.0f} MB", flush=True)
    remedy = "check the network, or give the folder `wasm` of the npm package as wasm"
    try:
        if not registry.startswith(("http://", "https://")):
            raise ValueError("the registry is not an address of http or https")
        with urllib.request.urlopen(f"{registry}/{_PACKAGE}", timeout=_TIMEOUT) as response:
            content = response.read(2 * _BYTES)
    except (OSError, ValueError) as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        raise InputError(f"cannot fetch @litertjs/core {LITERT_VERSION} from npm ({why}); {remedy}") from error
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != _INTEGRITY:
        raise InputError(
            f"expected @litertjs/core {LITERT_VERSION} with SHA-512 {_INTEGRITY[:16]}..., got {len(content)} bytes "
            f"with {digest[:16]}...; {remedy}"
        )
    return content


def _unpack(content: bytes, folder: pathlib.Path) -> None:
    wanted = {f"package/wasm/{stem}.{ending}" for stem in _BUILDS.values() for ending in ("js", "wasm")}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as package:
        for member in package:
            if member.name in wanted and member.isfile():
                files.atomic_write_bytes(
                    folder / pathlib.PurePosixPath(member.name).name, package.extractfile(member).read()
                )
