"""Rounding of channel counts."""

__all__ = ["WIDTH_STEP", "make_divisible"]

WIDTH_STEP = 8


def make_divisible(channels: float, divisor: int = WIDTH_STEP) -> int:
    """Rounds to a multiple of `divisor`; the result is at least `divisor` and never more than 10% below `channels`.

    Reference:
        Rounding rule of the MobileNet family, used for widths other than 1 and for lite residuals.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
