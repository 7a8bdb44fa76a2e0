import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import tiny
from tinytl_tf import data
from tinytl_tf.errors import InputError
from tinytl_tf.networks.schemes import SCHEMES, apply_scheme, get_scheme, rate_factor, with_rate_factors
from tinytl_tf.training import Experiment, make_optimizer, make_train_step


@pytest.fixture(scope="module")
def batch(shapes):
    return next(data.eval_batches(data.load(shapes).train, batch_size=tiny.BATCH_SIZE, image_size=tiny.SIDE))


def build(config, scheme="tinytl-lb", **backbone):
    config.scheme = scheme
    config.backbone.update(backbone)
    model, resolution = Experiment(config).build_model(len(tiny.CLASSES))
    tiny.open_branches(model)
    return model, resolution


def values(variables):
    return {variable.path: variable.numpy() for variable in variables}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_the_scheme_lists_is_trained_and_nothing_else(config, batch, scheme):
    model, resolution = build(config, scheme)
    step = make_train_step(model, resolution.variables, make_optimizer("adam"))
    before = values(model.weights)
    step(*batch, np.float32(0.1))
    changed = {path for path, value in values(model.weights).items() if (value != before[path]).any()}
    assert changed == {variable.path for variable in resolution.variables}


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_step_is_that_of_a_plain_tape(config, batch, label_smoothing):
    model, resolution = build(config, "full", dropout=0.0)
    images, labels = batch
    with tf.GradientTape() as tape:
        logits = model(images.astype(np.float32), training=True)
        targets = tf.one_hot(labels, len(tiny.CLASSES)) * (1 - label_smoothing) + label_smoothing / len(tiny.CLASSES)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))
    variables = [variable.value for variable in resolution.variables]
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, variables)]
    before = [variable.numpy() for variable in variables]

    step = make_train_step(model, resolution.variables, make_optimizer("sgd"), label_smoothing=label_smoothing)
    metrics = step(images, labels, np.float32(0.5))

    for variable, old, gradient in zip(variables, before, gradients, strict=True):
        np.testing.assert_allclose(variable.numpy(), old - 0.5 * gradient, rtol=1e-5, atol=1e-6)
    norm = np.sqrt(sum(np.sum(gradient**2) for gradient in gradients))
    assert norm > 0.01
    assert {key: float(value) for key, value in metrics.items()} == pytest.approx(
        {
            "loss": float(loss),
            "accuracy": np.mean(logits.numpy().argmax(1) == labels),
            "gradient_norm": norm,
        },
        rel=1e-4,
    )


def test_dropout_is_drawn_from_the_seed(config, batch):
    def losses(seed, **options):
        config.training.seed = seed
        model, resolution = build(config, "last", dropout=0.5)
        model.get_layer("classifier").kernel.assign(tf.ones([32, 3]) * [0.1, 0.2, 0.3])
        step = make_train_step(model, resolution.variables, make_optimizer("sgd"), **options)
        return [float(step(*batch, np.float32(0))["loss"]) for _ in range(3)]

    first = losses(0)
    assert len(set(first)) == 3
    assert losses(0) == first
    assert losses(1) != first
    assert len(set(losses(0, training=False))) == 1


def test_the_step_is_traced_once(config, batch):
    model, resolution = build(config, "last")
    step = make_train_step(model, resolution.variables, make_optimizer("sgd"))
    for rate in (0.1, 0.2, 0.3):
        step(*batch, np.float32(rate))
    assert step.experimental_get_tracing_count() == 1


def test_a_list_given_by_hand_is_trained(config, batch):
    model, _ = build(config, "full")
    bias = model.get_layer("classifier").bias
    apply_scheme(model.weights, get_scheme("last"))
    before = values(model.weights)
    make_train_step(model, [bias], keras.optimizers.SGD())(*batch, np.float32(0.1))
    assert [path for path, value in values(model.weights).items() if (value != before[path]).any()] == [bias.path]


