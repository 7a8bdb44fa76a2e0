"""Frozen kernels with few distinct values, as the paper stores them: 8 bits per weight and a table of floats."""

import heapq
import math
from collections.abc import Iterable

import keras
import numpy as np

__all__ = ["centroids", "round_kernels"]

_ITERATIONS = 50


def centroids(values: np.ndarray, count: int) -> np.ndarray:
    """Returns the means of a k-means clustering of scalars, computed by Lloyd's algorithm.

    The initial clusters come from repeated halving: the cluster with the largest error is split at its mean.

    Args:
        values: float32 array of any shape.
        count: number of means; if there are fewer distinct values, fewer means are returned.

    Returns:
        Means in ascending order, float32 with at most `count` elements.

    Example:
        >>> centroids(np.float32([0, 0, 1, 5, 6, 7]), 2).tolist()
        [0.3333333432674408, 6.0]
    """
    ordered = np.sort(values, axis=None).astype(np.float64)
    distinct = np.unique(ordered)
    if distinct.size <= count:
        return distinct.astype(np.float32)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    borders = _halve(ordered, sums, count)
    for _ in range(_ITERATIONS):
        means = np.diff(sums[borders]) / np.diff(borders)
        inner = np.searchsorted(ordered, (means[1:] + means[:-1]) / 2)
        moved = np.unique([0, *inner, ordered.size])
        if np.array_equal(moved, borders):
            break
        borders = moved
    return means.astype(np.float32)


def round_kernels(variables: Iterable[keras.Variable], count: int) -> None:
    """Replaces each value of a kernel with the nearest centroid of that kernel.

    Args:
        variables: kernels; each is clustered separately.
        count: maximum number of distinct values left in each kernel.

    Reference:
        TinyTL, section 4.1, after Deep Compression (Han et al., 2016): 256 centroids, 8 bits per weight.
    """
    for variable in variables:
        values = variable.numpy()
        means = centroids(values, count)
        variable.assign(means[np.searchsorted((means[1:] + means[:-1]) / 2, values)])


def _halve(ordered: np.ndarray, sums: np.ndarray, count: int) -> np.ndarray:
    """Returns the borders of the initial clusters: positions in `ordered`, ascending from 0 to its size."""
    squares = np.concatenate([[0.0], np.cumsum(ordered**2)])

    def entry(start: int, end: int) -> tuple[float, int, int]:
        error = squares[end] - squares[start] - (sums[end] - sums[start]) ** 2 / (end - start)
        return -error if ordered[start] < ordered[end - 1] else math.inf, start, end

    heap = [entry(0, ordered.size)]
    while len(heap) < count:
        _, start, end = heapq.heappop(heap)
        mean = (sums[end] - sums[start]) / (end - start)
        middle = int(np.clip(np.searchsorted(ordered, mean), start + 1, end - 1))
        heapq.heappush(heap, entry(start, middle))
        heapq.heappush(heap, entry(middle, end))
    return np.array(sorted({0, *(end for _, _, end in heap)}))
