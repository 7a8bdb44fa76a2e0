import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_network
from tinytl_tf.errors import InputError
from tinytl_tf.planning import Probe, Target
from tinytl_tf.planning import probe as probe_module
from tinytl_tf.planning.plan import BIASES, KERNELS, LITE_RESIDUALS
from tinytl_tf.planning.probe import read_parts
from tinytl_tf.training import Experiment


@pytest.fixture(scope="module")
def dataset(config):
    return Experiment(config).load_data().train


@pytest.fixture(scope="module")
def probe(config, dataset):
    return Probe(config, dataset, 64)


def gradients(probe, config, batches):
    """Mean gradients of the trained variables by path, by TensorFlow's own operations and their native gradients."""
    plain = tiny_network.PlainTraining(probe.model, "sgd", config.training.label_smoothing)
    smoothing, classes = config.training.label_smoothing, len(tiny_network.LABELS)
    with tf.GradientTape() as tape:
        losses = []
        for images, labels in batches:
            target = tf.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
            logits = plain._logits(tf.cast(images, tf.float32))
            losses.append(tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits)))
        loss = tf.add_n(losses) / len(losses)
    values = tape.gradient(loss, [variable.value for variable in plain.trained])
    return float(loss), dict(zip(plain.paths, values, strict=True))


def test_contributions_are_those_of_autodiff(config, dataset, probe):
    _, left, held_out = read_parts(dataset, 64, 0.875)
    (_, a), (loss, _) = gradients(probe, config, left), gradients(probe, config, held_out)
    expected = dict.fromkeys(probe.contributions, 0.0)
    for path in a:
        place = path.split("/")[0].replace("_lite_residual", "")
        for part in ("_expand", "_depthwise", "_project"):
            place = place.removesuffix(part)
        if place != "classifier":
            kind = LITE_RESIDUALS if "_lite_residual/" in path else KERNELS if path.endswith("/kernel") else BIASES
            for share in (1, 1 / 2, 1 / 4, 1 / 8) if kind == KERNELS else (1,):
                first = a[path].shape[-1] * share
                if Target(kind, place, share) in expected:
                    expected[Target(kind, place, share)] += float(np.sum(np.abs(a[path][..., : int(first)])))
                else:
                    assert first % 1
    assert probe.loss == pytest.approx(loss, rel=1e-5)
    assert probe.contributions == pytest.approx(expected, rel=1e-2)
    assert all(expected.values())


def test_the_parts_have_no_image_in_common(dataset):
    parts = read_parts(dataset, 64, 0.875)
    images = [image.tobytes() for part in parts for batch, _ in part for image in batch]
    assert len(images) == len(set(images)) == len(dataset) // 8 * 8
    assert [len(part) for part in parts] == [2, 2, 2]


def test_a_part_has_up_to_288_images(dataset, monkeypatch):
    class Large(type(dataset)):
        def __init__(self):
            self.name = "large"

        def __len__(self):
            return 2000

    batch = (np.zeros((8, 4, 4, 3), np.uint8), np.zeros(8, np.int32))
    monkeypatch.setattr(probe_module.data, "train_batches", lambda *_, batch_size, **__: 2000 // batch_size * [batch])
    parts = read_parts(Large(), 4, 0.875)
    assert [sum(len(images) for images, _ in part) for part in parts] == [288, 288, 288]


def test_the_short_training_sees_two_parts_twice_and_slows_down(config, dataset, probe, monkeypatch):
    first, second, held_out = read_parts(dataset, 64, 0.875)
    seen, rates = [], []

    def step(images, labels, rate):
        seen.append(images.tobytes())
        rates.append(float(rate))

    monkeypatch.setattr(probe_module, "make_train_step", lambda *_, **__: step)
    probe.loss_after_training({Target(KERNELS, "head")})
    assert seen == 2 * [images.tobytes() for images, _ in first + second]
    assert rates == pytest.approx([3e-4 / 2 * (1 + np.cos(np.pi * index / 8)) for index in range(8)])


@pytest.mark.thorough
def test_training_more_lowers_the_loss_more_and_leaves_the_model(config, dataset, monkeypatch):
    """Judged on the images it trains on: what a random network learns of a dozen others is chance."""
    parts = read_parts(dataset, 64, 0.875)
    monkeypatch.setattr(probe_module, "read_parts", lambda *_: [parts[0], parts[1], parts[1]])
    config = config.copy_and_resolve_references()
    config.training.learning_rate = 3e-3  # the schemes of the two plans have different rates
    probe = Probe(config, dataset, 64)
    before = [variable.numpy() for variable in probe.model.weights]
    head, everything = probe.loss_after_training(()), probe.loss_after_training(set(probe.contributions))
    assert everything < head
    for variable, value in zip(probe.model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_too_few_images_are_told(config, dataset):
    with pytest.raises(InputError) as error:
        Probe(config, dataset.subset(np.arange(2)), 64)
    assert str(error.value) == f"a plan needs at least 3 training images, got 2 of {dataset.name}"


@pytest.mark.thorough
def test_what_learns_at_another_rate_contributes_by_its_factor(config, dataset, probe):
    config = config.copy_and_resolve_references()
    config.training.rate_factors = (("_lite_residual/", 0.1), ("^head/", 2))
    factors = {t: 2.0 for t in probe.contributions if t.place == "head"}
    factors |= {t: 0.1 for t in probe.contributions if t.kind == LITE_RESIDUALS}
    expected = {target: value * factors.get(target, 1.0) for target, value in probe.contributions.items()}
    assert Probe(config, dataset, 64).contributions == pytest.approx(expected, rel=1e-4)
