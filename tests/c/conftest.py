import pathlib

import pytest

from tests.c import client

GOLDEN = client.ROOT / "golden"


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> pathlib.Path:
    """The folder of the programs, built with sanitizers."""
    if reason := client.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("c")
    client.build(folder)
    return folder


@pytest.fixture
def c(built):
    """A client in a process of its own."""
    with client.Client([built / "client"], client.find_library()) as process:
        yield process
