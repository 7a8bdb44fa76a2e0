package org.tinytl

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** Streams of random numbers, against values of a second implementation of `docs/formats.md`. */
class RandomStreamTest {
    @Test
    fun `draws are those of SplitMix64`() {
        // The first output of SplitMix64 with seed 0 is 0xE220A8397B1DCDAF, as its authors publish it.
        assertEquals(0xE220A8397B1DCDAFuL.toLong() ushr 11, bits(RandomStream()))
        assertEquals(0xA706DD2F4D197E6FuL.toLong() ushr 11, bits(RandomStream(0)))
        val stream = RandomStream(1, 2, 3)
        for (expected in listOf(0x12588D809DCE88A7uL, 0xDD034EA7D44E8739uL, 0x5B70C9B40C7440B6uL)) {
            assertEquals(expected.toLong() ushr 11, bits(stream))
        }
        assertEquals(0xEB6A22A7EDCB5262uL.toLong() ushr 11, bits(RandomStream(RandomStream.MOST)))
    }

    @Test
    fun `numbers are made of the draws`() {
        val stream = RandomStream(1, 2, 3)
        assertEquals(0.07166370763826013, stream.unit(), 0.0)
        assertEquals(4.043322002237025, stream.uniform(-2.0, 5.0), 0.0)
        assertEquals(357, stream.integer(1000))
        assertArrayEquals(intArrayOf(4, 8, 0, 3, 2, 1, 6, 7, 9, 5), stream.permutation(10))
        assertEquals(0, RandomStream(5).permutation(0).size)
    }

    @Test
    fun `each name makes another stream`() {
        val streams = listOf(longArrayOf(), longArrayOf(0), longArrayOf(0, 0), longArrayOf(0, 1), longArrayOf(1, 0))
        assertEquals(streams.size, streams.map { bits(RandomStream(*it)) }.toSet().size)
    }

    @Test
    fun `numbers are uniform`() {
        val stream = RandomStream(9)
        val counts = IntArray(10)
        repeat(100_000) { counts[stream.integer(10)]++ }
        assertTrue(counts.toList().toString(), counts.all { it in 9_700..10_300 })
        val firsts = IntArray(4)
        repeat(40_000) { firsts[RandomStream(it.toLong()).permutation(4)[0]]++ }
        assertTrue(firsts.toList().toString(), firsts.all { it in 9_700..10_300 })
    }

    @Test
    fun `names that do not fit into a double are refused`() {
        for (name in listOf(-1L, RandomStream.MOST + 1, Long.MIN_VALUE)) {
            refused("0 to 9007199254740991", "$name") { RandomStream(0, name) }
        }
    }

    private fun bits(stream: RandomStream): Long = (stream.unit() * (1L shl 53)).toLong()
}
