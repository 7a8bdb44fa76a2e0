"""Files that train a share of a kernel, or keep its input in 8 bits: 20 steps, int8 kernels, memory, states."""

import numpy as np
import pytest
import tensorflow as tf

from tests import made, tiny_network
from tests.export.conftest import LABEL_SMOOTHING, SMALL_PROFILES
from tests.export.test_lora import transformer
from tests.export.test_training import RATES, RUNTIMES, STEPS, relative
from tests.micro_files import BATCH, micro_file
from tinytl_tf.backbones.from_keras import from_keras
from tinytl_tf.backbones.scheme import apply_scheme
from tinytl_tf.device import MicroModel, TrainableModel
from tinytl_tf.errors import InputError
from tinytl_tf.export import export
from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.export.contract import scheme_of
from tinytl_tf.export.packing import state_order
from tinytl_tf.export.parity import LEAST_COSINE, LEAST_VARIABLE_COSINE, check_quantized
from tinytl_tf.export.passes import quantize_kernels
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.memory import planned_peak
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.state import load_state, read_variables
from tinytl_tf.tflite.model import Model

SHARES, WHOLE = ("block_1:1/2", "block_2:1/4", "block_3:1/2"), ("block_2", "block_3")  # block_1 does not train
SHORT, BOTH = ("block_2:8bit", "block_3:8bit"), ("block_2:1/4:8bit", "block_3:1/2:8bit")
# Relative error of the update over the steps against exact gradients. In 32 bits only rounding remains, 1e-6. Inputs in
# 8 bits are off by up to 0.4 % of their largest value, each in its own direction, and the sums over an image and a
# batch cancel that: 6e-4 was measured.
UPDATE = {SHARES: 1e-4, SHORT: 5e-3, BOTH: 5e-3}
LOSS = {SHARES: 1e-4, SHORT: 2e-3, BOTH: 2e-3}  # relative; 4e-4 was measured with batches of one image


@made.once
def content(kernels, optimizer="sgd", batch_size=BATCH, profile="balanced"):
    model = tiny_network.build("sparse-update", kernels=kernels)
    options = {"optimizer": get_optimizer(optimizer), "batch_size": batch_size, "label_smoothing": LABEL_SMOOTHING}
    module = TrainableModule(model, model.trainable_variables, **options, profile=SMALL_PROFILES[profile])
    return build_file(module)[0]


def write(folder, *case):
    path = folder / "model.tflite"
    path.write_bytes(content(*case))
    return path


def assert_trains_as_tensorflow(device, kernels, optimizer, batch_size):
    plain = tiny_network.PlainTraining(tiny_network.build("sparse-update", kernels=kernels), optimizer, LABEL_SMOOTHING)
    batches = list(zip(*tiny_network.photos(STEPS, batch_size), strict=True))
    rate, start = np.float32(RATES[optimizer]), plain.state()
    np.testing.assert_array_equal(device.state(), start)
    losses = [float(plain.step(*batch, rate)) for batch in batches]
    results = [device.train(*batch, rate) for batch in batches]
    assert all(result.applied for result in results)
    np.testing.assert_allclose([result.loss for result in results], losses, rtol=LOSS[kernels])
    assert relative(plain.state(), start) > 5e-4
    assert relative(device.state(), plain.state()) <= 1e-4
    # The first steps of Adam have the size of the rate, whatever the gradient: a sign that differs weighs twice that.
    tolerance = UPDATE[kernels] * (10 if optimizer == "adam" else 1)
    assert relative(device.state() - start, plain.state() - start) <= tolerance


