"""`crop` against plain slices."""

import pytest

from tests.ops.autodiff import assert_same, draw
from tinytl_tf import ops


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(
    ("shape", "box", "plain"),
    [
        ((2, 5, 6, 3), ((1, 2, 0), (3, 4, 3)), lambda x: x[:, 1:4, 2:]),
        ((2, 5, 6, 3), ((0, 0, 2), (5, 6, 1)), lambda x: x[..., 2:]),
        ((3, 7, 4), ((0, 0), (1, 4)), lambda x: x[:, :1]),
        ((3, 7), ((6,), (1,)), lambda x: x[:, -1:]),
    ],
)
def test_equals_autodiff(shape, box, plain, dtype, graph):
    assert_same(lambda x: ops.crop(x, *box), plain, [draw(shape, dtype, seed=0)], graph=graph)
