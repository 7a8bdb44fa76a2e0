"""The two tiny networks by name, and their data."""

import pytest

from tests import tiny_network
from tests.training import tiny
from tinytl_tf.backbones import ARCHITECTURES
from tinytl_tf.export.passes import quantize_kernels


@pytest.fixture(scope="package", autouse=True)
def backbone():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, tiny_network.ARCHITECTURE.name, tiny_network.ARCHITECTURE)
        patch.setitem(ARCHITECTURES, tiny.BACKBONE, tiny.architecture())
        patch.setattr(quantize_kernels, "SMALLEST", 16)  # their kernels are smaller than what is worth while
        yield


@pytest.fixture(scope="package")
def config(tmp_path_factory, backbone):
    path = tiny_network.write_photos(tmp_path_factory.mktemp("photos") / "photos.npz", 72)
    return tiny_network.config(path)


@pytest.fixture(scope="package")
def tiniest(tmp_path_factory, backbone):
    """The configuration of a network whose conversion takes a second or two."""
    return tiny.config(tiny.write_shapes(tmp_path_factory.mktemp("shapes") / "shapes.npz"))
