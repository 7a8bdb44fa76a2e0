package org.tinytl

/**
 * The same random numbers in all clients: SplitMix64, started at a number made from the stream's name.
 *
 * `docs/formats.md` has the arithmetic.
 *
 * ```
 * val order = RandomStream(seed, epoch, 0).permutation(photos)
 * ```
 *
 * @param names numbers that name the stream, each from 0 to 2^53 - 1
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

    /** A number in [0, 1), uniform. */
    public fun unit(): Double = (draw() ushr DROPPED_BITS) * UNIT

    /** A number from [from] to [to], uniform. */
    public fun uniform(
        from: Double,
        to: Double,
    ): Double = from + (to - from) * unit()

    /** A whole number from 0 to [count] - 1, uniform. */
    public fun integer(count: Int): Int = (count * unit()).toInt()

    /** The numbers from 0 to [count] - 1 in random order. */
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
        /** The largest number that can name a stream; a Double has room for it. */
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
