"""Creates folders of photos, and runs the program `adapt` on them."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import numpy as np

from tests.c import client
from tests.c.conftest import GOLDEN

MODEL = GOLDEN / "model_float32.tflite"
NAMES = ("stripes", "disk", "cross", "leaf", "éclair")
# Without random changes, and with all of each image.
PLAIN = ("--nocrop", "--noflip", "--central_fraction=1")


def write_ppm(path: pathlib.Path, pixels: np.ndarray, comment: str = "") -> None:
    """Writes uint8 pixels [height, width, 3] as a PPM, and the folders that its path needs."""
    height, width, _ = pixels.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"P6\n{comment}{width} {height}\n255\n".encode() + pixels.tobytes())


def write_random(path: pathlib.Path, seed: int, size: tuple[int, int] = (70, 80)) -> bytes:
    """Writes a PPM of noise; returns the bytes of the file."""
    write_ppm(path, np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))
    return path.read_bytes()


def run(built: pathlib.Path, *arguments, library=True, **options) -> subprocess.CompletedProcess:
    """Runs `adapt` with arguments, and options of `subprocess.run`."""
    chosen = [f"--library={client.find_library()}"] if library else []
    command = [built / "adapt", *chosen, *map(str, arguments)]
    options = {"capture_output": True, "text": True, "timeout": 300} | options
    return subprocess.run(command, check=False, env=os.environ | client.ENVIRONMENT, **options)


def adapt(built: pathlib.Path, *arguments, status: int = 0) -> str:
    """Runs `adapt`; returns its output or, where it has to fail with a status, the last line of its errors."""
    done = run(built, *arguments)
    assert done.returncode == status, done.stderr[-4000:]
    if status:
        assert not re.search("Sanitizer|runtime error", done.stderr)
    return done.stdout if status == 0 else done.stderr.splitlines()[-1]


def accuracies(output: str) -> list[float]:
    """Accuracies before and after, in percent."""
    return [float(value) for value in re.findall(r"\naccuracy \w+: ([\d.]+) %", output)]


def copy_model(folder: pathlib.Path, name: str = "model_float32.tflite", **changes) -> pathlib.Path:
    """Copies a golden model with its manifest; `input` and `data` replace what is in these fields."""
    path = folder / name
    shutil.copy(GOLDEN / name, path)
    manifest = json.loads((GOLDEN / name).with_suffix(".manifest.json").read_text("utf-8"))
    for key, value in changes.items():
        manifest[key] = manifest[key] | value if isinstance(value, dict) else value
    path.with_suffix(".manifest.json").write_text(json.dumps(manifest))
    return path
