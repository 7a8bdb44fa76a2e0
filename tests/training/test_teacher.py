"""Distillation: what the teacher sees, what the loss is, and what is refused."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import tiny
from tests.training.test_loop import assert_same_run, killed_at
from tinytl_tf import backbones, data
from tinytl_tf.backbones.branch_weights import read_branch_card
from tinytl_tf.cli import runner
from tinytl_tf.errors import InputError
from tinytl_tf.training import Experiment, RunFolder, make_optimizer, make_train_step, pretrain, train
from tinytl_tf.training.teacher import Teacher, feature_distance, with_features

pytestmark = pytest.mark.thorough

SCALE, SHARE = 2, 0.25


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights: those of a teacher are never random."""

    return str(tiny.write_weights(tmp_path_factory.mktemp("weights") / "tiny.weights.h5"))


@pytest.fixture
def config(config, weights):
    config.backbone.weights, config.backbone.dropout = weights, 0.0
    config.training.distillation, config.training.teacher_scale = SHARE, SCALE
    return config


@pytest.fixture(scope="module")
def batch(shapes):
    splits = data.load(shapes)
    return next(data.eval_batches(splits.train, batch_size=tiny.BATCH_SIZE, image_size=SCALE * tiny.SIDE))


def build(config):
    experiment = Experiment(config)
    model, resolution = experiment.build_model(len(tiny.CLASSES))
    tiny.open_branches(model)
    teacher = Teacher(experiment.build_teacher(), SCALE, config.training.distillation)
    return model, resolution.variables, teacher


def pool(model, images):
    return keras.Model(model.input, model.get_layer("pool").output)(images, training=True)


def means_of_squares(images):
    height, width = (side // SCALE for side in images.shape[1:3])
    return images.reshape(len(images), height, SCALE, width, SCALE, 3).mean((2, 4), np.float64).astype(np.float32)


@pytest.mark.parametrize("share", [SHARE, 1.0])
def test_a_step_is_that_of_a_plain_tape(config, batch, share):
    config.training.distillation = share
    model, variables, teacher = build(config)
    images, labels = batch
    target = pool(teacher.network, images.astype(np.float32)).numpy()
    with tf.GradientTape() as tape:
        small = means_of_squares(images)
        labeled = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(small, training=True)))
        gaps = tf.reduce_sum((pool(model, small) - target) ** 2, 1) / np.sum(target**2, 1)
        distance = tf.reduce_mean(gaps)
        loss = (1 - share) * labeled + share * distance
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, [variable.value for variable in variables])]
    before = [variable.numpy() for variable in variables]
    step = make_train_step(model, variables, make_optimizer("sgd"), teacher=teacher)
    metrics = step(images, labels, np.float32(0.5))
    assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-5)
    assert float(metrics["feature_distance"]) == pytest.approx(float(distance), rel=1e-5)
    assert float(distance) > 0.01
    for variable, old, gradient in zip(variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable.numpy(), old - 0.5 * gradient, rtol=1e-4, atol=1e-6)


