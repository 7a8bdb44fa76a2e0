package org.tinytl

/**
 * Input of a model of arrays, from its manifest: a window of sensors, a spectrogram, a waveform, a row of a table.
 *
 * Scaling and feature extraction are inside the model: pass raw numbers.
 *
 * @property shape sizes of one array without the batch, 1 to 3 of them; numbers are in row-major order: the last axis
 *   varies fastest
 * @property meaning meaning of the axes and the numbers, for people; it may be empty
 * @property sampleRate samples per second of a waveform, see [Waveform]; 0 for all other arrays
 */
public data class ArrayInput(
    val shape: List<Int>,
    val meaning: String,
    val sampleRate: Int,
) {
    /** Number of elements of one array. */
    public val size: Int
        get() = shape.fold(1, Math::multiplyExact)

    /**
     * Checks an array before anything runs.
     *
     * @param what name of the array in errors
     * @throws InputException if the array has a different size, or a number is not finite
     */
    internal fun check(
        what: String,
        array: FloatArray,
    ) {
        if (array.size != size) {
            throw InputException(
                "expected $what of $size numbers, $shape in row-major order, got ${array.size}; record it in this " +
                    "shape",
            )
        }
        val bad = array.indexOfFirst { it.isNaN() || it.isInfinite() }
        if (bad >= 0) {
            throw InputException(
                "expected finite numbers in $what, got ${array[bad]} at ${place(bad)}; leave that one out",
            )
        }
    }

    private fun place(index: Int): List<Int> {
        val place = ArrayList<Int>()
        var rest = index
        for (length in shape.reversed()) {
            place.add(0, rest % length)
            rest /= length
        }
        return place
    }
}
