"""Fixtures shared by all tests."""

import gc
import os
import pathlib

import pytest

from tests import made

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

SHARED = pathlib.Path(os.environ.get("TINYTL_SHARED", pathlib.Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared():
    """The folder of development data and weights beside the checkout (or $TINYTL_SHARED)."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the shared data folder beside the checkout, or TINYTL_SHARED")
    return SHARED


def pytest_collection_finish():
    """Spares the garbage collector what is there for good: TensorFlow alone is half a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def shared_files(tmp_path_factory):
    """Where the processes of a run share what `tests.made` makes."""
    folder = tmp_path_factory.getbasetemp()
    made.use((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "made")


@pytest.fixture(scope="session")
def coral_export():
    """The path of the `coral.json` of an export of the tiny network; see `tests.tiny_coral`."""
    from tests import tiny_coral

    return tiny_coral.coral_json(made.folder("coral", tiny_coral.export))
