"""What is in the APK of the sample app. `TINYTL_ANDROID_TOOLS` is a folder with Debian's packages, unpacked."""

import importlib.util
import os
import pathlib
import shutil
import struct
import zipfile

import pytest

pytestmark = pytest.mark.android  # after the build of tests/test_android.py

ROOT = pathlib.Path(__file__).parents[1]
ANDROID = ROOT / "export" / "android"
TOOLS = os.environ.get("TINYTL_ANDROID_TOOLS")
PAGE = 16384
ABIS = ("arm64-v8a", "armeabi-v7a", "x86", "x86_64")


@pytest.fixture(scope="module")
def packaging():
    spec = importlib.util.spec_from_file_location("package_sample", ANDROID / "package_sample.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def apk(packaging, tmp_path_factory):
    """The sample with the golden model."""
    if not (ANDROID / "sample/target/classes/org/tinytl/sample/MainActivity.class").exists():
        pytest.skip("the sample was not built; run `mvn -f export/android verify`")
    try:
        packaging.Tools(TOOLS).path("aapt2")
    except packaging.PackagingError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("apk")
    assets = folder / "assets"
    assets.mkdir()
    for ending in ("tflite", "manifest.json"):
        shutil.copyfile(ROOT / f"golden/model_float32.{ending}", assets / f"model.{ending}")
    arguments = [f"--output={folder / 'sample.apk'}", f"--assets={assets}"]
    assert packaging.main(arguments + ([f"--tools={TOOLS}"] if TOOLS else [])) == 0
    return folder / "sample.apk"


def test_entries(apk):
    with zipfile.ZipFile(apk) as archive:
        assert archive.testzip() is None
        entries = {info.filename: info for info in archive.infolist()}
        model = archive.read("assets/model.tflite")
        dex = archive.read("classes.dex")
    assert model == (ROOT / "golden/model_float32.tflite").read_bytes()
    assert entries["assets/model.tflite"].compress_type == zipfile.ZIP_STORED
    assert "assets/model.manifest.json" in entries
    assert dex.startswith(b"dex\n")
    names = ("sample/MainActivity", "sample/SampleTrainingJob", "sample/SharedFiles", "Trainer", "TrainingJob")
    for name in names:
        assert f"Lorg/tinytl/{name};".encode() in dex
    assert b"Lorg/tensorflow/lite/Interpreter;" in dex
    assert b"Landroidx/" not in dex
    libraries = {f"lib/{abi}/libtensorflowlite_jni.so" for abi in ABIS}
    assert {name for name in entries if name.endswith(".so")} == libraries
    assert all(entries[name].compress_type == zipfile.ZIP_STORED for name in libraries)


def test_what_is_mapped_is_aligned(apk, packaging):
    starts = packaging.offsets(apk)
    assert starts["assets/model.tflite"] % 4 == 0
    assert starts["resources.arsc"] % 4 == 0
    libraries = [name for name in starts if name.endswith(".so")]
    assert [name for name in libraries if starts[name] % PAGE] == []


def test_segments_of_the_native_libraries(apk):
    """Those of TensorFlow Lite 2.16.1 want pages of 4 KB, whatever the place in the APK; a newer runtime is needed."""
    with zipfile.ZipFile(apk) as archive:
        alignments = {
            abi: segments(archive.read(f"lib/{abi}/libtensorflowlite_jni.so")) for abi in ("arm64-v8a", "x86_64")
        }
    print(f"alignment of the segments: {alignments}")
    assert all(alignment in (4096, PAGE) for found in alignments.values() for alignment in found)


def segments(content):
    """Returns the alignments of the loaded segments of a 64-bit ELF file."""
    assert content[:5] == b"\x7fELF\x02"
    (start,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<2H", content, 54)
    headers = [struct.unpack_from("<2I6Q", content, start + size * index) for index in range(count)]
    return {header[7] for header in headers if header[0] == 1}


def test_manifest(apk, packaging):
    tools = packaging.Tools(TOOLS)
    badging = tools.run(tools.path("aapt2"), "dump", "badging", str(apk))
    assert "package: name='org.tinytl.sample' versionCode='1'" in badging
    assert "sdkVersion:'24'\ntargetSdkVersion:'34'\n" in badging
    assert "launchable-activity: name='org.tinytl.sample.MainActivity'" in badging
    permissions = [line for line in badging.splitlines() if line.startswith("uses-permission")]
    names = ("RECEIVE_BOOT_COMPLETED", "CAMERA")  # and no INTERNET
    assert permissions == [f"uses-permission: name='android.permission.{name}'" for name in names]
    assert "uses-feature-not-required: name='android.hardware.camera'" in badging
    tree = tools.run(tools.path("aapt2"), "dump", "xmltree", "--file", "AndroidManifest.xml", str(apk))
    for name in ("SampleApplication", "SampleTrainingJob", "SharedFiles", "CameraActivity"):
        assert f'"org.tinytl.sample.{name}"' in tree
    assert '"android.permission.BIND_JOB_SERVICE"' in tree


def test_signature(apk, packaging, tmp_path):
    tools = packaging.Tools(TOOLS)
    tools.sign("verify", "--min-sdk-version", "24", str(apk))
    broken = tmp_path / "broken.apk"
    content = bytearray(apk.read_bytes())
    content[packaging.offsets(apk)["assets/model.tflite"] + 1000] ^= 1
    broken.write_bytes(content)
    with pytest.raises(packaging.PackagingError, match="DOES NOT VERIFY"):
        tools.sign("verify", "--min-sdk-version", "24", str(broken))


def test_size(apk):
    """What the library and the sample add, without the runtime's native code and the model."""
    with zipfile.ZipFile(apk) as archive:
        sizes = {info.filename: info.compress_size for info in archive.infolist()}
    code = sum(size for name, size in sizes.items() if name.endswith(".dex"))
    print(f"compressed dex: {code} bytes; APK: {apk.stat().st_size} bytes")
    assert 100_000 < code < 1_500_000


def test_an_apk_without_a_model_is_refused(packaging, tmp_path, capsys):
    assert packaging.main([f"--output={tmp_path / 'sample.apk'}", f"--assets={tmp_path}"]) == 2
    assert "tinytl export --target=android" in capsys.readouterr().err
    assert not (tmp_path / "sample.apk").exists()
