"""Kernels of 256 values, as the paper stores frozen weights."""

import keras
import numpy as np
import pytest

from tinytl_tf.backbones.centroids import centroids, round_kernels

DRAWN = {
    "normal": np.random.default_rng(0).normal(size=(3, 3, 16, 64)).astype(np.float32),
    "heavy tails": np.random.default_rng(1).standard_t(3, size=9000).astype(np.float32),
    "two heaps": np.concatenate([np.random.default_rng(2).normal(m, 0.1, 4000) for m in (-1, 5)]).astype(np.float32),
}


def error(values, means):
    return float(np.mean(np.abs(values.reshape(-1, 1) - means).min(1) ** 2))


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("count", [4, 256])
def test_as_good_as_scikit_learn(name, count):
    cluster = pytest.importorskip("sklearn.cluster")
    values = DRAWN[name]
    theirs = cluster.KMeans(count, n_init=1, max_iter=20, random_state=0).fit(values.reshape(-1, 1)).cluster_centers_
    means = centroids(values, count)
    assert means.dtype == np.float32
    assert means.size <= count
    assert (np.diff(means) > 0).all()
    # Two of many minima that are alike; even steps from the least to the largest value give twice the error.
    assert error(values, means) <= 1.1 * error(values, theirs.reshape(-1))


def test_few_values_stay_as_they_are():
    values = np.float32([3, 1, 3, 2])
    np.testing.assert_array_equal(centroids(values, 256), [1, 2, 3])
    np.testing.assert_array_equal(centroids(np.zeros(7, np.float32), 2), [0])


def test_each_value_takes_its_nearest_centroid():
    variable = keras.Variable(DRAWN["normal"])
    round_kernels([variable], 16)
    means = centroids(DRAWN["normal"], 16)
    nearest = means[np.abs(DRAWN["normal"].reshape(-1, 1) - means).argmin(1)].reshape(DRAWN["normal"].shape)
    np.testing.assert_array_equal(variable.numpy(), nearest)
