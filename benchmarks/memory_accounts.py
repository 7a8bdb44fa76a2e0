"""Compares the planned and the measured growth of a process, without a delegate, for exported files.

Command:
    python benchmarks/memory_accounts.py FILE.tflite FOLDER ...

Prints a row for each file: the parts of the planned growth in MB (10^6 bytes), their sum, the growth of a fresh process
that runs the signature, the error of the plan, and whether the error is within 10 % or 2 MB. Linux only.
"""

import pathlib

from absl import app, flags

from tinytl_tf.memory import measure, planned_growth
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.runtime import THREADS

_SIGNATURE = flags.DEFINE_string("signature", "train", "The signature to run.")
_THREADS = flags.DEFINE_integer("threads", THREADS, "Threads of the interpreter.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 2, "Steps after the first step.", lower_bound=1)
PARTS = ("arena", "heap", "variables", "file", "structures", "runtime", "work")
RELATIVE, ABSOLUTE = 0.1, 2e6  # error bounds: relative to the measured growth, and in bytes


def find_files(arguments: list[str]) -> list[pathlib.Path]:
    """Returns the given files, and the files with the signature in the given folders."""
    found = []
    for path in map(pathlib.Path, arguments):
        inside = sorted(path.glob("*.tflite")) if path.is_dir() else []
        found += [file for file in inside if _SIGNATURE.value in Model.read(file).signatures] if inside else [path]
    return found


def compare(path: pathlib.Path) -> tuple[dict[str, int], int]:
    """Returns the parts of the planned growth and the measured growth, in bytes."""
    options = {"num_threads": _THREADS.value}
    plan = planned_growth(Model.read(path), _SIGNATURE.value, file_bytes=path.stat().st_size, **options)
    measured = measure(path, _SIGNATURE.value, steps=_STEPS.value, xnnpack=False, **options)
    return plan.parts, measured.growth_bytes


def main(argv: list[str]) -> None:
    """Prints the table."""
    paths = find_files(argv[1:])
    if not paths:
        raise app.UsageError("expected .tflite files or folders that hold some")
    width = max(len(path.name) for path in paths)
    titles = [f"{title:>10s}" for title in (*PARTS, "planned", "measured", "error", "error %", "within")]
    print(f"{'file':<{width}}", *titles)
    within = 0
    for path in paths:
        parts, measured = compare(path)
        error = sum(parts.values()) - measured
        fits = abs(error) <= max(ABSOLUTE, RELATIVE * measured)
        within += fits
        sizes = [parts[name] for name in PARTS] + [sum(parts.values()), measured, error]
        cells = [*(f"{size / 1e6:.2f}" for size in sizes), f"{100 * error / measured:.1f}", "yes" if fits else "no"]
        print(f"{path.name:<{width}}", *(f"{cell:>10s}" for cell in cells), flush=True)
    print(f"{within} of {len(paths)} within {RELATIVE:.0%} or {ABSOLUTE / 1e6:.0f} MB")


if __name__ == "__main__":
    app.run(main)
