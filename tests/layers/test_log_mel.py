"""The log-mel layer is what NumPy and `tf.signal` compute, and converts to builtin operators."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.litert import convert, describe, run
from tinytl_tf.layers import LogMel

RATE = 8000
RNG = np.random.default_rng(0)
# Frames that hops divide, that they do not, that leave no gap, and that do; some samples are left over.
SHAPES = [(256, 128, 2000), (200, 80, 2001), (100, 100, 1000), (130, 200, 1111), (64, 16, 64)]


def waves(samples):
    times = np.arange(samples) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 440 * times)
    return np.stack([tone, RNG.normal(0, 0.1, samples), np.zeros(samples)]).astype(np.float32)


def by_numpy(x, length, hop, bands, low, high, floor):
    """The recipe of the docstring, in double precision and with NumPy's own transform."""
    frames = 1 + (x.shape[1] - length) // hop
    window = np.hanning(length + 1)[:-1]
    parts = np.stack([x[:, t * hop : t * hop + length] * window for t in range(frames)], axis=1)
    power = np.abs(np.fft.rfft(parts.astype(np.float64))) ** 2
    mel = tf.signal.linear_to_mel_weight_matrix(bands, length // 2 + 1, RATE, low, high, tf.float64).numpy()
    return np.log(power @ mel + floor)


@pytest.mark.parametrize(("length", "hop", "samples"), SHAPES)
def test_equals_numpy(length, hop, samples):
    layer = LogMel(RATE, frame_length=length, hop=hop, bands=6, low=200.0, high=3800.0)
    x = waves(samples)
    expected = by_numpy(x, length, hop, 6, 200.0, 3800.0, 1e-3)
    actual = layer(x).numpy()
    assert actual.shape == expected.shape == layer.compute_output_shape(x.shape)
    # Sums of up to 256 products in float32, of powers up to 4e3 above a floor of 1e-3; measured: 3e-5.
    np.testing.assert_allclose(actual, expected, atol=2e-4)


def test_equals_the_transform_of_tensorflow():
    x = waves(2000)
    spectrum = tf.abs(tf.signal.stft(x, 256, 128, fft_length=256)) ** 2
    mel = tf.signal.linear_to_mel_weight_matrix(20, 129, RATE, 60.0, 4000.0)
    layer = LogMel(RATE, frame_length=256, hop=128, bands=20)
    np.testing.assert_allclose(layer(x), tf.math.log(spectrum @ mel + 1e-3), atol=2e-4)


def test_converts_to_builtin_operators():
    layer = LogMel(RATE, frame_length=200, hop=80, bands=12)
    x = waves(1001)[:1]
    content = convert(lambda x: {"y": layer(x)}, [tf.TensorSpec([1, 1001], tf.float32, "x")])
    for xnnpack in (True, False):
        np.testing.assert_allclose(run(content, {"x": x}, xnnpack=xnnpack)["y"], layer(x), atol=2e-4)
    described = describe(content)
    assert "CONV_2D" not in described.operators  # whose kernel would become int8
    assert (described.custom, described.rank) == ((), 3)
    # Frames of 200 samples by cosines and sines of 101 frequencies, filled up to 3 hops, once; then the bands.
    assert described.constants[:2] == (240 * 202 * 4, 101 * 12 * 4)


def test_comes_back_from_its_config():
    layer = LogMel(RATE, frame_length=200, hop=80, bands=12, high=3000.0, floor=0.5, name="ears")
    model = keras.Sequential([keras.Input((1000,)), layer])
    again = keras.Sequential.from_config(model.get_config())
    x = waves(1000)
    np.testing.assert_array_equal(again(x), model(x))
    assert (layer.weights, model.output_shape) == ([], (None, 11, 12))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hop": 0}, "expected hop to be an integer of 1 or more, got 0"),
        ({"frame_length": 200.0}, "expected frame_length to be an integer of 1 or more, got 200.0"),
        ({"frame_length": 201}, "expected an even frame_length, got 201"),
        ({"high": 4001.0}, "expected 0 <= low < high <= 4000.0 Hz, got low=60.0 and high=4001.0"),
        ({"floor": 0.0}, "expected a finite floor above 0, got 0.0"),
        ({"bands": 120}, "expected bands with a frequency in each, got "),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match="expected") as error:
        LogMel(**({"sample_rate": RATE, "frame_length": 200, "hop": 80, "bands": 12} | arguments))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("shape", [(None,), (199,), (1000, 1)])
def test_waveforms_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="expected waveforms .* of at least 200 samples"):
        LogMel(RATE, frame_length=200, hop=80, bands=12)(keras.Input(shape))
