"""Exported files train as TensorFlow does: 20 steps, and the state after them."""

import functools
import itertools

import numpy as np
import pytest

from tests import tiny_network
from tests.export.conftest import LABEL_SMOOTHING, SMALL_PROFILES, case_params
from tinytl_tf import backbones, data
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.device import TrainableModel
from tinytl_tf.export.build import build_file
from tinytl_tf.export.packing import state_order
from tinytl_tf.export.passes import PASSES, pass_names
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.export.tiling import TiledNetwork
from tinytl_tf.layers import LiteResidual
from tinytl_tf.networks.schemes import SCHEMES, get_scheme
from tinytl_tf.optimizers import OPTIMIZERS, get_optimizer
from tinytl_tf.profiles import PROFILES
from tinytl_tf.training import make_optimizer, make_train_step

STEPS = 20
# Rounding flips an element of a ReLU6 mask now and then, 1e-2 of an image's gradient; higher rates let that grow.
RATES = {"sgd": 0.01, "momentum": 1e-3, "adam": 2e-4}
# At 5e-3 and above one flips on some processors, 1.3e-4 of a loss; at 3e-3 all agree to 2e-7, with oneDNN and without.
FULL_SGD_RATE = 3e-3


# How a client may run a file: arguments of TrainableModel.
RUNTIMES = {
    "xnnpack": {"xnnpack": True},
    "without_xnnpack": {"xnnpack": False},
    "compiled_model": {"xnnpack": True, "api": "compiled_model"},
}


def learning_rate(scheme, optimizer):
    return np.float32(FULL_SGD_RATE if (scheme, optimizer) == ("full", "sgd") else RATES[optimizer])


