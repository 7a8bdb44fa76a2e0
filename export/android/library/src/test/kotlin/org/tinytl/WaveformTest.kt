package org.tinytl

import org.junit.Assert.assertEquals
import org.junit.Test

/** Turns recordings into arrays. */
class WaveformTest {
    private val samples = ShortArray(7) { (it + 1).toShort() }

    @Test
    fun `the middle of a long recording is kept, and a short one gets zeros around it`() {
        val expected =
            mapOf(
                7 to listOf(1, 2, 3, 4, 5, 6, 7),
                5 to listOf(2, 3, 4, 5, 6),
                4 to listOf(2, 3, 4, 5),
                1 to listOf(4),
                8 to listOf(1, 2, 3, 4, 5, 6, 7, 0),
                10 to listOf(0, 1, 2, 3, 4, 5, 6, 7, 0, 0),
            )
        for ((size, values) in expected) {
            assertEquals(values, Waveform.of(samples, 8000, input(size)).map { (it * 32768).toInt() })
        }
    }

    @Test
    fun `samples are from -1 to 1`() {
        val ends = shortArrayOf(Short.MIN_VALUE, Short.MAX_VALUE)
        assertEquals(listOf(-1f, 32767 / 32768f), Waveform.of(ends, 8000, input(2)).toList())
    }

    @Test
    fun `another rate, no samples and a model of other arrays are refused`() {
        refused("8000 samples per second, got 16000") { Waveform.of(samples, 16_000, input(4)) }
        refused("without samples") { Waveform.of(ShortArray(0), 8000, input(4)) }
        refused("model of waveforms", "[4]") { Waveform.of(samples, 0, ArrayInput(listOf(4), "", 0)) }
        refused("model of waveforms", "[4, 2]") { Waveform.of(samples, 8000, ArrayInput(listOf(4, 2), "", 8000)) }
    }

    private fun input(size: Int) = ArrayInput(listOf(size), "", 8000)
}
