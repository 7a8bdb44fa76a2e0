package org.tinytl

/**
 * Input of a model of arrays, from its manifest: a window of sensors, a spectrogram, a waveform, a row of a table.
 *
 * Scaling and features are inside the model: give the numbers as they are.
 *
 * @property shape sizes of one array, 1 to 3 of them, without the batch; numbers are in row-major order, the last axis
 *   the fastest
 * @property meaning meaning of the axes and the numbers, for people; it may be empty
 * @property sampleRate samples per second of a waveform, see [Waveform]; 0 for all other arrays
 */
public data class ArrayInput(
    val shape: List<Int>,
    val meaning: String,
    val sampleRate: Int,
) {
    /** Number of its numbers. */
    public val size: Int
        get() = shape.fold(1, Math::multiplyExact)

    /**
     * Checks an array before anything runs.
     *
     * @param what its name in errors
     * @throws InputException if it has another size, or a number of it is not finite
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
