package org.tinytl

/**
 * Random numbers that are the same in all clients: SplitMix64 with a key that is mixed from the names of the stream.
 *
 * `docs/formats.md` has the arithmetic.
 *
 * ```
 * val order = RandomStream(seed, epoch, 0).permutation(photos)
 * ```
 *
 * @param names integers that identify the stream, each from 0 to 2^53 - 1
 * @throws InputException if a number is out of range
 */
public class RandomStream(
    vararg names: Long,
) {
    private var state = 0L

    init {
        for (name in names) {
            if (name !in 0..MOST) {
                throw InputException("expected numbers of 0 to $MOST that name a stream, got $name; give a smaller one")
            }
            state = mix(state xor name)
        }
    }

    /** Returns a uniform number in [0, 1). */
    public fun unit(): Double = (draw() ushr DROPPED_BITS) * UNIT

    /** Returns a uniform number from [from] to [to]. */
    public fun uniform(
        from: Double,
        to: Double,
    ): Double = from + (to - from) * unit()

    /** Returns a uniform integer from 0 to [count] - 1. */
    public fun integer(count: Int): Int = (count * unit()).toInt()

    /** Returns the integers from 0 to [count] - 1 in random order. */
    public fun permutation(count: Int): IntArray {
        val result = IntArray(count) { it }
        for (last in count - 1 downTo 1) {
            val other = integer(last + 1)
            result[last] = result[other].also { result[other] = result[last] }
        }
        return result
    }

    private fun draw(): Long = mix(state).also { state += GAMMA }

    internal companion object {
        /** The largest integer that can identify a stream; a Double can represent it exactly. */
        const val MOST: Long = (1L shl 53) - 1

        private const val DROPPED_BITS = 11
        private const val UNIT = 1.0 / (1L shl 53)
        private const val GAMMA = -0x61C8864680B583EBL // 0x9E3779B97F4A7C15
        private const val FIRST_FACTOR = -0x40A7B892E31B1A47L // 0xBF58476D1CE4E5B9
        private const val SECOND_FACTOR = -0x6B2FB644ECCEEE15L // 0x94D049BB133111EB

        private fun mix(value: Long): Long {
            var bits = value + GAMMA
            bits = (bits xor (bits ushr 30)) * FIRST_FACTOR
            bits = (bits xor (bits ushr 27)) * SECOND_FACTOR
            return bits xor (bits ushr 31)
        }
    }
}
