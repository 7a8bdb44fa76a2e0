"""Fixtures shared by all tests."""

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

SHARED = pathlib.Path(os.environ.get("TINYTL_SHARED", pathlib.Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared():
    """The folder of development data and weights beside the checkout (or $TINYTL_SHARED)."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the shared data folder beside the checkout, or TINYTL_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def coral_export(tmp_path_factory):
    """The path of the `coral.json` of an export of the tiny network; see `tests.tiny_coral`."""
    from tests import tiny_coral

    return tiny_coral.export(tmp_path_factory.mktemp("coral"))
