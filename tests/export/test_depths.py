"""Files whose classifier reads several depths: 20 steps against TensorFlow, memory, int8."""

import numpy as np
import pytest

from tests import made, tiny_network
from tests.export.conftest import LABEL_SMOOTHING, SMALL_PROFILES
from tests.export.test_training import RATES, RUNTIMES, STEPS, relative
from tests.micro_files import BATCH, micro_file
from tinytl_tf.device import MicroModel, TrainableModel
from tinytl_tf.export.build import build_file, with_int8_kernels
from tinytl_tf.export.parity import LEAST_COSINE, LEAST_VARIABLE_COSINE, check_quantized
from tinytl_tf.export.passes import quantize_kernels
from tinytl_tf.export.signatures import TrainableModule
from tinytl_tf.memory import planned_peak
from tinytl_tf.optimizers import get_optimizer
from tinytl_tf.tflite.model import Model

DEPTHS = ("block_1", "block_2", "block_3")


@made.once
def content(scheme, optimizer="sgd", batch_size=BATCH, profile="balanced", depths=DEPTHS):
    model = tiny_network.build(scheme, feature_places=depths)
    options = {"optimizer": get_optimizer(optimizer), "batch_size": batch_size, "label_smoothing": LABEL_SMOOTHING}
    module = TrainableModule(model, model.trainable_variables, **options, profile=SMALL_PROFILES[profile])
    return build_file(module)[0]


def write(folder, *case):
    path = folder / "model.tflite"
    path.write_bytes(content(*case))
    return path


def assert_trains_as_tensorflow(device, scheme, optimizer, batch_size):
    model = tiny_network.build(scheme, feature_places=DEPTHS)
    plain = tiny_network.PlainTraining(model, optimizer, LABEL_SMOOTHING)
    batches = list(zip(*tiny_network.photos(STEPS, batch_size), strict=True))
    rate, start = np.float32(RATES[optimizer]), plain.state()
    np.testing.assert_array_equal(device.state(), start)
    losses = [float(plain.step(*batch, rate)) for batch in batches]
    results = [device.train(*batch, rate) for batch in batches]
    assert all(result.applied for result in results)
    np.testing.assert_allclose([result.loss for result in results], losses, rtol=1e-4)
    assert relative(plain.state(), start) > 5e-4
    assert relative(device.state(), plain.state()) <= 1e-4
    # Only rounding remains; the first steps of Adam have the size of the rate, whatever the gradient.
    assert relative(device.state() - start, plain.state() - start) <= (1e-3 if optimizer == "adam" else 1e-4)


@pytest.mark.parametrize(
    ("scheme", "optimizer", "batch_size", "profile"),
    [
        ("last", "sgd", 1, "balanced"),
        pytest.param("sparse-update", "sgd", 8, "min-memory", marks=pytest.mark.thorough),
        pytest.param("tinytl-lb", "adam", 8, "balanced", marks=pytest.mark.thorough),
    ],
)
def test_20_steps_against_tensorflow(tmp_path, scheme, optimizer, batch_size, profile):
    path = write(tmp_path, scheme, optimizer, batch_size, profile)
    for options in RUNTIMES.values():
        assert_trains_as_tensorflow(TrainableModel(path, trust=True, **options), scheme, optimizer, batch_size)


@pytest.mark.thorough
@pytest.mark.parametrize(("scheme", "optimizer"), [("last", "sgd"), ("sparse-update", "adam")])
def test_20_steps_of_tensorflow_lite_micro(scheme, optimizer):
    pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="tflite-micro is not installed")
    path = micro_file(scheme, optimizer, feature_places=DEPTHS)
    assert_trains_as_tensorflow(MicroModel(path, batch_size=BATCH), scheme, optimizer, BATCH)


@pytest.mark.thorough
def test_int8_kernels(monkeypatch, tmp_path):
    monkeypatch.setattr(quantize_kernels, "SMALLEST", 64)  # the kernels of the tiny network are small
    path, int8 = write(tmp_path, "sparse-update"), tmp_path / "int8.tflite"
    int8.write_bytes(with_int8_kernels(path.read_bytes()))
    variables = tiny_network.build("sparse-update", feature_places=DEPTHS).trainable_variables
    images, labels = tiny_network.photos(3, BATCH)
    report = check_quantized(int8, path, variables, images=images, labels=labels)
    for name in ("xnnpack", "without_xnnpack"):
        assert LEAST_COSINE < report[name]["cosine"] < 1 - 1e-7
        assert min(report[name]["variables"].values()) > LEAST_VARIABLE_COSINE


def test_nothing_is_kept_but_the_pooled_outputs():
    """56 channels more for each of 8 images, with their sum of gradients, of 4 classes; nothing of the blocks."""
    one, several = (planned_peak(Model.from_bytes(content("last", "sgd", 8, "balanced", d))) for d in ((), DEPTHS))
    assert 0 <= several.peak_bytes - one.peak_bytes <= 4 * 56 * (8 + 2 * 4) + 1024
