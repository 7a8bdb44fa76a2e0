import functools

import numpy as np
import pytest

from tests import tiny_network
from tests.export.conftest import LABEL_SMOOTHING
from tinytl_tf import backbones
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import ParityError
from tinytl_tf.export import parity
from tinytl_tf.export.build import build_file
from tinytl_tf.export.parity import check_parity, random_photos
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.networks.schemes import apply_scheme, get_scheme
from tinytl_tf.optimizers import OPTIMIZERS, get_optimizer

CASE = ("last", "adam", 1)


@pytest.fixture(scope="module")
def model():
    return tiny_network.build(CASE[0])


def check(path, model, **changes):
    images, labels = tiny_network.photos(3, CASE[2])
    arguments = {"optimizer": CASE[1], "label_smoothing": LABEL_SMOOTHING, "images": images, "labels": labels}
    return check_parity(path, model, **{**arguments, **changes})


def test_reports_figures_and_leaves_the_model_alone(exported, model):
    before = [variable.numpy() for variable in model.weights]
    report = check(exported(*CASE), model)
    assert (report["steps"], report["batch_size"]) == (3, 1)
    assert report["tolerance"] == {
        "learning_rate": 1e-4,
        "answer": 1e-3,
        "loss": 1e-4,
        "update": 5e-2,
        "variable_update": 0.9,
    }
    for delegate in ("xnnpack", "without_xnnpack"):
        assert set(report[delegate]) == {
            "answer_difference",
            "loss_difference",
            "update_difference",
            "variable_difference",
        }
        assert report[delegate]["loss_difference"] < 1e-6
        assert report[delegate]["update_difference"] < 1e-4
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_another_loss_fails(exported, model):
    with pytest.raises(ParityError, match=r"^parity check failed \(xnnpack\): after 3 steps the losses differ by "):
        check(exported(*CASE), model, label_smoothing=0.11)


def test_another_optimizer_fails(exported, model):
    with pytest.raises(ParityError, match=r" and the updates by .* from TensorFlow's; nothing was written"):
        check(exported(*CASE), model, optimizer="sgd")


def test_a_damaged_constant_fails(exported, model, tmp_path):
    content = bytearray(exported(*CASE).read_bytes())
    kernel = model.get_layer("classifier").kernel.numpy().tobytes()
    assert content.count(kernel) == 1  # It starts the variable, and `reset` puts it back.
    position = content.index(kernel)
    damaged = np.frombuffer(kernel, np.float32).copy()
    damaged[0] += 0.05
    content[position : position + len(kernel)] = damaged.tobytes()
    path = tmp_path / "damaged.tflite"
    path.write_bytes(content)
    with pytest.raises(
        ParityError, match=r"^parity check failed \(xnnpack\): on the same photos the logits differ by "
    ):
        check(path, model)


class Altered(TrainableModel):
    """A file whose steps move some of the values by a multiple of what they should."""

    values, factor = slice(0), 1.0

    def train(self, *arguments):
        before = self.state()
        result = super().train(*arguments)
        state = self.state()
        state[self.values] = before[self.values] + self.factor * (state[self.values] - before[self.values])
        self.set_state(state)
        return result


def altered(values, factor):
    return {"xnnpack": functools.partial(type("Altered", (Altered,), {"values": values, "factor": factor}), trust=True)}


@pytest.mark.parametrize(
    ("optimizer", "factor"),
    [
        ("adam", 0),
        ("sgd", 0.5),
        *(pytest.param(*case, marks=pytest.mark.thorough) for case in (("adam", -1), ("sgd", 0), ("sgd", -1))),
    ],
)
def test_a_small_variable_that_goes_elsewhere_fails(exported, model, monkeypatch, optimizer, factor):
    """Among all variables it does not show."""
    path, bias = exported(CASE[0], optimizer, CASE[2], save_optimizer=True), model.get_layer("classifier").bias
    monkeypatch.setitem(parity.UPDATE_TOLERANCES, optimizer, 10)
    monkeypatch.setattr(parity, "_ROUNDINGS", 0)
    assert bias.shape == (4,)
    with pytest.raises(ParityError) as error:
        check(path, model, optimizer=optimizer, clients=altered(slice(4), factor))
    assert str(error.value).startswith("parity check failed (xnnpack): the file does not move classifier/bias as ")


