"""Log-mel spectrogram of a waveform."""

import keras
import numpy as np
import tensorflow as tf

from tinytl_tf.keras_backend import require_keras_settings

__all__ = ["LogMel"]

_MEL_BREAK = 700.0  # Hz
_MEL_FACTOR = 1127.0


@keras.saving.register_keras_serializable(package="tinytl_tf")
class LogMel(keras.layers.Layer):
    """Logarithm of the power in bands of the mel scale, computed inside the network and the exported file.

    A client can therefore pass raw samples and needs no transform of its own. For a waveform of T samples at R samples
    per second, with frames of N samples that start every H samples:

    1. Frame t contains the samples t H to t H + N - 1. There are 1 + floor((T - N) / H) frames; the remaining samples
       are not used.
    2. Each frame is multiplied by the periodic Hann window, 0.5 - 0.5 cos(2 pi n / N).
    3. The discrete Fourier transform with N points gives N / 2 + 1 frequencies, k R / N. The power of each frequency
       is the square of its magnitude.
    4. Band m of M is the sum of the powers with triangular weights, which rise from 0 at point m to 1 at point m + 1
       and fall back to 0 at point m + 2. The M + 2 points divide the range from `low` to `high` equally on the mel
       scale of HTK, 1127 ln(1 + f / 700). The triangles are straight on that scale, and frequency 0 has weight 0, as in
       `tf.signal.linear_to_mel_weight_matrix`.
    5. The output is the natural logarithm of the band plus `floor`.

    Frames are concatenated slices of a reshaped waveform. The transform is a product with a constant matrix of N by
    2 (N / 2 + 1) numbers, which the file contains once. The layer has no variables to train. If the first trained
    layer of a network comes after it, nothing from it is kept for the backward pass.

    Input shape:
        `(batch, samples)`, where `samples` is static and at least `frame_length`.

    Output shape:
        `(batch, frames, bands)`

    Args:
        sample_rate: samples per second, R.
        frame_length: number of samples in a frame, N; must be even.
        hop: number of samples from the start of one frame to the start of the next, H.
        bands: number of bands, M.
        low: lowest frequency in Hz.
        high: highest frequency in Hz; None for half the sample rate.
        floor: power added before the logarithm; it is the output power for silence. A band of full-scale noise has a
            power of about N.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is out of range; or if a band is so narrow that it contains no frequency.

    Example:
        >>> layer = LogMel(16000, frame_length=512, hop=256, bands=40)
        >>> layer(np.zeros([1, 16000], np.float32)).shape
        TensorShape([1, 61, 40])
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        frame_length: int,
        hop: int,
        bands: int,
        low: float = 60.0,
        high: float | None = None,
        floor: float = 1e-3,
        **kwargs,
    ) -> None:
        require_keras_settings()
        super().__init__(**kwargs)
        for name, value in (
            ("sample_rate", sample_rate),
            ("frame_length", frame_length),
            ("hop", hop),
            ("bands", bands),
        ):
            if type(value) is not int or value < 1:
                raise ValueError(f"expected {name} to be an integer of 1 or more, got {value!r}")
        if frame_length % 2:
            raise ValueError(f"expected an even frame_length, got {frame_length}")
        top = sample_rate / 2 if high is None else high
        if not 0 <= low < top <= sample_rate / 2:
            raise ValueError(f"expected 0 <= low < high <= {sample_rate / 2} Hz, got low={low!r} and high={high!r}")
        if not 0 < floor < np.inf:
            raise ValueError(f"expected a finite floor above 0, got {floor!r}")
        self.sample_rate, self.frame_length, self.hop, self.bands = sample_rate, frame_length, hop, bands
        self.low, self.high, self.floor = low, high, floor
        self._mel = _mel_matrix(sample_rate, frame_length, bands, low, top)
        empty = np.flatnonzero(self._mel.sum(axis=0) == 0)
        if empty.size:
            raise ValueError(
                f"expected bands with a frequency in each, got {empty.size} without one, the first of them number "
                f"{empty[0]}; take fewer bands, a longer frame_length, or a higher low"
            )

    def build(self, input_shape: tuple) -> None:
        """Refuses waveforms whose length is not static, or is shorter than a frame."""
        self._frames(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the logarithmic bands of each frame."""
        frames = self._frames(inputs.shape)
        parts = -(-self.frame_length // self.hop)  # parts of `hop` samples in a frame; the last may be zero-padded
        samples = (frames + parts - 1) * self.hop
        length = inputs.shape[1]
        padded = inputs[:, :samples] if samples <= length else tf.pad(inputs, [[0, 0], [0, samples - length]])
        blocks = tf.reshape(padded, [-1, frames + parts - 1, self.hop])
        framed = tf.concat([blocks[:, part : part + frames] for part in range(parts)], axis=2)
        # Rank 2, so that the converter turns the product into a FULLY_CONNECTED.
        flat = tf.reshape(framed, [-1, parts * self.hop])
        cosine, sine = tf.split(tf.matmul(flat, _dft_matrix(self.frame_length, parts * self.hop)), 2, axis=1)
        power = tf.matmul(cosine * cosine + sine * sine, self._mel)
        return tf.reshape(tf.math.log(power + self.floor), [-1, frames, self.bands])

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns `(batch, frames, bands)`."""
        return (input_shape[0], self._frames(input_shape), self.bands)

    def get_config(self) -> dict:
        """Returns the configuration."""
        names = ("sample_rate", "frame_length", "hop", "bands", "low", "high", "floor")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def _frames(self, shape: tuple) -> int:
        if len(shape) != 2 or shape[1] is None or shape[1] < self.frame_length:
            raise ValueError(
                f"{self.name}: expected waveforms (batch, samples) of a known number of at least {self.frame_length} "
                f"samples, got {tuple(shape)}; crop or pad them to one length"
            )
        return 1 + (shape[1] - self.frame_length) // self.hop


def _dft_matrix(length: int, rows: int) -> np.ndarray:
    """Returns windowed cosines, then sines, float32 `[rows, 2 (length // 2 + 1)]`; rows after the frame are zero."""
    times = np.arange(length)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * times / length)
    # The product of time and frequency is reduced first, since the cosine of a large number is less accurate.
    angles = 2 * np.pi * (np.outer(times, np.arange(length // 2 + 1)) % length) / length
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * window[:, np.newaxis]
    return np.pad(waves, [(0, rows - length), (0, 0)]).astype(np.float32)


def _mel_matrix(sample_rate: int, length: int, bands: int, low: float, high: float) -> np.ndarray:
    """Returns the weight of each frequency in each band, float32 `[length // 2 + 1, bands]`."""
    frequencies = _mel(np.arange(1, length // 2 + 1) * sample_rate / length)[:, np.newaxis]
    points = np.linspace(_mel(low), _mel(high), bands + 2)
    rising = (frequencies - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - frequencies) / (points[2:] - points[1:-1])
    return np.pad(np.maximum(0, np.minimum(rising, falling)), [(1, 0), (0, 0)]).astype(np.float32)


def _mel(frequency: np.ndarray | float) -> np.ndarray | float:
    return _MEL_FACTOR * np.log1p(np.asarray(frequency) / _MEL_BREAK)
