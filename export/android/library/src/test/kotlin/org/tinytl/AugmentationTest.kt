package org.tinytl

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.Random
import kotlin.math.abs
import kotlin.math.ln

/** Distributions of the random changes. */
class AugmentationTest {
    @Test
    fun `boxes lie in the photo and have the areas and aspects that were asked for`() {
        val augmentation = Augmentation()
        val random = Random(1)
        val areas = ArrayList<Double>()
        val aspects = ArrayList<Double>()
        repeat(20_000) {
            val box = augmentation.randomBox(1000, 1000, random)
            assertTrue("$box", box.left >= 0 && box.top >= 0 && box.right <= 1000 && box.bottom <= 1000)
            val width = box.right - box.left
            val height = box.bottom - box.top
            areas += width * height / 1e6
            aspects += ln(width / height)
        }
        assertTrue("${areas.min()} ${areas.max()}", areas.min() > 0.219 && areas.max() <= 1.0)
        assertTrue("${aspects.min()} ${aspects.max()}", aspects.min() > ln(0.747) && aspects.max() < ln(1.338))
        assertEquals(0.0, aspects.average(), 0.01)
        // Up to 3/4 each aspect fits, so that areas are uniform.
        assertEquals(0.18 / 0.53, areas.count { it < 0.4 } / areas.count { it < 0.75 }.toDouble(), 0.02)
    }

    @Test
    fun `what never fits becomes the largest central part`() {
        val augmentation = Augmentation(cropArea = 1.0..1.0)
        assertEquals(CropBox(4.0, 0.0, 17.0, 10.0), augmentation.randomBox(21, 10, Random(1)))
        assertEquals(CropBox(0.0, 4.0, 10.0, 17.0), augmentation.randomBox(10, 21, Random(1)))
    }

    @Test
    fun `half of the photos are mirrored`() {
        val image = RgbImage(2, 1, byteArrayOf(0, 0, 0, 9, 9, 9))
        val augmentation = Augmentation(crop = false)
        val random = Random(1)
        val mirrored = (1..10_000).count { augmentation.apply(image, 2, 1, 1.0, random).pixels[0].toInt() == 9 }
        assertEquals(5000.0, mirrored.toDouble(), 200.0)
        val still = Augmentation(crop = false, flip = false)
        assertTrue((1..100).all { still.apply(image, 2, 1, 1.0, random).pixels[0].toInt() == 0 })
    }

    @Test
    fun `colors change by the factors that were asked for`() {
        val gray = RgbImage(1, 1, byteArrayOf(100, 100, 100))
        val random = Random(1)
        val augmentation = Augmentation(crop = false, flip = false, color = ColorChange.TORCH)
        val levels = (1..10_000).map { augmentation.apply(gray, 1, 1, 1.0, random).pixels.toList() }
        assertTrue(levels.all { it.distinct().size == 1 })
        val first = levels.map { it[0].toInt() and 0xFF }
        assertTrue("${first.min()} ${first.max()}", first.min() in 60..61 && first.max() in 138..140)
        assertEquals(100.0, first.average(), 1.0)
    }

    @Test
    fun `ranges that are empty are refused`() {
        refused("crop area") { Augmentation(cropArea = 0.0..1.0) }
        refused("crop area") { Augmentation(cropArea = 0.5..1.1) }
        refused("crop area") { Augmentation(cropArea = 0.5..0.4) }
        refused("crop aspect") { Augmentation(cropAspect = Double.NaN..1.0) }
        refused("crop aspect") { Augmentation(cropAspect = 1.0..Double.POSITIVE_INFINITY) }
    }

    @Test
    fun `rates follow the schedules`() {
        val rates = (0..4).map { LearningRateSchedule.COSINE.rate(it, 4, 2.0) }
        listOf(2.0, 1.7071067811865475, 1.0, 0.2928932188134524, 0.0).forEachIndexed { step, expected ->
            assertTrue(abs(rates[step] - expected) < 1e-15)
        }
        assertEquals(2.0, LearningRateSchedule.CONSTANT.rate(3, 4, 2.0), 0.0)
    }
}