@pytest.mark.parametrize(("optimizer", "few", "many"), [("adam", 0.03, 0.08), ("sgd", 0.003, 0.02)])
def test_an_update_may_differ_by_what_a_flipped_mask_makes_of_it(exported, model, optimizer, few, many):
    path = exported(CASE[0], optimizer, CASE[2], save_optimizer=True)
    trained = slice(sum(variable.numpy().size for variable in model.trainable_variables))
    report = check(path, model, optimizer=optimizer, clients=altered(trained, 1 + few))
    assert report["xnnpack"]["update_difference"] == pytest.approx(few, rel=0.1)
    assert report["xnnpack"]["loss_difference"] < 1e-6  # each step starts from one point
    with pytest.raises(ParityError, match=r" and the updates by [1-8]\.\de-02 "):
        check(path, model, optimizer=optimizer, clients=altered(trained, 1 + many))


def test_a_step_that_forgets_what_the_one_before_has_left_fails(exported, model):
    """Momentum that is zero before each step; after the first the variables are where they should be."""
    path = exported("last", "momentum", 8)

    class Fresh(TrainableModel):
        def train(self, *arguments):
            self.set_state(self.state())  # which holds no slots
            return super().train(*arguments)

    images, labels = tiny_network.photos(3, 8)
    arguments = {"optimizer": "momentum", "label_smoothing": LABEL_SMOOTHING, "images": images, "labels": labels}
    check_parity(path, model, **arguments)
    with pytest.raises(ParityError, match=r" and the updates by \d\.\de-01 "):
        check_parity(path, model, **arguments, clients={"xnnpack": functools.partial(Fresh, trust=True)})


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_network_with_random_weights_passes(tmp_path, seed):
    """After a step its dead features are biases of 1e-8; Keras took them for zero, and the updates differed by 5e-2."""
    model = backbones.build("mbv2_w0.35", classes=5, resolution=64, weights=None, seed=seed)
    apply_scheme(model.weights, get_scheme("tinytl-b"))
    options = {"optimizer": get_optimizer("sgd"), "batch_size": 4}
    path = tmp_path / "model.tflite"
    path.write_bytes(build_file(TrainableModule(model, model.trainable_variables, **options))[0])
    images, labels = random_photos(4, 4, (64, 64), 5)
    report = check_parity(path, model, optimizer="sgd", label_smoothing=0.0, images=images, labels=labels)
    assert report["xnnpack"]["update_difference"] < 2e-3


def test_the_answers_to_the_given_photos_are_compared(exported, model):
    photos = tiny_network.photos(1, 5)[0][0]
    figures = [check(exported(*CASE), model, photos=p)["xnnpack"]["answer_difference"] for p in (None, photos)]
    assert figures[0] != figures[1]
    assert 0 < figures[1] < 1e-5


def test_every_optimizer_has_its_bounds():
    assert parity.UPDATE_TOLERANCES.keys() == parity.VARIABLE_TOLERANCES.keys() == OPTIMIZERS.keys()


def test_a_refused_step_fails(exported, model, monkeypatch):
    monkeypatch.setattr(parity, "LEARNING_RATE", 1e16)
    with pytest.raises(ParityError) as error:
        check(exported(*CASE), model)
    assert str(error.value) == "parity check failed (xnnpack): the file refused a step that TensorFlow takes"


def test_a_state_that_does_not_come_back_fails(exported, model):
    class Forgetful(TrainableModel):
        def set_state(self, state):
            pass

    with pytest.raises(ParityError) as error:
        check(exported(*CASE), model, clients={"xnnpack": functools.partial(Forgetful, trust=True)})
    assert str(error.value) == "parity check failed: a new interpreter with the saved state gives other logits"


def test_random_photos_are_smooth_and_always_the_same():
    images, labels = random_photos(2, 3, (32, 48), 5)
    assert (images.shape, images.dtype) == ((2, 3, 32, 48, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((2, 3), np.int32)
    assert set(labels.ravel()) <= set(range(5))
    again = random_photos(2, 3, (32, 48), 5)
    np.testing.assert_array_equal(images, again[0])
    np.testing.assert_array_equal(labels, again[1])
    values = images.astype(float)
    assert np.abs(np.diff(values, axis=3)).mean() < 0.4 * values.std()
    assert 50 < values.std() < 100
