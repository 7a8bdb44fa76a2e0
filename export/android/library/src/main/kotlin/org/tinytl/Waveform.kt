package org.tinytl

import kotlin.math.max
import kotlin.math.min

/** Turns recordings into the arrays of a model of waveforms, as the Python client does. */
public object Waveform {
    private const val FULL_SCALE = 32_768f // of a 16-bit sample

    /**
     * Returns the model's input for a recording of one channel, as `AudioRecord` gives it with `ENCODING_PCM_16BIT`.
     *
     * One that is too long loses as much at its start as at its end, of an odd number one more at its end; one that is
     * too short gets zeros in the same way.
     *
     * ```
     * val answer = model.infer(Waveform.of(samples, 16_000, checkNotNull(model.manifest.array)))
     * ```
     *
     * @param samples of 16 bits
     * @param sampleRate samples a second of the recording
     * @param input of the model, [Manifest.array]
     * @return numbers from -1 to 1, [ArrayInput.size] of them
     * @throws InputException if the recording has another rate than the model, or no sample, or the model takes no
     *   waveform
     */
    @JvmStatic
    public fun of(
        samples: ShortArray,
        sampleRate: Int,
        input: ArrayInput,
    ): FloatArray {
        if (input.sampleRate == 0 || input.shape.size != 1) {
            throw InputException(
                "expected a model of waveforms, arrays of one size with a sample_rate, got one of ${input.shape} " +
                    "with ${input.sampleRate}; export it with the sample_rate of its recordings",
            )
        }
        if (sampleRate != input.sampleRate) {
            throw InputException(
                "expected a recording of ${input.sampleRate} samples a second, got $sampleRate; record at that rate",
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
