"""Exported files of the tiny network, each converted once for all tests."""

import dataclasses
import functools
import itertools

import pytest

from tests import made, tiny_network
from tinytl_tf.export.convert import convert
from tinytl_tf.export.passes import pass_names, run_passes
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.optimizers import OPTIMIZERS, get_optimizer
from tinytl_tf.profiles import PROFILES

LABEL_SMOOTHING = 0.1
# Every scheme of the paper, `sparse-update`, and every optimizer with both batch sizes; `tests/export/test_lora.py` has
# the others.
CASES = [
    ("last", "adam", 1),
    ("norm+last", "momentum", 8),
    ("full", "adam", 8),
    ("tinytl-b", "sgd", 1),
    ("tinytl-l", "momentum", 1),
    ("tinytl-lb", "sgd", 8),
    ("sparse-update", "adam", 1),
]
QUICK_CASES = [case for case in CASES if case[0] not in ("full", "tinytl-l", "sparse-update")]
GRID = list(itertools.product([case[0] for case in CASES], OPTIMIZERS, (1, 8)))
OTHER_CASES = [pytest.param(*case, marks=pytest.mark.slow) for case in GRID if case not in CASES]


def case_params(quick=QUICK_CASES, others=pytest.mark.thorough):
    """Parameters `(scheme, optimizer, batch_size)` of all cases: but for `quick` they are marked `others`, or slow."""
    return [
        *quick,
        *(pytest.param(*case, marks=others) for case in CASES if case not in quick),
        *OTHER_CASES,
    ]


# `CASES` where a parameter is a whole case.
WHOLE_CASES = [
    pytest.param(case, id="-".join(map(str, case)), marks=[] if case in QUICK_CASES else [pytest.mark.thorough])
    for case in CASES
]

# Profiles whose tiles are as small against the tiny network as the real ones against a real network.
TILE_BYTES = 16_000
SMALL_PROFILES = {
    name: dataclasses.replace(
        profile,
        tile_bytes=profile.tile_bytes and TILE_BYTES,
        infer_tile_bytes=profile.infer_tile_bytes and TILE_BYTES,
    )
    for name, profile in PROFILES.items()
}


@made.once
def converted_file(scheme, optimizer, batch_size, profile="balanced", save_optimizer=False):
    """A file before passes."""
    model = tiny_network.build(scheme)
    module = TrainableModule(
        model,
        model.trainable_variables,
        optimizer=get_optimizer(optimizer),
        batch_size=batch_size,
        label_smoothing=LABEL_SMOOTHING,
        save_optimizer=save_optimizer,
        profile=SMALL_PROFILES[profile],
    )
    return convert(module)


@made.once
def exported_file(*case, passes, **options):
    """The same after passes."""
    return run_passes(converted_file(*case, **options), passes)[0]


@pytest.fixture(scope="session")
def converted():
    """A function `(scheme, optimizer, batch_size, profile="balanced", save_optimizer=False)`: a file before passes."""
    return converted_file


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A function of the same arguments, and names of passes, that gives the path of a file.

    Without names they are those of the profile.
    """
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def path(*case, passes=None, **options):
        delegate = PROFILES[options.get("profile", "balanced")].xnnpack
        passes = pass_names(delegate=delegate) if passes is None else passes
        path = folder / f"{len(list(folder.iterdir()))}.tflite"
        path.write_bytes(exported_file(*case, passes=tuple(passes), **options))
        return path

    return path
