import base64
import hashlib
import io
import json
import pathlib
import shutil
import subprocess
import tarfile
import threading

import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.web import LITERT_VERSION, PageServer, Resource, fetch_litert, litert, litert_files

ROOT = pathlib.Path(__file__).parents[2]
NAMES = [f"litert_wasm{kind}_internal.{ending}" for kind in ("", "_compat", "_threaded") for ending in ("js", "wasm")]


def package(names):
    """A package of npm with files that say their names, and one that would leave its folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in [*(f"package/wasm/{name}" for name in names), "package/wasm/../../../evil.js", "package/README.md"]:
            content = pathlib.PurePosixPath(name).name.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry of npm on this machine, with one package; returns the requests that it got."""
    content = package(NAMES)
    asked = []

    class Counted(dict):
        def get(self, path):
            asked.append(path)
            return super().get(path)

    server = PageServer({}, port=0)
    server.resources = Counted({f"/@litertjs/core/-/core-{LITERT_VERSION}.tgz": Resource("application/gzip", content)})
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", server.address)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(litert, "_INTEGRITY", base64.b64encode(hashlib.sha512(content).digest()).decode())
    yield asked
    server.shutdown()
    server.server_close()


def test_the_package_is_fetched_once(registry, tmp_path, capsys):
    folder = fetch_litert()
    assert capsys.readouterr().out == f"fetching LiteRT's web runtime {LITERT_VERSION} once, 12 MB\n"
    assert folder == tmp_path / "cache" / "tinytl_tf" / f"litertjs-core-{LITERT_VERSION}"
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    assert (folder / NAMES[0]).read_text() == NAMES[0]
    assert fetch_litert() == folder
    assert len(registry) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.runtimes
def test_the_real_package_is_the_one_that_is_expected(monkeypatch, tmp_path):
    """From npm, or from the registry that npm is set up with."""
    if shutil.which("npm"):
        registry = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, text=True, check=True)
        monkeypatch.setenv("npm_config_registry", registry.stdout.strip())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        folder = fetch_litert()
    except InputError as error:
        if "cannot fetch" not in str(error):
            raise
        pytest.skip("npm's registry cannot be reached")
    assert {path.name: path.read_bytes()[:4] for path in folder.glob("*.wasm")} == {
        name: b"\0asm" for name in NAMES if name.endswith(".wasm")
    }


def test_a_file_that_was_lost_is_fetched_again(registry):
    (fetch_litert() / NAMES[3]).unlink()
    assert (fetch_litert() / NAMES[3]).is_file()
    assert len(registry) == 2


def test_another_package_is_refused(registry, monkeypatch, tmp_path):
    monkeypatch.setattr(litert, "_INTEGRITY", "A" * 88)
    with pytest.raises(InputError, match=r"with SHA-512 AAAAAAAAAAAAAAAA\.\.\., got \d+ bytes with"):
        fetch_litert()
    assert not list(tmp_path.rglob("*.wasm"))


def test_without_network_there_is_a_way(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    with pytest.raises(InputError, match=r"cannot fetch @litertjs/core .* from npm \(.*refused\); .* as wasm$"):
        fetch_litert()
    monkeypatch.setenv("npm_config_registry", "file:///etc")
    with pytest.raises(InputError, match="the registry is not an address of http or https"):
        fetch_litert()


def test_a_folder_needs_the_build_with_threads_for_threads_alone(tmp_path):
    for name in NAMES[:4]:
        (tmp_path / name).touch()
    assert [path.name for path in litert_files(tmp_path)] == NAMES[:4]
    with pytest.raises(InputError, match=f"found no {NAMES[4]} there; give the folder `wasm` of the npm package"):
        litert_files(tmp_path, threads=True)
    with pytest.raises(InputError, match=f"found no {NAMES[0]} there"):
        litert_files(tmp_path / "absent")


def test_version_and_checksum_are_those_that_the_web_package_is_tested_with():
    lock = json.loads((ROOT / "export" / "web" / "package-lock.json").read_text())
    locked = lock["packages"]["node_modules/@litertjs/core"]
    assert locked["version"] == LITERT_VERSION
    assert locked["integrity"] == f"sha512-{litert._INTEGRITY}"
    assert {entry.get("resolved") for entry in lock["packages"].values()} == {None}
