"""Builds the C client with sanitizers, and communicates with it through `client.c`."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES, TESTS = ROOT / "export" / "c", ROOT / "tests" / "c"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZERS = "address,undefined"
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


class Refused(Exception):
    """What the library answered; `status` without its prefix, and the text."""

    def __init__(self, status: str, text: str):
        super().__init__(f"{status} {text}")
        self.status, self.text = status.removeprefix("TINYTL_ERROR_"), text


def find_library() -> pathlib.Path | None:
    """The libLiteRt.so of the installed wheel."""
    import ai_edge_litert

    path = pathlib.Path(ai_edge_litert.__file__).with_name("libLiteRt.so")
    return path if path.exists() else None


def missing() -> str:
    """Says what the tests lack here; nothing where they can run."""
    if sys.platform != "linux":
        return "needs Linux"
    for tool in ("make", "cc"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    return "" if find_library() else "needs libLiteRt.so in the wheel of ai-edge-litert"


def build(folder: pathlib.Path, compiler: tuple[str, ...] = ("cc",), sanitize: str = SANITIZERS, **options) -> None:
    """Builds the library, `adapt` and the programs of the tests into a folder.

    Args:
        folder: Where to put them.
        compiler: The compiler and its own arguments.
        sanitize: What gcc's -fsanitize gets, or nothing.
        **options: For `subprocess.run`.
    """
    flags = [f"SANITIZE={sanitize}", "CFLAGS=-O1 -g"] if sanitize else []
    make = ["make", "-s", "-j2", "-C", str(SOURCES), f"BUILD={folder}", f"CC={' '.join(compiler)}"]
    _run(*make, *flags, **options)
    checks = [f"-fsanitize={sanitize}", "-fno-sanitize-recover=all"] if sanitize else []
    for name in ("client", "fuzz_state", "arguments", "order"):
        parts = [
            TESTS / f"{name}.c",
            *(folder / f"{part}.o" for part in ("image", "color", "plan")),
            folder / "libtinytl.a",
        ]
        command = [*compiler, "-std=c11", *WARNINGS, "-O1", "-g", *checks, f"-I{SOURCES}", *map(str, parts)]
        _run(*command, "-ldl", "-lm", "-lpthread", "-o", str(folder / name), **options)


def _run(*command: str, **options) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")


class Client:
    """A process of `client.c`. Use it as a context: at its end the process has to end well, without a leak.

    Args:
        command: What starts it.
        library: The libLiteRt.so to load.
    """

    def __init__(self, command: list[str | pathlib.Path], library: pathlib.Path):
        self.library = library
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            env=os.environ | ENVIRONMENT,
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            _, errors = self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        if kind is None and self._process.returncode:
            raise RuntimeError(f"client ended with {self._process.returncode}: {errors[-4000:]}")

    def ask(self, *words) -> list[str]:
        """Sends a command; returns the words of the answer.

        Raises:
            Refused: If the library refused.
            RuntimeError: If the process ended.
        """
        try:
            self._process.stdin.write(" ".join(map(str, words)) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            _, errors = self._process.communicate(timeout=60)
            raise RuntimeError(f"client ended at {words[0]}: {errors[-4000:]}")
        kind, _, rest = answer.rstrip("\n").partition(" ")
        if kind == "error":
            raise Refused(*rest.split(" ", 1))
        return rest.split(" ") if rest else []

    def add(self, name: str | bytes, model="a") -> int:
        """Adds a class; returns its label."""
        return int(self.ask("add", model, (name.encode() if isinstance(name, str) else name).hex())[0])

    def open(self, path, name="a", manifest="-", threads=0, xnnpack=0, library=None, trust=False) -> None:
        """Opens a model; `xnnpack` is a value of `tinytl_xnnpack`."""
        self.ask("open", name, path, library or self.library, manifest, threads, xnnpack, int(trust))
