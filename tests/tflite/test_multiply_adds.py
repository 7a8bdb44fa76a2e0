from types import SimpleNamespace

import pytest

from tests import tiny_models
from tinytl_tf.errors import InputError
from tinytl_tf.tflite.model import Model
from tinytl_tf.tflite.multiply_adds import _of_operator, multiply_adds


@pytest.fixture(scope="module")
def small():
    return Model.from_bytes(tiny_models.build())


def test_convolution_transposed_convolution_and_product(small):
    pixels, filters = tiny_models.SIZE**2, tiny_models.FILTERS
    convolution = pixels * 3 * 3 * tiny_models.CHANNELS * filters
    assert multiply_adds(small, "infer") == 2 * convolution + filters**2 * pixels


def test_a_loop_over_the_images_counts_one_image(small):
    assert multiply_adds(small, "train") == tiny_models.SIZE**2 * 3 * 3 * tiny_models.CHANNELS * tiny_models.FILTERS
    assert multiply_adds(small, "nothing") == 0


@pytest.mark.parametrize(
    ("name", "shapes", "output", "expected"),
    [
        ("DEPTHWISE_CONV_2D", [(1, 8, 8, 6), (1, 5, 3, 6), (6,)], (1, 4, 4, 6), 4 * 4 * 6 * 5 * 3),
        ("FULLY_CONNECTED", [(1, 12), (7, 12)], (1, 7), 7 * 12),
        ("ADD", [(1, 12), (1, 12)], (1, 12), 0),
    ],
)
def test_other_operators(name, shapes, output, expected):
    tensors = [SimpleNamespace(shape=shape) for shape in (*shapes, output)]
    graph = SimpleNamespace(tensors=tensors)
    # -1 is an omitted bias.
    operator = SimpleNamespace(name=name, inputs=(*range(len(shapes)), -1), outputs=(len(shapes),))
    assert _of_operator(graph, operator) == expected


def test_another_signature(small):
    with pytest.raises(InputError, match="expected one of the signatures of the file"):
        multiply_adds(small, "fit")
