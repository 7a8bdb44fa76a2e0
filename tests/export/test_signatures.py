"""What the signatures of a file refuse, and what they put back."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tests import tiny_network
from tests.export.conftest import LABEL_SMOOTHING
from tinytl_tf.device import TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.export.packing import state_order
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model

CLASSES = len(tiny_network.LABELS)
# Optimizers with no slot, one and two; steps with the loop over the batch and without.
GUARDED = [("tinytl-lb", "sgd", 8), ("norm+last", "momentum", 8), ("last", "adam", 1)]
guarded = pytest.mark.parametrize("case", GUARDED, ids=["-".join(map(str, case)) for case in GUARDED])


class RawModel:
    """Signature runners without the client's checks."""

    def __init__(self, path):
        interpreter = Interpreter(model_path=str(path))
        self._runners = {name: interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()}

    def train(self, images, labels, rate=0.01):
        outputs = self._runners["train"](image=images, label=labels, learning_rate=np.float32([rate]))
        return outputs["loss"].item(), outputs["applied"].item()

    def state(self):
        return self._runners["save"]()["state"]

    def restore(self, state):
        return self._runners["restore"](state=state)["restored"].item()

    def reset(self):
        return self._runners["reset"]()["restored"].item()


def wrong_steps(images, labels):
    """Arguments of `train` that must change nothing."""
    for rate in (np.nan, np.inf, -np.inf, 3e38):
        yield images, labels, rate
    for label in (-1, CLASSES, np.iinfo(np.int32).max, np.iinfo(np.int32).min):
        yield images, np.append(labels[:-1], np.int32(label)), 0.01


@guarded
def test_a_signature_with_inputs_is_the_first_graph(exported, case):
    # Clients on the JVM cannot run a signature without inputs, such as save and reset, that is the first graph.
    signatures = Model.read(exported(*case)).signatures
    assert [name for name, signature in signatures.items() if signature.graph == 0] == ["infer"]
    assert len({signature.graph for signature in signatures.values()}) == len(signatures)


@guarded
def test_a_refused_step_changes_neither_state_nor_slots(exported, case):
    tried, untouched = RawModel(exported(*case)), RawModel(exported(*case))
    images, labels = tiny_network.photos(3, case[2])
    for model in (tried, untouched):
        assert model.train(images[0], labels[0])[1] == 1
    state = tried.state()
    for arguments in wrong_steps(images[1], labels[1]):
        assert tried.train(*arguments)[1] == 0
        np.testing.assert_array_equal(tried.state(), state)
    for step in (1, 2):
        assert tried.train(images[step], labels[step]) == untouched.train(images[step], labels[step])
    np.testing.assert_array_equal(tried.state(), untouched.state())
    assert np.abs(tried.state() - state).max() > 1e-5


@guarded
def test_a_loss_that_explodes_is_refused(exported, case):
    model = RawModel(exported(*case))
    images, labels = tiny_network.photos(20, case[2])
    refused = 0
    for batch in zip(images, labels, strict=True):
        state = model.state()
        loss, applied = model.train(*batch, 9e14)
        assert applied == 0 or loss < 1e15
        if not loss < 1e15:
            refused += 1
            np.testing.assert_array_equal(model.state(), state)
    assert refused


@guarded
def test_huge_learning_rates_never_spoil_the_state(exported, case):
    model = RawModel(exported(*case))
    images, labels = tiny_network.photos(10, case[2])
    assert model.train(images[0], labels[0], 9e14)[1] == 1
    before = model.state()
    for batch in zip(images, labels, strict=True):
        loss, applied = model.train(*batch, 9e14)
        state = model.state()
        assert np.isfinite(state).all()
        assert applied or np.array_equal(state, before)
        assert np.isfinite(loss) or not applied
        before = state


