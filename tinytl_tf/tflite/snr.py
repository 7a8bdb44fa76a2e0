"""Signal-to-noise ratio of integer outputs against float outputs."""

import math

import numpy as np

__all__ = ["snr_db"]


def snr_db(expected: np.ndarray, got: np.ndarray) -> float:
    """Returns the signal-to-noise ratio in decibels: 10 log10 of the sum of squares over the sum of squared errors.

    Args:
        expected: Float outputs, of any shape.
        got: Outputs of the same shape; their difference is the noise.

    Example:
        >>> snr_db(np.array([10.0, 10.0]), np.array([11.0, 9.0]))
        20.0
    """
    signal = float(np.sum(np.square(expected, dtype=np.float64)))
    noise = float(np.sum(np.square(np.asarray(expected, np.float64) - got)))
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
