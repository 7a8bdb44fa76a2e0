"""Packages the sample app as an APK signed with a debug key, without Gradle and the Android SDK.

Run `mvn -f export/android verify` first; this script uses its output in the folders `target`. It also needs a JDK,
Maven to fetch D8, and aapt2, zipalign and apksigner: `apt-get install aapt zipalign apksigner` on Debian. Instead of
installed packages, `--tools=FOLDER` uses a folder in which they and their dependencies were unpacked with `dpkg -x`.

Example:
  python export/android/package_sample.py --output=sample.apk
"""

import argparse
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile

_HERE = pathlib.Path(__file__).resolve().parent
_R8 = "com.android.tools:r8:8.5.35"
_PACKAGE = "org.tinytl.sample"
_MIN_SDK = 24
_TARGET_SDK = 34
_PAGE = 16384  # bytes; newer phones map native libraries in pages of 16 KB
_ALIGNMENT_FIELD = 0xD935  # extra field of a ZIP entry by which apksigner keeps an alignment
_STORED = (".tflite", ".so", ".arsc")
_PASSWORD = "android"  # as for every debug key


class PackagingError(Exception):
    """A requirement of the packaging is missing; the message includes the remedy."""


class Tools:
    """The command-line tools, installed or unpacked in a folder."""

    def __init__(self, folder: str | None):
        self._folder = pathlib.Path(folder) if folder else None
        self._environment = dict(os.environ)
        if self._folder:
            library = self._folder / "usr/lib"
            paths = [library, library / "p7zip", *library.glob("*-linux-gnu"), *library.glob("*-linux-gnu/android")]
            self._environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, paths))

    def path(self, name: str) -> str:
        """Returns the path of a program, or of a Java archive from a Debian package."""
        folder = self._folder or pathlib.Path("/")
        kind = "usr/share/java" if name.endswith(".jar") else "usr/bin"
        path = folder / kind / name
        if not path.exists():
            raise PackagingError(
                f"expected {name} at {path}, found none; run `apt-get install aapt zipalign apksigner`, or give the "
                "folder in which they were unpacked with --tools"
            )
        return str(path)

    def run(self, *command: str) -> str:
        """Runs a program and returns its output."""
        result = subprocess.run(command, env=self._environment, capture_output=True, text=True)
        if result.returncode:
            raise PackagingError(f"{pathlib.Path(command[0]).name} failed: {result.stdout}{result.stderr}")
        return result.stdout

    def sign(self, *arguments: str) -> str:
        """Runs apksigner."""
        archives = os.pathsep.join([self.path("apksigner.jar"), self.path("apksig.jar")])
        return self.run("java", "-cp", archives, "com.android.apksigner.ApkSignerTool", *arguments)


def package(output: pathlib.Path, assets: pathlib.Path, tools: Tools) -> None:
    """Writes the APK.

    Args:
        output: The file to write.
        assets: Folder with model.tflite, its manifest and labels.txt, as written by `tinytl export --target=android`.
        tools: The command-line tools.

    Raises:
        PackagingError: If a requirement is missing.
    """
    manifest = (_HERE / "sample/src/main/AndroidManifest.xml").read_text()
    _require(assets / "model.tflite", "run `tinytl export --target=android` with --output in this folder")
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        # Gradle rejects the attribute `package`, because its build files set it. aapt2 needs it.
        (work / "AndroidManifest.xml").write_text(manifest.replace("<manifest ", f'<manifest package="{_PACKAGE}" ', 1))
        tools.run(
            *(tools.path("aapt2"), "link", "-o", str(work / "base.apk")),
            *("-I", str(_framework()), "--manifest", str(work / "AndroidManifest.xml")),
            *("--min-sdk-version", str(_MIN_SDK), "--target-sdk-version", str(_TARGET_SDK)),
            *("--version-code", "1", "--version-name", "0.1.0"),
        )
        tools.run(
            *("java", "-cp", str(_r8(work)), "com.android.tools.r8.D8", "--release", "--min-api", str(_MIN_SDK)),
            *("--lib", str(_framework()), "--output", str(work), *map(str, _classes(work))),
        )
        entries = _entries(work, assets)
        _write(work / "aligned.apk", entries)
        tools.run(tools.path("zipalign"), "-c", "4", str(work / "aligned.apk"))
        key = work / "debug.keystore"
        tools.run(
            *("keytool", "-genkeypair", "-keystore", str(key), "-storepass", _PASSWORD, "-alias", "debug"),
            *("-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-dname", "CN=Android Debug"),
        )
        tools.sign(
            *("sign", "--ks", str(key), "--ks-pass", f"pass:{_PASSWORD}", "--out", str(work / "signed.apk")),
            *("--min-sdk-version", str(_MIN_SDK), str(work / "aligned.apk")),
        )
        shutil.copyfile(work / "signed.apk", output)


