import io
import sys

import numpy as np
import pytest
from PIL import Image

from tests import tiny_models
from tinytl_tf.errors import InputError
from tinytl_tf.memory import plan_timeline, planned_peak
from tinytl_tf.memory.picture import draw_timeline
from tinytl_tf.tflite.model import Model


@pytest.fixture(scope="module")
def arguments():
    model = Model.from_bytes(tiny_models.build_loop())
    return plan_timeline(model), planned_peak(model).peak_bytes


def test_every_group_is_drawn(arguments):
    moments, peak = arguments
    pixels = np.asarray(Image.open(io.BytesIO(draw_timeline(moments, title="a loop", peak_bytes=peak))).convert("RGB"))
    assert pixels.shape[0] < pixels.shape[1]
    colors = {tuple(color) for color in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}
    assert {(31, 119, 180), (214, 39, 40), (255, 127, 14), (44, 160, 44), (127, 127, 127)} <= colors


def test_without_matplotlib(arguments, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError) as error:
        draw_timeline(arguments[0], title="", peak_bytes=1)
    assert str(error.value) == "the picture needs matplotlib; pip install 'tinytl_tf[plots]'"
