"""Exported files of the tiny network, each converted once for all tests."""

import functools
import itertools

import pytest

from tests import tiny_network
from tinytl_tf.export.convert import convert
from tinytl_tf.export.passes import run_passes
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.export.update_rules import UPDATE_RULES, get_update_rule
from tinytl_tf.schemes import SCHEMES

LABEL_SMOOTHING = 0.1
# Every scheme, and every optimizer with both batch sizes.
CASES = [
    ("last", "adam", 1),
    ("norm+last", "momentum", 8),
    ("full", "adam", 8),
    ("tinytl-b", "sgd", 1),
    ("tinytl-l", "momentum", 1),
    ("tinytl-lb", "sgd", 8),
]
GRID = list(itertools.product(SCHEMES, UPDATE_RULES, (1, 8)))
OTHER_CASES = [pytest.param(*case, marks=pytest.mark.slow) for case in GRID if case not in CASES]


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A function `(scheme, optimizer, batch_size, save_optimizer=False)` that gives the path of a converted file."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def path(scheme, optimizer, batch_size, save_optimizer=False):
        model = tiny_network.build(scheme)
        module = TrainableModule(
            model,
            model.trainable_variables,
            update_rule=get_update_rule(optimizer),
            batch_size=batch_size,
            label_smoothing=LABEL_SMOOTHING,
            save_optimizer=save_optimizer,
        )
        path = folder / f"{scheme}-{optimizer}-{batch_size}-{save_optimizer}.tflite"
        path.write_bytes(run_passes(convert(module))[0])
        return path

    return path
