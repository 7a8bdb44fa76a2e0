"""Builds the C client for ARM with a cross compiler and trains with it on an emulated processor.

Command:
    python -m tests.aarch64_c

The compiler is aarch64-linux-gnu-gcc where it is installed; else Debian's package is unpacked into a cache folder. The
emulator, an arm64 C library and the aarch64 wheel of ai-edge-litert come as in `tests.aarch64`; root is not needed. It
takes a few minutes. Without apt-get or a network it says so and ends with status 77.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from tests.aarch64 import SKIPPED, call, set_up_machine, set_up_runtime
from tests.c import plan
from tests.c.client import Client, Refused, build
from tests.c.test_golden import DELEGATES, GOLDEN, answers, assert_answers, read_golden, state_of, train
from tests.c.test_state_file import DAMAGED, DAMAGES, FINGERPRINT, SMALL, STATES, damage

COMPILER = "aarch64-linux-gnu-gcc"
PACKAGES = ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross")
# The machine has these, or a compiler of C does not need them.
NOT_NEEDED = re.compile(r"libc6|libgcc-s1|libstdc\+\+6|zlib1g|lib[a-z+]*(san|itm|gomp|atomic|std)[a-z+\d]*-arm64-cross")
# Neither has LSE, without which the wheel's WebGPU library ends a process that loads it.
PROCESSORS = ("cortex-a53", "cortex-a72")


def set_up_compiler(cache: pathlib.Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the command of a cross compiler, and the environment that it needs."""
    installed = shutil.which(COMPILER)
    if installed:
        return (installed,), dict(os.environ)
    root = cache / "compiler"
    if not root.exists():
        print("unpacking a cross compiler", flush=True)
        partial, packages = cache / "compiler.partial", cache / "compiler-packages"
        for folder in (partial, packages):
            folder.mkdir(parents=True, exist_ok=True)
        options = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
        done = subprocess.run(
            ["apt-cache", "depends", "--recurse", *options, *PACKAGES], capture_output=True, text=True, check=True
        )
        names = {line for line in done.stdout.splitlines() if re.fullmatch(r"[a-z\d][a-z\d+.-]*", line)}
        call("apt-get", "-q", "download", *sorted(n for n in names if not NOT_NEEDED.fullmatch(n)), cwd=packages)
        for package in packages.glob("*.deb"):
            call("dpkg", "-x", str(package), str(partial))
        partial.rename(root)
    compiler = root / "usr" / "bin"
    command = (str(next(compiler.glob(f"{COMPILER}-[0-9]*"))), f"--sysroot={root}", f"-B{compiler}/aarch64-linux-gnu-")
    libraries = [str(path) for path in (root / "usr/lib").glob("*-linux-gnu")]
    return command, os.environ | {"LD_LIBRARY_PATH": ":".join(libraries)}


def check_model(c: Client, folder: pathlib.Path, kernels: str, delegate: str) -> None:
    """Trains, saves, restores and resets a golden model.

    Raises:
        AssertionError: If something differs by more than the golden files allow.
    """
    training, pixels = read_golden(kernels)
    tolerances = training["tolerances"]
    c.open(GOLDEN / training["model"], xnnpack=DELEGATES[delegate])
    assert_answers(answers(c, folder, pixels), training["before"][delegate], tolerances)
    exported = state_of(c, folder / "state.f32")
    for step in training["steps"]:
        loss, _, applied = train(c, folder, pixels, step)
        assert applied == 1
        assert abs(loss / step[delegate]["loss"] - 1) <= tolerances["loss"], f"loss {loss} for {step[delegate]['loss']}"
    trained = state_of(c, folder / "state.f32")
    c.ask("restore", "a", GOLDEN / training["state_after"])
    golden = state_of(c, folder / "state.f32")
    assert np.linalg.norm(trained - golden) <= tolerances["update"] * np.linalg.norm(golden - exported)
    assert_answers(answers(c, folder, pixels), training["after"][delegate], tolerances)
    c.ask("save", "a", folder / "again.tinytl")
    assert (folder / "again.tinytl").read_bytes() == (GOLDEN / training["state_after"]).read_bytes()
    c.ask("reset", "a")
    np.testing.assert_array_equal(state_of(c, folder / "state.f32"), exported)
    c.ask("close", "a")


