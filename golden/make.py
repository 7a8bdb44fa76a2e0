"""Makes the golden files, which every client of an exported model is tested against; see README.md.

Command:
    python golden/make.py [--output=DIR]
"""

import argparse
import json
import pathlib
import re
from typing import Any

import make_array
import make_eager
import make_model
import make_names
import make_photos
import make_pixels
import make_plan
import make_settings
import make_spare
import make_states
import make_training
import numpy as np
from make_photos import PHOTOS

FOLDER = pathlib.Path(__file__).parent
KERNELS = ("float32", "int8")


def make(folder: pathlib.Path) -> None:
    """Writes all golden files into a folder."""
    contents = {photo.path: make_photos.encode(photo) for photo in PHOTOS}
    for path, content in contents.items():
        (folder / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "photos" / path).write_bytes(content)
    make_pixels.write(folder, contents)
    write_json(folder / "pixels.json", make_pixels.describe())
    pixels = read_pixels(folder)
    model = make_model.build(pixels)
    epoch = make_training.plan()[: len(PHOTOS) // make_model.BATCH_SIZE]
    batches = pixels[[step["photos"] for step in epoch]], np.array([step["labels"] for step in epoch], np.int32)
    for kernels in KERNELS:
        make_model.write(folder / f"model_{kernels}.tflite", model, batches, frozen_weights=kernels)
        training = make_training.write(folder, kernels, pixels)
        if kernels == "float32":
            training = make_training.add_eager(training, make_eager.train(model, pixels))
        write_json(folder / f"training_{kernels}.json", training)
    make_model.write(folder / make_spare.MODEL, model, batches, spare_classes=make_spare.SPARE)
    write_json(folder / "spare.json", make_spare.write(folder, pixels))
    make_settings.write_model(folder, model)
    write_json(folder / "settings.json", make_settings.describe(folder))
    write_json(folder / "plan.json", make_plan.describe())
    write_json(folder / "names.json", make_names.describe())
    write_arrays(folder)
    write_json(folder / "states.json", make_states.write(folder))


def write_arrays(folder: pathlib.Path) -> None:
    """Writes the golden files of arrays into a folder: they need no other, and no other needs them."""
    (folder / make_array.ARRAYS).write_bytes(make_array.arrays().astype("<f4").tobytes())
    for kind in make_array.KINDS:
        write_json(folder / f"{kind.name}.json", make_array.write(folder, kind))


def read_pixels(folder: pathlib.Path) -> np.ndarray:
    """Returns the photos as the model sees them, uint8 `[n, SIZE, SIZE, 3]`."""
    size = make_model.SIZE
    content = b"".join((folder / make_pixels.pixels_file(photo)).read_bytes() for photo in PHOTOS)
    return np.frombuffer(content, np.uint8).reshape(len(PHOTOS), size, size, 3)


def write_json(path: pathlib.Path, values: dict[str, Any]) -> None:
    """Writes JSON with each list of numbers on one line."""
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    text = re.sub(r"\[([^\[\]{}\"]*)\]", lambda match: f"[{' '.join(match[1].split())}]", text)
    path.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=FOLDER, help="folder of the files")
    folder = parser.parse_args().output
    make(folder)
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    print(f"{folder}: {total:,} bytes")


if __name__ == "__main__":
    main()
