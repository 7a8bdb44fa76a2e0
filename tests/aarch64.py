"""Trains, saves, restores and resets exported files on an emulated ARM processor, in two runtimes.

Command:
    python -m tests.aarch64

Debian's packages (an arm64 Python 3.11 and qemu-user-static) and PyPI's wheels are unpacked into a cache folder, not
installed; root is not needed. It takes a few minutes. Without apt-get or a network, it reports this and exits with 77.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

from tests.runtimes.files import (
    KERNELS,
    SCHEMES,
    TOLERANCES,
    copy_golden,
    golden_figures,
    problems,
    reference,
    run,
    write_batches,
    write_files,
)

SKIPPED = 77
PACKAGES = (
    *("python3.11", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1"),
    *("libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5", "libcrypt1", "libuuid1"),
)
RUNTIMES = {
    "ai_edge_litert": ["ai-edge-litert==2.3.0", "numpy==1.26.4", "flatbuffers", "typing_extensions", "tqdm"],
    "tflite_runtime": ["tflite-runtime==2.14.0", "numpy==1.26.4"],
}
RUNTIMES["ai_edge_litert"].append("backports.strenum")
PLATFORMS = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28, 34))]
# LiteRT reads what the processor can do; qemu 7.2 shows the host's.
CPUINFO = """processor\t: 0
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""


# What a client of a registry says where there is no network; all else that fails is a failure of the check.
OFFLINE = re.compile(r"resolve|unreachable|timed out|connection (refused|reset)|max retries|temporary failure", re.I)


def call(*command: str, cwd: pathlib.Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"{command[0]} failed: {done.stderr.strip()[-500:]}"
        raise SystemExit(_skip(reason) if OFFLINE.search(done.stderr) else reason)


def _skip(reason: str) -> int:
    print(f"skipped: {reason}")
    return SKIPPED


def set_up_machine(cache: pathlib.Path) -> list[str]:
    """Unpacks emulator and Python; returns the command that begins a call of the emulated Python."""
    root, tools, packages = cache / "root", cache / "tools", cache / "packages"
    python = root / "usr/bin/python3.11"
    emulator = tools / "usr/bin/qemu-aarch64-static"
    if not python.exists() or not emulator.exists():
        print("unpacking an arm64 Python and qemu", flush=True)
        for folder in (root, tools, packages, cache / "state/lists/partial", cache / "archives/partial"):
            folder.mkdir(parents=True, exist_ok=True)
        # An apt of its own: the machine's lists, architectures and packages stay as they are.
        settings = {
            "Dir::State": cache / "state",
            "Dir::Cache": cache,
            "Dir::State::status": "/dev/null",
            "APT::Architecture": "arm64",
            "APT::Sandbox::User": "root",
        }
        apt = [
            "apt-get",
            "-q",
            *(f"-o{key}={value}" for key, value in settings.items()),
            "-oAPT::Architectures::=arm64",
        ]
        call(*apt, "update")
        call(*apt, "download", *PACKAGES, cwd=packages)
        call("apt-get", "-q", "download", "qemu-user-static", cwd=tools)
        for package in packages.glob("*.deb"):
            call("dpkg", "-x", str(package), str(root))
        for package in tools.glob("*.deb"):
            call("dpkg", "-x", str(package), str(tools))
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text(CPUINFO)
    return [str(emulator), "-cpu", "cortex-a72", "-L", str(root), str(python)]


def set_up_runtime(cache: pathlib.Path, runtime: str) -> pathlib.Path:
    """Unpacks the wheels of a runtime; returns their folder."""
    site = cache / runtime
    if not site.exists():
        print(f"unpacking {RUNTIMES[runtime][0]} for aarch64", flush=True)
        wheels = cache / f"{runtime}-wheels"
        platforms = [f"--platform={platform}" for platform in PLATFORMS]
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(wheels)]
        target = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=none", "--platform=any"]
        call(*pip, *target, *platforms, *RUNTIMES[runtime])
        partial = site.with_suffix(".partial")
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(partial)
        partial.rename(site)
    return site


def main() -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = pathlib.Path("~/.cache/tinytl_tf/aarch64").expanduser()
    parser.add_argument("--cache", type=pathlib.Path, default=default, help="folder for what is unpacked")
    cache = parser.parse_args().cache.absolute()
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return _skip("needs apt-get and dpkg, for Debian's packages of an arm64 Python and qemu-user-static")
    python = set_up_machine(cache)
    failures = passed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        print("exporting MobileNetV2 0.35, 96 px", flush=True)
        models, batches = write_files(folder), write_batches(folder / "batches.npz")
        # Name of a case -> the file, its batches, what it has to report, and how far a loss may be from that.
        cases = {
            " ".join(key): (models[key], batches, reference(models[key], batches), TOLERANCES[key[1]])
            for key in [(scheme, kernels) for scheme in SCHEMES for kernels in KERNELS]
        }
        cases |= {f"golden {kernels}": (*copy_golden(folder, kernels), *golden_figures(kernels)) for kernels in KERNELS}
        for runtime in RUNTIMES:
            environment = {"PYTHONPATH": str(set_up_runtime(cache, runtime)), "PYTHONHOME": str(cache / "root/usr")}
            for name, (model, its_batches, expected, tolerance) in cases.items():
                try:
                    report = run(python, runtime, model, its_batches, env=environment, timeout=900)
                    found = problems(report, expected, tolerance)
                except RuntimeError as error:
                    found = [str(error)]
                failures += bool(found)
                passed += not found
                words = "; ".join(found) or "trains, saves, restores and resets like x86-64"
                print(f"{RUNTIMES[runtime][0]} {name}: {words}", flush=True)
    print(f"{passed} passed, {failures} failed")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
