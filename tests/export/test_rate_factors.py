"""Exported files train each variable at its own multiple of the rate, as Keras' optimizers do at that rate."""

import collections
import dataclasses
import itertools
import pathlib

import numpy as np
import pytest

from tests import tiny_network
from tests.export.conftest import LABEL_SMOOTHING, SMALL_PROFILES
from tests.export.test_training import relative
from tinytl_tf.device import MicroModel, TrainableModel
from tinytl_tf.errors import ParityError
from tinytl_tf.export import export
from tinytl_tf.export.build import build_file
from tinytl_tf.export.parity import check_parity
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.export.spare_classes import with_spare_classes
from tinytl_tf.networks.schemes import apply_scheme, get_scheme, rate_factor, with_rate_factors
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.training import make_optimizer

STEPS = 6
RATES = {"sgd": 0.01, "momentum": 1e-3, "adam": 2e-4}
SCHEMES = {"sgd": "tinytl-b", "momentum": "tinytl-b", "adam": "tinytl-lb"}
FACTORS = (("gamma$|^head/", 4.0), ("_lite_residual/|^block_1_", 0.25), ("^classifier/bias", 0.0))


def build(factors, scheme):
    model = tiny_network.build(scheme)
    apply_scheme(model.weights, with_rate_factors(get_scheme(scheme), factors))
    return model


def write(model, path, optimizer, batch_size=4):
    module = TrainableModule(
        model,
        model.trainable_variables,
        optimizer=get_optimizer(optimizer),
        batch_size=batch_size,
        label_smoothing=LABEL_SMOOTHING,
        profile=SMALL_PROFILES["balanced"],
    )
    path.write_bytes(build_file(module)[0])
    return path


class PlainTraining(tiny_network.PlainTraining):
    """TensorFlow's own operations, with an optimizer of Keras for each factor at that multiple of the rate."""

    def __init__(self, model, optimizer):
        super().__init__(model, optimizer, LABEL_SMOOTHING)
        factors = {variable.path: rate_factor(variable) for variable in model.trainable_variables}
        self._factors = [factors[path] for path in self.paths]
        self._optimizers = {factor: make_optimizer(optimizer) for factor in set(self._factors)}
        self._optimizer = self  # `step` asks it for an update
        self.learning_rate = self

    def assign(self, rate):
        for factor, optimizer in self._optimizers.items():
            optimizer.learning_rate.assign(rate * factor)

    def apply(self, gradients):
        for factor, optimizer in self._optimizers.items():
            chosen = [index for index, own in enumerate(self._factors) if own == factor]
            optimizer.apply([gradients[index] for index in chosen], [self.trained[index] for index in chosen])


@dataclasses.dataclass(frozen=True)
class Case:
    """A file with factors, and what plain TensorFlow makes of the same steps."""

    path: pathlib.Path
    scheme: str
    optimizer: str
    start: np.ndarray
    losses: list[float]
    end: np.ndarray


BATCHES = list(zip(*tiny_network.photos(STEPS, 4), strict=True))


@pytest.fixture(
    scope="module",
    params=["sgd", pytest.param("momentum", marks=pytest.mark.slow), pytest.param("adam", marks=pytest.mark.slow)],
)
def case(request, tmp_path_factory):
    optimizer, scheme = request.param, SCHEMES[request.param]
    model = build(FACTORS, scheme)
    path = write(model, tmp_path_factory.mktemp("factors") / "model.tflite", optimizer)
    plain = PlainTraining(model, optimizer)
    start = plain.state()
    losses = [float(plain.step(*batch, np.float32(RATES[optimizer]))) for batch in BATCHES]
    return Case(path, scheme, optimizer, start, losses, plain.state())


@pytest.mark.parametrize("xnnpack", [True, False])
def test_a_file_trains_as_plain_tensorflow_at_several_rates(case, xnnpack):
    device = TrainableModel(case.path, xnnpack=xnnpack, trust=True)
    results = [device.train(*batch, RATES[case.optimizer]) for batch in BATCHES]
    assert all(result.applied for result in results)
    np.testing.assert_allclose([result.loss for result in results], case.losses, rtol=1e-4)
    assert relative(device.state() - case.start, case.end - case.start) <= 1e-2


@pytest.mark.thorough
def test_a_file_without_the_factors_of_its_network_fails_the_check(case):
    images, labels = tiny_network.photos(3, 4)
    options = {"label_smoothing": LABEL_SMOOTHING, "images": images, "labels": labels}
    report = check_parity(case.path, build(FACTORS, case.scheme), optimizer=case.optimizer, **options)
    assert report["tolerance"]["learning_rate"] == 1e-4 / 4
    with pytest.raises(ParityError, match="and the updates by .* from TensorFlow's; nothing was written"):
        check_parity(case.path, build(FACTORS[2:], case.scheme), optimizer=case.optimizer, **options)


def operations(model):
    """How many there are of each kind in the graph of a step; the golden files guard its bytes."""
    module = TrainableModule(model, model.trainable_variables, optimizer=get_optimizer("adam"), batch_size=4)
    graph = module.functions["train"].get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *itertools.chain.from_iterable(function.node_def for function in graph.library.function)]
    return collections.Counter(node.op for node in nodes)


def test_factors_of_one_add_nothing_to_the_graph():
    plain, ones, slow = (operations(build(factors, "last")) for factors in ((), [("", 1)], [("", 0.5)]))
    assert plain == ones
    assert slow - plain == {"Mul": 2, "Const": 2}  # one for the kernel and one for the bias
    assert not plain - slow


def test_a_rate_that_a_factor_makes_too_large_changes_nothing(tmp_path):
    device = TrainableModel(
        write(build([("^classifier/", 1e6)], "last"), tmp_path / "model.tflite", "adam"), trust=True
    )
    batch = next(zip(*tiny_network.photos(1, 4), strict=True))
    before = device.state()
    assert not device.train(*batch, 1e10).applied
    np.testing.assert_array_equal(device.state(), before)
    assert device.train(*batch, 1e-10).applied
    assert np.abs(device.state() - before).max() == pytest.approx(1e-4, rel=1e-2)  # Adam's first step is the rate


def test_spare_outputs_learn_at_the_rate_of_the_others():
    model = build([("kernel$", 0.5), ("bias$", 0.0)], "last")
    wide = with_spare_classes(model, 2).get_layer("classifier")
    assert (rate_factor(wide.kernel), rate_factor(wide.bias)) == (0.5, 0.0)
    assert (wide.kernel.trainable, wide.bias.trainable) == (True, False)


@pytest.mark.thorough
def test_a_file_for_microcontrollers_follows_them(tmp_path):
    pytest.importorskip("tflite_micro")
    options = {"labels": tiny_network.LABELS, "optimizer": "momentum", "batch_size": 2, "target": "micro"}
    manifest = export(build([("^head/", 4.0)], "tinytl-b"), tmp_path / "micro.tflite", **options)
    assert manifest.parity["tolerance"]["learning_rate"] == 1e-4 / 4
    assert manifest.parity["micro"]["update_difference"] < 1e-2
    images, labels = tiny_network.photos(3, 2)
    with pytest.raises(ParityError, match="from TensorFlow's; nothing was written"):
        check_parity(
            tmp_path / "micro.tflite",
            build((), "tinytl-b"),
            optimizer="momentum",
            label_smoothing=0.0,
            images=images,
            labels=labels,
            clients={"micro": MicroModel},
        )
