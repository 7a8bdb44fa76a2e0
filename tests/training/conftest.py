"""The tiny network and its data."""

import pytest

from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    return tiny.write_shapes(tmp_path_factory.mktemp("shapes") / "shapes.npz")


@pytest.fixture(scope="package", autouse=True)
def backbone():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
        yield


@pytest.fixture
def config(shapes):
    return tiny.config(shapes)
