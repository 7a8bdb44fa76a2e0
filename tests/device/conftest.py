"""Fixtures with files of the tiny model."""

import pytest

from tests import tiny_tflite
from tinytl_tf.tflite.runtime import APIS


@pytest.fixture
def model_path(tmp_path):
    """The tiny model without a `reset` signature and without a manifest."""
    path = tmp_path / "model.tflite"
    path.write_bytes(tiny_tflite.build())
    return path


@pytest.fixture(params=APIS)
def api(request):
    """Each of LiteRT's interfaces."""
    return request.param