def test_the_teacher_is_not_changed_and_the_features_come_nearer(config, batch):
    config.training.distillation = 1.0
    model, variables, teacher = build(config)
    before = [weight.numpy() for weight in teacher.network.weights]
    step = make_train_step(model, variables, make_optimizer("adam"), teacher=teacher)
    distances = [float(step(*batch, np.float32(0.01))["feature_distance"]) for _ in range(20)]
    assert distances[-1] < distances[0] / 2
    for weight, old in zip(teacher.network.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_labels_have_no_influence_at_a_share_of_one(config, batch):
    config.training.distillation = 1.0
    images, labels = batch
    results = []
    for wrong in (0, 1):
        model, variables, teacher = build(config)
        step = make_train_step(model, variables, make_optimizer("adam"), teacher=teacher)
        step(images, (labels + wrong) % len(tiny.CLASSES), np.float32(0.01))
        results.append([variable.numpy() for variable in variables])
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_teacher_has_the_weights_of_the_configuration_and_no_branches(config, weights):
    teacher = Experiment(config).build_teacher()
    assert teacher.input_shape == (None, SCALE * tiny.SIDE, SCALE * tiny.SIDE, 3)
    assert not any("_lite_residual/" in weight.path for weight in teacher.weights)
    expected = backbones.build(tiny.BACKBONE, classes=2, resolution=tiny.SIDE, weights=weights)
    for weight, other in zip(teacher.weights[:-2], expected.weights[:-2], strict=True):
        np.testing.assert_array_equal(weight.numpy(), other.numpy())


def test_a_branch_that_starts_as_zero_is_at_the_frozen_network(config, batch):
    model, _ = Experiment(config).build_model(len(tiny.CLASSES))
    images = means_of_squares(batch[0])
    frozen = backbones.build(tiny.BACKBONE, classes=2, resolution=tiny.SIDE, weights=config.backbone.weights)
    features, logits = with_features(model)(images)
    np.testing.assert_array_equal(logits, model(images))
    np.testing.assert_allclose(feature_distance(features, with_features(frozen)(images)[0]), 0, atol=1e-10)


def test_steps_in_half_precision_have_a_teacher_too(config, batch):
    distances = {}
    for precision in ("float32", "mixed_bfloat16"):
        model, variables, teacher = build(config)
        step = make_train_step(model, variables, make_optimizer("sgd"), teacher=teacher, precision=precision)
        distances[precision] = float(step(*batch, np.float32(0.01))["feature_distance"])
    assert distances["mixed_bfloat16"] != distances["float32"]
    assert distances["mixed_bfloat16"] == pytest.approx(distances["float32"], rel=0.05)


def test_a_run_logs_the_distance_and_goes_on_after_a_kill(config, tmp_path):
    train(config, str(tmp_path / "whole"))
    rows = RunFolder(tmp_path / "whole").read_log()
    assert [row["feature_distance"] > 0 for row in rows] == [True] * config.training.epochs
    with killed_at(RunFolder, "save", 3):
        train(config, str(tmp_path / "killed"))
    train(config, str(tmp_path / "killed"), resume=True)
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_branches_that_saw_no_labels_say_so(config, tmp_path):
    config.scheme, config.training.epochs = "tinytl-l", 1
    for share, worth in ((SHARE, "of its 9 test images"), (1.0, "by the frozen network at a higher resolution, with")):
        config.training.distillation = share
        pretrain(config, str(tmp_path / str(share)))
        card = read_branch_card(str(tmp_path / str(share) / "branches.npz"), tiny.BACKBONE, 1.0)
        assert worth in str(card)


def test_the_command_tells_the_distance_where_no_labels_are_used(shapes, weights, tmp_path, capsys):
    settings = {"distillation": 1.0, "teacher_scale": SCALE, "epochs": 1}
    argv = tiny.argv(shapes, backbone={"weights": weights}, training=settings)
    assert runner.run_command("pretrain", [*argv, "--config.scheme=tinytl-l", f"--workdir={tmp_path}/run"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"\ndistance from the teacher's features \d+\.\d{3} in the last epoch\n", told)
    assert "test accuracy on the source" not in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.distillation": 1.5}, "config.training.distillation must be from 0 to 1, got 1.5"),
        ({"training.distillation": 0.0}, "expected config.training.distillation and teacher_scale both above 0 or"),
        ({"training.teacher_scale": 0}, "expected config.training.distillation and teacher_scale both above 0 or"),
        ({"training.teacher_scale": 65}, "config.training.teacher_scale must be from 0 to 64, got 65"),
        ({"backbone.weights": ""}, "config.training.distillation takes the frozen network as the teacher, and config."),
        (
            {"training.cache_features": True, "augmentation.crop": False},
            "config.training.distillation needs whole images and config.training.cache_features keeps features; ",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_taught_is_refused(config, changes, message):
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=f"^{message}"):
        Experiment(config)