@pytest.mark.parametrize(
    ("kernels", "optimizer", "batch_size", "profile"),
    [
        (SHARES, "sgd", 8, "balanced"),
        pytest.param(SHARES, "adam", 8, "min-memory", marks=pytest.mark.thorough),
        pytest.param(SHARES, "momentum", 1, "balanced", marks=pytest.mark.thorough),
        pytest.param(SHORT, "sgd", 1, "min-memory", marks=pytest.mark.thorough),
        pytest.param(BOTH, "sgd", 8, "min-memory", marks=pytest.mark.thorough),
        pytest.param(BOTH, "adam", 8, "balanced", marks=pytest.mark.thorough),
    ],
)
def test_20_steps_against_tensorflow(tmp_path, kernels, optimizer, batch_size, profile):
    path = write(tmp_path, kernels, optimizer, batch_size, profile)
    for options in RUNTIMES.values():
        device = TrainableModel(path, trust=True, **options)
        assert_trains_as_tensorflow(device, kernels, optimizer, batch_size)


@pytest.mark.thorough
@pytest.mark.parametrize(("kernels", "optimizer"), [(SHARES, "sgd"), (SHARES, "adam"), (BOTH, "sgd")])
def test_20_steps_of_tensorflow_lite_micro(kernels, optimizer):
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")
    path = micro_file("sparse-update", optimizer, kernels=kernels)
    assert_trains_as_tensorflow(MicroModel(path, batch_size=BATCH), kernels, optimizer, BATCH)


@pytest.mark.parametrize("kernels", [SHARES, pytest.param(BOTH, marks=pytest.mark.thorough)])
def test_int8_kernels_around_a_share(monkeypatch, tmp_path, kernels):
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)  # the kernels of the tiny network are small
    path = write(tmp_path, kernels)
    int8 = tmp_path / "int8.tflite"
    int8.write_bytes(with_int8_kernels(path.read_bytes()))
    used = [graph.tensors[op.inputs[1]] for graph, op in Model.read(int8).operators() if op.name == "CONV_2D"]
    # The first 8 of the 32 channels of `block_2_expand` train; the others are frozen.
    assert {kernel.dtype for kernel in used if kernel.shape == (24, 1, 1, 16)} == {"int8"}
    assert {kernel.dtype for kernel in used if kernel.shape == (8, 1, 1, 16)} == {"float32"}
    variables = tiny_network.build("sparse-update", kernels=kernels).trainable_variables
    images, labels = tiny_network.photos(3, BATCH)
    report = check_quantized(int8, path, variables, images=images, labels=labels)
    for name in ("xnnpack", "without_xnnpack"):
        assert LEAST_COSINE < report[name]["cosine"] < 1 - 1e-7
        assert min(report[name]["variables"].values()) > LEAST_VARIABLE_COSINE


def peak(*case):
    return planned_peak(Model.from_bytes(content(*case)))


