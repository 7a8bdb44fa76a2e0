"""Numbers of channels."""

import pytest

from tinytl_tf.networks.channels import make_divisible


@pytest.mark.parametrize(
    ("channels", "rounded"),
    # 11 rounds to 8, which is less than 90 % of it; 72.0 / 80 is exactly 90 % and stays.
    [(1, 8), (8, 8), (11, 16), (12, 16), (11.2, 16), (19, 24), (20, 24), (36, 40), (67, 64), (80, 80), (1664.0, 1664)],
)
def test_rounds_to_a_multiple_of_8_and_little_down(channels, rounded):
    assert make_divisible(channels) == rounded


@pytest.mark.parametrize("divisor", [4, 8, 16])
def test_holds_its_promises_for_all_numbers(divisor):
    for tenths in range(1, 20_000):
        channels = tenths / 10
        rounded = make_divisible(channels, divisor)
        assert isinstance(rounded, int)
        assert rounded % divisor == 0
        assert max(divisor, 0.9 * channels) <= rounded <= max(divisor, channels + divisor)
