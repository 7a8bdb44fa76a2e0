package org.tinytl

import kotlin.math.max
import kotlin.math.min

/** Converts recordings to the input of a model of waveforms, as the Python client does. */
public object Waveform {
    private const val FULL_SCALE = 32_768f // of 16-bit samples

    /**
     * Returns the model's input for a mono recording, for example from `AudioRecord` with `ENCODING_PCM_16BIT`.
     *
     * A recording that is too long loses the same number of samples at its start and its end (one more at its end if
     * the number is odd); a recording that is too short is padded with zeros in the same way.
     *
     * ```
     * val answer = model.infer(Waveform.of(samples, 16_000, checkNotNull(model.manifest.array)))
     * ```
     *
     * @param samples 16-bit samples
     * @param sampleRate samples per second of the recording
     * @param input input of the model, [Manifest.array]
     * @return [ArrayInput.size] numbers from -1 to 1
     * @throws InputException if the recording has a different sample rate than the model or is empty, or the model does
     *   not take waveforms
     */
    @JvmStatic
    public fun of(
        samples: ShortArray,
        sampleRate: Int,
        input: ArrayInput,
    ): FloatArray {
        if (input.sampleRate == 0 || input.shape.size != 1) {
            throw InputException(
                "expected a model of waveforms, which has a sample_rate and arrays with one axis, got arrays of " +
                    "${input.shape} and the sample_rate ${input.sampleRate}; export it with the sample_rate of " +
                    "its recordings",
            )
        }
        if (sampleRate != input.sampleRate) {
            throw InputException(
                "expected a recording of ${input.sampleRate} samples per second, got $sampleRate; record at that rate",
            )
        }
        if (samples.isEmpty()) {
            throw InputException("expected a recording, got one without samples; record it again")
        }
        val result = FloatArray(input.size)
        val cut = max(0, samples.size - result.size) / 2
        val silent = max(0, result.size - samples.size) / 2
        for (index in 0 until min(samples.size, result.size)) {
            result[silent + index] = samples[cut + index] / FULL_SCALE
        }
        return result
    }
}