@pytest.mark.thorough
@pytest.mark.parametrize("profile", ["balanced", "min-memory"])
def test_planned_memory_falls(profile):
    case = ("sgd", BATCH, profile)
    variables = {
        kernels: sum(Model.from_bytes(content(kernels, *case)).resource_variables.values())
        for kernels in (WHOLE, SHARES)
    }
    # Both wide kernels have 16 x 32 values, in the variable and its sum.
    assert variables[WHOLE] - variables[SHARES] == (16 * 32 * 3 // 4 + 16 * 32 // 2) * 4 * 2
    whole, short = peak(WHOLE, *case), peak(SHORT, *case)
    # The inputs are two images of 16 x 16 x 16 float32; the peak is where both are kept.
    assert whole.peak_bytes - short.peak_bytes > 16 * 16 * 16 * 3


@pytest.mark.thorough
def test_keras_quantizes_an_input_as_a_file_does(tmp_path):
    """One step of one image: the gradient of a kernel whose input is kept in 8 bits, and not the exact one."""
    images, labels = tiny_network.photos(1, 1)
    device = TrainableModel(write(tmp_path, SHORT, "sgd", 1, "min-memory"), trust=True)
    model = tiny_network.build("sparse-update", kernels=SHORT)
    steps = {}
    for name, kernels in (("short", SHORT), ("exact", WHOLE)):
        model = tiny_network.build("sparse-update", kernels=kernels)
        steps[name] = gradient(model, images[0], labels[0])
    start = device.state()
    device.train(images[0], labels[0], np.float32(1.0))
    step = start - device.state()
    assert relative(step, steps["short"]) < 1e-4 < 5e-4 < relative(step, steps["exact"])


def gradient(model, images, labels):
    before = tiny_network.PlainTraining(model, "sgd", LABEL_SMOOTHING).state()
    step = tiny_network.make_train_step(
        model,
        model.trainable_variables,
        tiny_network.make_optimizer("sgd"),
        training=False,
        label_smoothing=LABEL_SMOOTHING,
    )
    step(images, labels, np.float32(1.0))
    return before - tiny_network.PlainTraining(model, "sgd", LABEL_SMOOTHING).state()


@pytest.mark.thorough
@pytest.mark.parametrize("frozen_weights", ["float32", "int8"])
def test_learned_channels_come_back(monkeypatch, tmp_path, frozen_weights):
    """The export compares its steps with TensorFlow's; the device's state fits the network and not one of others."""
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)
    path, network = tmp_path / "m.tflite", tiny_network.build("sparse-update", kernels=BOTH)
    manifest = export(network, path, labels=tiny_network.LABELS, frozen_weights=frozen_weights)
    assert {e.name: e.shape for e in manifest.state}["block_2_expand/kernel"] == (1, 1, 16, 8)
    device, batch = TrainableModel(path), [part[0] for part in tiny_network.photos(1, BATCH)]
    device.train(*batch, np.float32(0.01))
    device.save(tmp_path / "m.tinytl")
    rest = network.get_layer("block_2_expand").kernel_rest.numpy()
    load_state(network, tmp_path / "m.tinytl", path)
    learned = network.get_layer("block_2_expand").kernel.numpy()
    np.testing.assert_array_equal(learned, read_variables(tmp_path / "m.tinytl", path)["block_2_expand/kernel"])
    np.testing.assert_array_equal(network.get_layer("block_2_expand").kernel_rest, rest)
    with pytest.raises(InputError, match=r"expected 'block_2_expand/kernel' of shape \[1, 1, 16, 8\]"):
        load_state(tiny_network.build("sparse-update"), tmp_path / "m.tinytl", path)


def test_a_network_with_shares_has_the_name_of_its_scheme():
    assert scheme_of(tiny_network.build("sparse-update", kernels=BOTH)) == "sparse-update"


@pytest.mark.thorough
@pytest.mark.parametrize(("entry", "filters"), [("block_1:1/4", 8), ("block_1:8bit", 32)])
def test_the_dense_layer_of_a_transformer(tmp_path, entry, filters):
    network = from_keras(transformer(), classes=len(tiny_network.LABELS), kernels=[entry])
    variables = apply_scheme(network, "sparse-update", kernels=[entry]).variables
    kernels = {v.path: tuple(v.shape) for v in variables if v.path.startswith("block_") and v.path.endswith("/kernel")}
    assert list(kernels.values()) == [(16, filters)]
    images, labels = (part[0] for part in tiny_network.photos(1, BATCH))
    with tf.GradientTape() as tape:
        logits = network(images.astype(np.float32))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    ordered = state_order(variables)
    parts = tape.gradient(loss, [variable.value for variable in ordered])
    path = tmp_path / "model.tflite"
    module = TrainableModule(network, variables, optimizer=get_optimizer("sgd"), batch_size=BATCH)
    path.write_bytes(build_file(module)[0])
    gradient = np.concatenate([part.numpy().ravel() for part in parts])
    for options in RUNTIMES.values():
        device = TrainableModel(path, trust=True, **options)
        start = device.state()
        assert device.train(images, labels, np.float32(1.0)).applied
        assert relative(start - device.state(), gradient) <= 1e-4
