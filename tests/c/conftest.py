import pathlib

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
