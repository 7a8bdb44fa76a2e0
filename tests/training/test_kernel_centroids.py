"""`backbone.kernel_centroids`: a run whose frozen kernels have few values."""

import numpy as np
import pytest

from tinytl_tf.errors import InputError
from tinytl_tf.training import Experiment, RunFolder, train


def values(model):
    return {v.path: np.unique(v.numpy()).size for v in model.weights if len(v.shape) == 4}


def test_frozen_kernels_alone_are_rounded(config, tmp_path):
    config.scheme, config.training.epochs = "tinytl-lb", 1
    before = values(Experiment(config).build_model(3)[0])
    config.backbone.kernel_centroids = 8
    start = values(Experiment(config).build_model(3)[0])
    train(config, str(tmp_path))
    for after in (start, values(RunFolder(tmp_path).load("last"))):
        assert after.keys() == before.keys()
        for path, count in after.items():
            if "_lite_residual/" not in path:
                assert count <= 8 < before[path], path
            else:  # is trained; the last kernel of a branch has one value before that
                assert count > 8 or before[path] == count == 1, path


def test_a_scheme_that_freezes_nothing_is_refused(config):
    config.scheme, config.backbone.kernel_centroids = "full", 256
    with pytest.raises(
        InputError, match="^config.backbone.kernel_centroids rounds frozen kernels, and scheme 'full' h"
    ):
        Experiment(config)


@pytest.mark.parametrize("count", [-1, 1, 2**16 + 1])
def test_counts_that_make_no_sense_are_refused(config, count):
    config.backbone.kernel_centroids = count
    with pytest.raises(InputError, match=r"^config.backbone.kernel_centroids must be 0, or from 2 to 65536, got "):
        Experiment(config)