def check_states(c: Client, folder: pathlib.Path) -> None:
    """Reads and writes the golden state, and has all damages refused.

    Raises:
        AssertionError: If a byte differs, or a damage is taken.
    """
    words = c.ask("read", GOLDEN / SMALL["file"], FINGERPRINT, 4)
    assert [float.fromhex(word) for word in words] == SMALL["values"]
    c.ask("write", folder / "state.tinytl", FINGERPRINT, *(float(value).hex() for value in SMALL["values"]))
    assert (folder / "state.tinytl").read_bytes() == (GOLDEN / SMALL["file"]).read_bytes()
    for name, damaged in (("a", DAMAGED), ("b", STATES["damaged_names"])):
        c.open(GOLDEN / damaged["model"], name)
    for damaged, change in DAMAGES:
        (folder / "damaged.tinytl").write_bytes(damage((GOLDEN / damaged["file"]).read_bytes(), change))
        try:
            c.ask("restore", "a" if damaged is DAMAGED else "b", folder / "damaged.tinytl")
        except Refused:
            continue
        raise AssertionError(f"the damage {change['name']!r} was taken")


def check_plan(c: Client, folder: pathlib.Path) -> None:
    """Draws orders and changes of a training, whose boxes are exact on every processor.

    Raises:
        AssertionError: If one is not that of docs/formats.md.
    """
    del folder
    for seed in range(20):
        assert [int(word) for word in c.ask("order", seed, 1, 50)] == plan.order(seed, 1, 50)
        for photo in range(20):
            settings = (1, (0.22, 1.0), (3 / 4, 4 / 3), 1, "torch")
            box, flip, colors = plan.draw(seed, 1, photo, 0, 160, 245, *settings)
            words = c.ask("draw", seed, 1, photo, 0, 160, 245, 1, 0.22, 1, repr(3 / 4), repr(4 / 3), 1, "torch")
            assert tuple(map(int, words[1:6])) == (*box, flip)
            amounts = {name: float.fromhex(amount) for name, amount in zip(words[6::2], words[7::2], strict=True)}
            assert all(abs(amounts[name] / amount - 1) < 1e-12 for name, amount in colors)


def check_adapt(_: Client, command: list[str], library: pathlib.Path) -> None:
    """Trains on a folder with the program `adapt`.

    Raises:
        AssertionError: If it fails, or the accuracy does not rise.
    """
    training, pixels = read_golden("int8")
    with tempfile.TemporaryDirectory() as folder:
        for index, (photo, image) in enumerate(zip(training["photos"], pixels, strict=True)):
            for split in ("train", "test"):  # the same, to see that it learns them
                path = pathlib.Path(folder, "photos", split, photo["photo"].split("/")[0], f"{index}.ppm")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"P6 64 64 255\n" + image)
        flags = ["--central_fraction=1", "--nocrop", "--noflip", "--epochs=8", "--learning_rate=1e-2"]
        flags.append(f"--state_out={folder}/mine.tinytl")
        data = [f"--model={GOLDEN / training['model']}", f"--data={folder}/photos", f"--library={library}"]
        done = subprocess.run([*command, *data, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, after = (float(value) for value in re.findall(r"\naccuracy \w+: ([\d.]+) %", done.stdout))
    assert after > before + 20, done.stdout


def checks(folder: pathlib.Path, adapt: list[str], library: pathlib.Path) -> Iterator[tuple[str, Callable]]:
    """Gives the name of each check and a function of a client."""
    for kernels in ("float32", "int8"):
        for delegate in DELEGATES:
            yield f"{kernels} {delegate}", partial(check_model, folder=folder, kernels=kernels, delegate=delegate)
    yield "state files", partial(check_states, folder=folder)
    yield "plan", partial(check_plan, folder=folder)
    yield "adapt", partial(check_adapt, command=adapt, library=library)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = pathlib.Path("~/.cache/tinytl_tf/aarch64").expanduser()
    parser.add_argument("--cache", type=pathlib.Path, default=default, help="folder for what is unpacked")
    cache = parser.parse_args().cache.absolute()
    missing = [tool for tool in ("apt-get", "apt-cache", "dpkg", "make") if shutil.which(tool) is None]
    if missing:
        print(f"skipped: needs {', '.join(missing)}")
        return SKIPPED
    emulator = set_up_machine(cache)[0]
    library = set_up_runtime(cache, "ai_edge_litert") / "ai_edge_litert" / "libLiteRt.so"
    compiler, environment = set_up_compiler(cache)
    failures = passed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        build(folder / "build", compiler, sanitize="", env=environment)
        print(f"built with {pathlib.Path(compiler[0]).name}", flush=True)
        for processor in PROCESSORS:
            emulated = [emulator, "-cpu", processor, "-L", str(cache / "root")]
            for name, check in checks(folder, [*emulated, str(folder / "build/adapt")], library):
                try:
                    with Client([*emulated, str(folder / "build/client")], library) as c:
                        check(c)
                    words = "as golden/ says"
                    passed += 1
                except (AssertionError, RuntimeError, Refused) as error:
                    words = f"FAILED: {error}"
                    failures += 1
                print(f"{processor} {name}: {words}", flush=True)
    print(f"{passed} passed, {failures} failed")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