def relative(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def papers_network(branches):
    model = tiny_network.build("tinytl-lb", branch_final_norm=True)
    for layer in model.layers:
        if isinstance(layer, LiteResidual):
            layer.weight_standardization = branches == "standardized"
    return model


@functools.cache
def native(scheme, optimizer, batch_size, branches=None):
    """State before, losses and state after the steps of plain TensorFlow."""
    model = papers_network(branches) if branches else tiny_network.build(scheme)
    plain = tiny_network.PlainTraining(model, optimizer, LABEL_SMOOTHING)
    images, labels = tiny_network.photos(STEPS, batch_size)
    rate = learning_rate(scheme, optimizer)
    start = plain.state()
    losses = np.array([float(plain.step(*batch, rate)) for batch in zip(images, labels, strict=True)])
    end = plain.state()
    assert relative(end, start) > 5e-4  # The steps are large enough to tell optimizers and gradients apart.
    return start, losses, end


def assert_trains_alike(path, case, runtime):
    start, losses, end = native(*case)
    scheme, optimizer, batch_size, *_ = case
    images, labels = tiny_network.photos(STEPS, batch_size)
    device = TrainableModel(path, trust=True, **RUNTIMES[runtime])
    results = [device.train(*batch, learning_rate(scheme, optimizer)) for batch in zip(images, labels, strict=True)]
    assert all(result.applied for result in results)
    np.testing.assert_allclose([result.loss for result in results], losses, rtol=1e-4)
    assert relative(device.state(), end) <= 1e-4
    # Without a flipped element of a mask the updates agree to 1e-5; one weighs about 1e-3.
    assert relative(device.state() - start, end - start) <= 1e-2


@pytest.mark.parametrize(("scheme", "optimizer", "batch_size"), case_params())
def test_tiny_network_against_native_gradients(exported, scheme, optimizer, batch_size):
    case = (scheme, optimizer, batch_size)
    for runtime in RUNTIMES:
        assert_trains_alike(exported(*case), case, runtime)


@pytest.mark.thorough
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("branches", ["final_norm", "standardized"])
def test_the_papers_branches_against_native_gradients(tmp_path, runtime, branches):
    model = papers_network(branches)
    assert any("/final_norm/" in variable.path for variable in model.trainable_variables)
    options = {"optimizer": get_optimizer("sgd"), "batch_size": 4, "label_smoothing": LABEL_SMOOTHING}
    path = tmp_path / "model.tflite"
    path.write_bytes(build_file(TrainableModule(model, model.trainable_variables, **options))[0])
    assert_trains_alike(path, ("tinytl-lb", "sgd", 4, branches), runtime)


SMALL_CASE, LARGE_CASE = ("tinytl-b", "sgd", 1), ("tinytl-lb", "sgd", 8)
# Names change nothing that is computed.
CHANGING = [name for name in pass_names(delegate=True) if name != "drop_names"]
SUBSETS = [names for count in range(len(CHANGING) + 1) for names in itertools.combinations(CHANGING, count)]
WITHOUT_DELEGATE = tuple(name for name in PASSES if name not in pass_names(delegate=True))
FILES = [(SMALL_CASE, "min-memory", tuple(PASSES))]
FILES += [
    pytest.param(SMALL_CASE, *file, marks=pytest.mark.thorough) for file in (("balanced", ()), ("fast", tuple(PASSES)))
]
GRID = [*itertools.product(PROFILES, SUBSETS), *(("min-memory", (*names, *WITHOUT_DELEGATE)) for names in SUBSETS)]
FILES += [pytest.param(LARGE_CASE, *file, marks=pytest.mark.slow) for file in GRID]


@pytest.mark.parametrize(("case", "profile", "passes"), FILES)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_any_profile_and_passes_against_native_gradients(exported, case, profile, passes, runtime):
    assert_trains_alike(exported(*case, profile=profile, passes=passes), case, runtime)


@pytest.mark.thorough
def test_the_small_profiles_cut_the_tiny_network_as_the_real_ones_cut_a_real_network(converted):
    model = tiny_network.build(SMALL_CASE[0])
    cut = {
        name: [set(TiledNetwork(model, size).tiles) for size in (profile.tile_bytes, profile.infer_tile_bytes)]
        for name, profile in SMALL_PROFILES.items()
    }
    blocks = {f"block_{i}_project" for i in (1, 2, 3)}
    assert cut == {
        "micro": [blocks, blocks],
        "min-memory": [blocks, blocks],
        "balanced": [blocks, set()],
        "fast": [set(), set()],
    }
    assert len({converted(*SMALL_CASE, profile=name) for name in PROFILES}) == len(PROFILES)


def photos(shared, batch_size, resolution):
    """Batches of real flowers, `[steps, batch, H, W, 3]`, and their labels."""
    flowers = data.load(shared / "data" / "oxford_flowers17_128.npz").train
    chosen = np.random.default_rng(0).integers(0, len(flowers), STEPS * batch_size)
    images = np.stack([flowers.image(int(i))[:resolution, :resolution] for i in chosen])
    shape = (STEPS, batch_size)
    return images.reshape(*shape, *images.shape[1:]), flowers.labels[chosen].astype(np.int32).reshape(shape)


FULL_SIZE = [("tinytl-b", "momentum", 8, 64)]
FULL_SIZE += [
    pytest.param(scheme, optimizer, batch_size, 128, marks=pytest.mark.slow)
    for scheme in SCHEMES
    for optimizer in OPTIMIZERS
    for batch_size in (1, 8)
]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "optimizer", "batch_size", "resolution"), FULL_SIZE)
def test_mobilenet_on_flowers(shared, tmp_path, scheme, optimizer, batch_size, resolution):
    model = backbones.build(
        "mobilenet_v2",
        classes=17,
        resolution=resolution,
        weights=str(shared / "weights" / "mobilenet_v2_1.0_224_coral_ptq_dequant.weights.h5"),
        **get_scheme(scheme).branches,
    )
    variables = apply_scheme(model, scheme).variables
    path = tmp_path / "model.tflite"
    rule = get_optimizer(optimizer)
    path.write_bytes(build_file(TrainableModule(model, variables, optimizer=rule, batch_size=batch_size))[0])

    images, labels = photos(shared, batch_size, resolution)
    # So small that `full` stays smooth: TensorFlow, adding up image by image, departs from itself over these 20 steps
    # by 1e-5 of the loss with SGD and 1e-4 with Adam, and by 5e-3 to 1e-2 of the update. Momentum makes steps of up to
    # ten times the rate: at 1e-5 TensorFlow with oneDNN departs from TensorFlow without by 1e-3 to 1e-2 of the loss.
    rate = np.float32(1e-6 if (scheme, optimizer) == ("full", "momentum") else 1e-5)
    loss_tolerance = 1e-3 if optimizer == "adam" else 1e-4
    start = np.concatenate([variable.numpy().ravel() for variable in state_order(variables)])
    step = make_train_step(model, variables, make_optimizer(optimizer), training=False)
    losses = np.array([float(step(*batch, rate)["loss"]) for batch in zip(images, labels, strict=True)])
    end = np.concatenate([variable.numpy().ravel() for variable in state_order(variables)])
    for runtime in RUNTIMES.values():
        device = TrainableModel(path, trust=True, **runtime)
        results = [device.train(*batch, rate) for batch in zip(images, labels, strict=True)]
        np.testing.assert_allclose([result.loss for result in results], losses, rtol=loss_tolerance)
        assert relative(device.state(), end) <= 1e-4
        assert relative(device.state() - start, end - start) <= 2e-2