@guarded
def test_a_state_that_is_not_finite_or_has_diverged_is_refused(exported, case):
    tried, untouched = RawModel(exported(*case)), RawModel(exported(*case))
    images, labels = tiny_network.photos(2, case[2])
    for model in (tried, untouched):
        model.train(images[0], labels[0])
    for value in (np.nan, np.inf, -np.inf, 2e15, -3e38):
        state = tried.state()
        state[len(state) // 2] = value
        assert tried.restore(state) == 0
        np.testing.assert_array_equal(tried.state(), untouched.state())
    assert tried.train(images[1], labels[1]) == untouched.train(images[1], labels[1])
    np.testing.assert_array_equal(tried.state(), untouched.state())


@guarded
def test_reset_is_the_exported_start_slots_included(exported, case):
    used, fresh = RawModel(exported(*case)), RawModel(exported(*case))
    images, labels = tiny_network.photos(4, case[2])
    start = fresh.state()
    np.testing.assert_array_equal(
        start,
        np.concatenate([v.numpy().ravel() for v in state_order(tiny_network.build(case[0]).trainable_variables)]),
    )
    for batch in zip(images, labels, strict=True):
        used.train(*batch)
    assert not np.array_equal(used.state(), start)
    assert used.reset() == 1
    np.testing.assert_array_equal(used.state(), start)
    for batch in zip(images[:2], labels[:2], strict=True):
        assert used.train(*batch) == fresh.train(*batch)
    np.testing.assert_array_equal(used.state(), fresh.state())


@guarded
def test_a_state_without_slots_starts_them_afresh(exported, case):
    used, fresh = RawModel(exported(*case)), RawModel(exported(*case))
    images, labels = tiny_network.photos(4, case[2])
    for batch in zip(images, labels, strict=True):
        used.train(*batch)
    state = used.state()
    for model in (used, fresh):
        assert model.restore(state) == 1
        np.testing.assert_array_equal(model.state(), state)
    for batch in zip(images[:2], labels[:2], strict=True):
        assert used.train(*batch) == fresh.train(*batch)
    np.testing.assert_array_equal(used.state(), fresh.state())


@pytest.mark.parametrize(("optimizer", "slots", "counters"), [("sgd", 0, 0), ("momentum", 1, 1), ("adam", 2, 1)])
@pytest.mark.parametrize("save_optimizer", [True, False])
def test_size_of_the_state(optimizer, slots, counters, save_optimizer):
    model = tiny_network.build("last")
    module = TrainableModule(
        model,
        model.trainable_variables,
        optimizer=get_optimizer(optimizer),
        batch_size=1,
        save_optimizer=save_optimizer,
    )
    trained = 32 * CLASSES + CLASSES
    expected = trained * (1 + slots) + counters if save_optimizer else trained
    assert module.functions["save"]()["state"].shape == (expected,)


@pytest.mark.parametrize("batch_size", [1, pytest.param(8, marks=pytest.mark.thorough)])
def test_slots_that_no_training_leads_to_are_refused(exported, batch_size):
    path = exported("last", "adam", batch_size, save_optimizer=True)
    tried, untouched = RawModel(path), RawModel(path)
    images, labels = tiny_network.photos(4, batch_size)
    for model in (tried, untouched):
        start = model.state()
        assert not start[32 * CLASSES + CLASSES :].any()  # slots before the first step
        assert model.restore(start) == 1
        for step in (0, 1):
            assert model.train(images[step], labels[step])[1] == 1
    state = tried.state()
    assert state[-1] == 2
    biases, kernel = CLASSES, 32 * CLASSES
    trained = biases + kernel
    second = {  # the state: trained, then both moments of the vectors, both of the kernel, and the count
        "bias": trained + biases,
        "kernel": trained + 2 * biases + kernel,
    }
    damages = {"count": {len(state) - 1: -1.0}, "count below": {len(state) - 1: -1e-6}}
    damages |= {name: {start: -1e-3} for name, start in second.items()}
    damages["last of the kernel"] = {len(state) - 2: -1e-3}
    damages["first moment"] = {trained: 1e30, second["bias"]: 0.0}
    for name, changes in damages.items():
        damaged = state.copy()
        for place, value in changes.items():
            damaged[place] = value
        assert tried.restore(damaged) == 0, name
        np.testing.assert_array_equal(tried.state(), untouched.state())
    for step in (2, 3):
        assert tried.train(images[step], labels[step]) == untouched.train(images[step], labels[step])
    np.testing.assert_array_equal(tried.state(), untouched.state())
    tried.reset()
    np.testing.assert_array_equal(tried.state(), start)
    assert tried.restore(start) == 1


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_the_wildest_state_that_is_taken_stays_finite(exported, optimizer):
    model = RawModel(exported("last", optimizer, 1 if optimizer == "adam" else 8, save_optimizer=True))
    images, labels = tiny_network.photos(30, 1 if optimizer == "adam" else 8)
    state = model.state()
    trained = 32 * CLASSES + CLASSES
    state[trained:-1] = 0.0
    state[trained] = 9e14  # of the first slot, over a second moment of zero
    state[-1] = 5
    assert model.restore(state) == 1
    for batch in zip(images, labels, strict=True):
        model.train(*batch, 9e14)
        assert np.isfinite(model.state()).all()


@pytest.mark.parametrize("xnnpack", [True, False])
def test_a_saved_optimizer_goes_on_as_if_never_interrupted(exported, tmp_path, xnnpack):
    path = exported("last", "momentum", 8, save_optimizer=True)
    images, labels = tiny_network.photos(6, 8)
    whole, first = TrainableModel(path, xnnpack=xnnpack, trust=True), TrainableModel(path, xnnpack=xnnpack, trust=True)
    expected = [whole.train(*batch, 0.01) for batch in zip(images, labels, strict=True)]
    for batch in zip(images[:3], labels[:3], strict=True):
        first.train(*batch, 0.01)
    first.save(tmp_path / "state.tinytl")
    second = TrainableModel(path, xnnpack=xnnpack, trust=True)
    second.restore(tmp_path / "state.tinytl")
    results = [second.train(*batch, 0.01) for batch in zip(images[3:], labels[3:], strict=True)]
    assert results == expected[3:]
    np.testing.assert_array_equal(second.state(), whole.state())
    second.reset()
    assert [second.train(*batch, 0.01) for batch in zip(images, labels, strict=True)] == expected


def test_loss_has_the_label_smoothing_and_is_that_of_the_whole_batch(exported):
    model = tiny_network.build("tinytl-lb")
    device = TrainableModel(exported("tinytl-lb", "sgd", 8), trust=True)
    images, labels = (array[0] for array in tiny_network.photos(1, 8))
    logits = model.predict(images.astype(np.float32), verbose=0).astype(np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    target = np.eye(CLASSES)[labels] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / CLASSES
    result = device.train(images, labels, 0.0)
    assert result.loss == pytest.approx(-(target * log_probabilities).sum(1).mean(), rel=1e-5)
    assert result.accuracy == (logits.argmax(1) == labels).mean()
    answer = device.infer(images[0])
    np.testing.assert_allclose(answer.logits, logits[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answer.probabilities, np.exp(log_probabilities[0]), rtol=1e-4)


def test_the_client_refuses_first_what_the_file_would(exported):
    device = TrainableModel(exported("last", "adam", 1), trust=True)
    images, labels = tiny_network.photos(1, 1)
    with pytest.raises(InputError, match="expected labels from 0 to 3, got 4"):
        device.train(images[0], np.array([4]), 0.1)
    with pytest.raises(InputError, match="learning rate that is finite"):
        device.train(images[0], labels[0], float("nan"))
