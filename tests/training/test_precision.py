"""Steps in half precision are those of float32 within its rounding, and leave nothing but float32 behind."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import tiny
from tests.training.test_loop import assert_same_run, killed_at
from tinytl_tf import data
from tinytl_tf.errors import InputError
from tinytl_tf.experiment import PRECISIONS
from tinytl_tf.export.contract import check_model
from tinytl_tf.training import Experiment, RunFolder, loop, make_optimizer, make_train_step, train
from tinytl_tf.training import step as module
from tinytl_tf.training.precision import computing_in, require_precision

pytestmark = pytest.mark.thorough

HALVES = {"mixed_bfloat16": 2**-8, "mixed_float16": 2**-11}  # rounding of a number, relative


@pytest.fixture(scope="module")
def batch(shapes):
    return next(data.eval_batches(data.load(shapes).train, batch_size=tiny.BATCH_SIZE, image_size=tiny.SIDE))


def build(config, dropout=0.0):
    config.backbone.dropout = dropout
    model, resolution = Experiment(config).build_model(len(tiny.CLASSES))
    tiny.open_branches(model)
    return model, resolution.variables


def update(config, batch, precision, **options):
    """Metrics and update of one step of SGD at a rate of one, where the update is the gradient."""
    model, variables = build(config)
    before = np.concatenate([variable.numpy().ravel() for variable in variables])
    step = make_train_step(model, variables, make_optimizer("sgd"), precision=precision, **options)
    metrics = {key: float(value) for key, value in step(*batch, np.float32(1)).items()}
    return metrics, np.concatenate([variable.numpy().ravel() for variable in variables]) - before


# Without a norm at the end of a branch 41 roundings were measured, in both types.
@pytest.mark.parametrize(("branch_final_norm", "roundings"), [(True, 30), (False, 60)])
@pytest.mark.parametrize("precision", HALVES)
def test_a_step_is_that_of_float32_within_rounding(config, batch, precision, branch_final_norm, roundings):
    config.backbone.branch_final_norm = branch_final_norm
    (full, expected), (half, got) = (update(config, batch, name) for name in ("float32", precision))
    assert half["loss"] == pytest.approx(full["loss"], rel=4 * HALVES[precision])
    assert half["loss"] != full["loss"]
    assert half["gradient_norm"] == pytest.approx(full["gradient_norm"], rel=20 * HALVES[precision])
    assert np.linalg.norm(got - expected) <= roundings * HALVES[precision] * np.linalg.norm(expected)


def test_layers_compute_in_half_inside_of_the_block_alone(config):
    model, _ = build(config)
    inner = model.get_layer("block_1_lite_residual").norm
    for name, half in (("mixed_bfloat16", "bfloat16"), ("mixed_float16", "float16"), ("float32", "float32")):
        with contextlib.suppress(KeyError), computing_in(model, name):
            types = [
                model.get_layer(layer).compute_dtype for layer in ("normalize", "stem", "pool", "dropout", "classifier")
            ]
            assert [*types, inner.compute_dtype] == ["float32", half, half, "float32", "float32", half]
            assert model(tf.zeros([1, tiny.SIDE, tiny.SIDE, 3])).dtype == tf.float32
            raise KeyError
        assert {layer.dtype_policy.name for layer in [*model.layers, inner]} == {"float32"}


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_float16_cannot_hold_is_computed_again_in_float32(config, batch, monkeypatch, dropout):
    """With the same dropout, and the draws of later steps are those of a run in which nothing was computed again."""
    losses = {}
    for scale in (1.0, 1e30):
        monkeypatch.setattr(module, "LOSS_SCALE", scale)
        model, variables = build(config, dropout)
        step = make_train_step(model, variables, make_optimizer("sgd"), precision="mixed_float16")
        results = [step(*batch, np.float32(0.1)) for _ in range(2)]
        losses[scale] = [float(result["loss"]) for result in results]
        assert all(np.isfinite(float(result["gradient_norm"])) for result in results)
        if dropout:
            assert model.get_layer("dropout").seed_generator.state.numpy()[1] == 2
    model, variables = build(config, dropout)
    step = make_train_step(model, variables, make_optimizer("sgd"))
    losses["float32"] = [float(step(*batch, np.float32(0.1))["loss"]) for _ in range(2)]
    assert losses[1e30] == pytest.approx(losses["float32"], rel=1e-6)
    assert losses[1.0] == pytest.approx(losses["float32"], rel=1e-2)
    assert losses[1.0] != losses["float32"]


@pytest.fixture(scope="module")
def runs(shapes, tmp_path_factory):
    """A run in float32 and one in bfloat16."""
    folders = {}
    for precision in PRECISIONS[:2]:
        config = tiny.config(shapes)
        config.training.precision = precision
        folders[precision] = tmp_path_factory.mktemp(precision) / "run"
        train(config, str(folders[precision]))
    return folders


def test_a_run_in_bfloat16_learns_as_one_in_float32(runs):
    full, half = ([row["loss"] for row in RunFolder(runs[name]).read_log()] for name in PRECISIONS[:2])
    assert half == pytest.approx(full, rel=0.05)
    assert all(a != b for a, b in zip(half, full, strict=True))
    assert half[-1] < half[0] - 0.03


def test_its_checkpoints_are_those_of_float32_by_type(runs):
    full, half = (keras.models.load_model(runs[name] / "last.keras") for name in PRECISIONS[:2])
    assert half.get_config() == full.get_config()
    assert {v.dtype for v in half.variables} == {v.dtype for v in full.variables}
    assert [v.dtype for v in half.optimizer.variables] == [v.dtype for v in full.optimizer.variables]
    check_model(half)  # which an export begins with, and which refuses layers of another type


def test_a_killed_run_in_bfloat16_ends_like_another(runs, config, tmp_path):
    config.training.precision = "mixed_bfloat16"
    with killed_at(loop, "_train_part", 1):
        train(config, str(tmp_path))
    train(config, str(tmp_path), resume=True)
    assert_same_run(tmp_path, runs["mixed_bfloat16"])


def test_float16_without_a_gpu_is_refused_before_anything_is_written(config, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    config.training.precision = "mixed_float16"
    with pytest.raises(InputError) as error:
        train(config, str(tmp_path / "run"))
    assert str(error.value) == (
        "expected a GPU for config.training.precision 'mixed_float16', found none; choose 'mixed_bfloat16' or 'float32'"
    )
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    require_precision("mixed_float16")


def test_an_unknown_precision_is_refused(config):
    config.training.precision = "float16"
    with pytest.raises(InputError, match="^unknown precision 'float16'; choose one of float32, mixed_bfloat16, "):
        Experiment(config)
