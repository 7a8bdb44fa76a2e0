"""Frozen kernels of few distinct values, as the paper stores them: 8 bits a weight and a table of floats."""

import heapq
import math
from collections.abc import Iterable

import keras
import numpy as np

__all__ = ["centroids", "round_kernels"]

_ITERATIONS = 50


def centroids(values: np.ndarray, count: int) -> np.ndarray:
    """Returns the means of a k-means clustering of numbers, Lloyd's algorithm on one axis.

    It starts from clusters that were halved at their mean, the cluster with the largest error first.

    Args:
        values: float32, any shape.
        count: number of means; fewer are returned for fewer distinct values.

    Returns:
        Rising float32 `[<= count]`.

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
    """Replaces each value of a kernel by the nearest of its own centroids.

    Args:
        variables: kernels; each is one clustering.
        count: remaining distinct values in each.

    Reference:
        TinyTL, section 4.1, after Deep Compression (Han et al., 2016): 256 centroids, 8 bits a weight.
    """
    for variable in variables:
        values = variable.numpy()
        means = centroids(values, count)
        variable.assign(means[np.searchsorted((means[1:] + means[:-1]) / 2, values)])


def _halve(ordered: np.ndarray, sums: np.ndarray, count: int) -> np.ndarray:
    """Borders of the first clusters: positions in `ordered`, rising from 0 to its size."""
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