def test_a_step_that_would_train_nothing_is_refused():
    model = keras.Sequential([keras.layers.Dense(3, name="classifier")])  # without its variables until it is called
    with pytest.raises(InputError, match="^expected variables to train, got none; build the model for its images "):
        make_train_step(model, model.trainable_variables, make_optimizer("sgd"))


def test_a_long_gradient_is_clipped_and_kernels_shrink(config, batch):
    changes, norms, before = [], [], None
    for options in ({}, {"clip_norm": 0.01}, {"clip_norm": 1e6}, {"weight_decay": 0.5}):
        model, resolution = build(config, "full", dropout=0.0)
        before = values(resolution.variables)
        step = make_train_step(model, resolution.variables, make_optimizer("sgd"), **options)
        norms.append(float(step(*batch, np.float32(0.1))["gradient_norm"]))
        changes.append({path: value - before[path] for path, value in values(resolution.variables).items()})
    plain, clipped, unclipped, decayed = changes
    length = np.sqrt(sum(np.vdot(change, change) for change in clipped.values()))
    assert length == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert norms[1] == pytest.approx(norms[0], rel=1e-5)
    for path, change in plain.items():
        np.testing.assert_allclose(unclipped[path], change, rtol=1e-4, atol=1e-7)
        shrunk = -0.1 * 0.5 * before[path] if before[path].ndim > 1 else 0.0
        np.testing.assert_allclose(decayed[path], change + shrunk, rtol=1e-3, atol=1e-6)


RATES = (("^stem/", 0.0), ("^block_1_", 0.1), ("gamma$", 3.0))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_each_variable_moves_at_its_own_rate(config, batch, optimizer):
    """As by an optimizer of Keras for each factor, at that multiple of the rate, on a plain tape."""
    model, _ = build(config, "full", dropout=0.0)
    start = values(model.weights)
    slow = apply_scheme(model.weights, with_rate_factors(get_scheme("full"), RATES)).variables
    groups = {factor: [v for v in slow if rate_factor(v) == factor] for factor in (0.1, 1.0, 3.0)}
    assert sum(map(len, groups.values())) == len(slow)
    assert all(groups.values())
    optimizers = {factor: make_optimizer(optimizer) for factor in groups}
    images, labels = batch
    for rate in (0.02, 0.01, 0.03):
        with tf.GradientTape() as tape:
            logits = model(images.astype(np.float32), training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = dict(zip([v.path for v in slow], tape.gradient(loss, [v.value for v in slow]), strict=True))
        for factor, group in groups.items():
            for kernel in [v for v in group if len(v.shape) > 1]:
                kernel.assign_sub(0.5 * rate * factor * kernel)
            optimizers[factor].learning_rate = rate * factor
            optimizers[factor].apply([gradients[v.path] for v in group], group)
    expected = values(model.weights)

    for variable in model.weights:
        variable.assign(start[variable.path])
    step = make_train_step(model, slow, make_optimizer(optimizer), weight_decay=0.5)
    for rate in (0.02, 0.01, 0.03):
        step(images, labels, np.float32(rate))
    for path, value in values(model.weights).items():
        np.testing.assert_allclose(value, expected[path], rtol=1e-4, atol=1e-5, err_msg=path)
        assert ("moving" in path or path.startswith("stem/")) == np.array_equal(value, start[path]), path


def test_a_step_without_factors_is_traced_as_before(config, batch):
    """The rate itself goes into the rule; nothing is multiplied by one."""
    graphs = []
    for rates in ((), (("", 1.0),), (("", 0.5),)):
        model, _ = build(config, "last", dropout=0.0)
        scheme = with_rate_factors(get_scheme("last"), rates)
        step = make_train_step(model, apply_scheme(model.weights, scheme).variables, make_optimizer("sgd"))
        graphs.append([op.type for op in step.get_concrete_function(*batch, np.float32(0.1)).graph.get_operations()])
    assert graphs[0] == graphs[1]
    assert len(graphs[2]) > len(graphs[0])
