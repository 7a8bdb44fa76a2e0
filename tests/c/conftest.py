import json
import pathlib
import shutil

import numpy as np
import pytest

from tests import made
from tests.c import client

GOLDEN = client.ROOT / "golden"


@pytest.fixture(scope="session")
def built() -> pathlib.Path:
    """The folder of the programs, built with sanitizers."""
    if reason := client.missing():
        pytest.skip(reason)
    return made.folder("c", client.build)


@pytest.fixture
def c(built):
    """A client in a process of its own."""
    with client.Client([built / "client"], client.find_library()) as process:
        yield process


@pytest.fixture
def photos(tmp_path) -> pathlib.Path:
    """A folder with the golden photos as the model sees them: four classes of three, raw and PPM files."""
    from tests.c.program import write_ppm

    folder = tmp_path / "photos"
    training = json.loads((GOLDEN / "training_float32.json").read_text("utf-8"))
    for index, photo in enumerate(training["photos"]):
        pixels = np.fromfile(GOLDEN / photo["pixels"], np.uint8).reshape(64, 64, 3)
        path = folder / photo["photo"].split("/")[0] / f"{index:02d}"
        if index % 2:
            write_ppm(path.with_suffix(".ppm"), pixels, "# of a camera\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".raw").write_bytes(pixels.tobytes())
    return folder


@pytest.fixture
def tested(tmp_path, photos) -> pathlib.Path:
    """A folder whose train/ has these photos, and whose test/ has copies of them."""
    folder = tmp_path / "tested"
    shutil.copytree(photos, folder / "train")
    shutil.copytree(photos, folder / "test")
    return folder