def offsets(apk: pathlib.Path) -> dict[str, int]:
    """Returns the offset of the content of each entry in an APK."""
    starts = {}
    with zipfile.ZipFile(apk) as archive, open(apk, "rb") as stream:
        for info in archive.infolist():
            stream.seek(info.header_offset)
            name, extra = struct.unpack("<26x2H", stream.read(30))
            starts[info.filename] = info.header_offset + 30 + name + extra
    return starts


def _framework() -> pathlib.Path:
    version = re.search(r"<android-all.version>(.*?)<", (_HERE / "pom.xml").read_text())[1]
    return _artifact("org.robolectric", "android-all", version)


def _artifact(group: str, name: str, version: str) -> pathlib.Path:
    repository = pathlib.Path.home() / ".m2/repository"
    path = repository / group.replace(".", "/") / name / version / f"{name}-{version}.jar"
    return _require(path, "run `mvn -f export/android verify`")


def _require(path: pathlib.Path, remedy: str) -> pathlib.Path:
    if not path.exists():
        raise PackagingError(f"expected {path}, found none; {remedy}")
    return path


def _r8(work: pathlib.Path) -> pathlib.Path:
    copied = subprocess.run(
        ["mvn", "-q", "dependency:copy", f"-Dartifact={_R8}", f"-DoutputDirectory={work}", "-Dmdep.stripVersion=true"],
        capture_output=True,
        text=True,
        cwd=_HERE,
    )
    return _require(work / "r8.jar", f"Maven did not find {_R8}: {copied.stdout[-500:]}")


def _classes(work: pathlib.Path) -> list[pathlib.Path]:
    """Returns all archives to convert to dex: classes of the sample, the library, Kotlin and TensorFlow Lite."""
    archives = []
    for module in ("sample", "library", "tensorflow-lite-classes"):
        classes = _require(_HERE / module / "target/classes", "run `mvn -f export/android verify`")
        archive = shutil.make_archive(str(work / module), "zip", classes)
        archives.append(pathlib.Path(archive).rename(work / f"{module}.jar"))
    version = re.search(r"<kotlin.version>(.*?)<", (_HERE / "pom.xml").read_text())[1]
    return [*archives, _artifact("org.jetbrains.kotlin", "kotlin-stdlib", version)]


def _entries(work: pathlib.Path, assets: pathlib.Path) -> dict[str, bytes]:
    entries = {}
    with zipfile.ZipFile(work / "base.apk") as base:
        entries |= {name: base.read(name) for name in base.namelist()}
    entries |= {path.name: path.read_bytes() for path in sorted(work.glob("classes*.dex"))}
    entries |= {f"assets/{path.name}": path.read_bytes() for path in sorted(assets.iterdir()) if path.is_file()}
    for archive in sorted((_HERE / "tensorflow-lite-classes/target/aars").glob("tensorflow-lite-[0-9]*.aar")):
        with zipfile.ZipFile(archive) as aar:
            for name in aar.namelist():
                if name.startswith("jni/") and name.endswith(".so"):
                    entries[f"lib/{name.removeprefix('jni/')}"] = aar.read(name)
    return entries


def _write(apk: pathlib.Path, entries: dict[str, bytes]) -> None:
    """Writes a ZIP. Files that phones map into memory are stored uncompressed and aligned to pages or words."""
    with zipfile.ZipFile(apk, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            if name.endswith(_STORED):
                info.compress_type = zipfile.ZIP_STORED
                alignment = _PAGE if name.endswith(".so") else 4
                start = archive.fp.tell() + 30 + len(name.encode()) + 6
                padding = bytes(-start % alignment)
                info.extra = struct.pack("<3H", _ALIGNMENT_FIELD, 2 + len(padding), alignment) + padding
            archive.writestr(info, content)


def main(argv: list[str]) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the APK to write")
    parser.add_argument("--assets", type=pathlib.Path, default=_HERE / "sample/src/main/assets", help="the assets")
    parser.add_argument("--tools", help="folder with unpacked Debian packages; default: installed ones")
    arguments = parser.parse_args(argv)
    try:
        package(arguments.output, arguments.assets, Tools(arguments.tools))
    except PackagingError as error:
        print(f"package_sample.py: error: {error}", file=sys.stderr)
        return 2
    with zipfile.ZipFile(arguments.output) as archive:
        for info in archive.infolist():
            print(f"{info.compress_size:>9} {info.filename}")
    print(f"{arguments.output.stat().st_size:>9} {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
