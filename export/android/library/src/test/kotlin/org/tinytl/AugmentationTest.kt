package org.tinytl

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.abs
import kotlin.math.ln

/** Distributions of the random changes. */
class AugmentationTest {
    private val central = CropBox(0.0, 0.0, 1.0, 1.0)

    @Test
    fun `boxes lie in the photo and have the areas and aspects that were asked for`() {
        val augmentation = Augmentation()
        val stream = RandomStream(1)
        val areas = ArrayList<Double>()
        val aspects = ArrayList<Double>()
        repeat(20_000) {
            val box = augmentation.draw(1000, 1000, central, stream).box
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
    fun `boxes lie anywhere in the photo`() {
        val augmentation = Augmentation(cropArea = 0.25..0.25, cropAspect = 1.0..1.0)
        val stream = RandomStream(2)
        val boxes = List(2000) { augmentation.draw(100, 200, central, stream).box }
        assertEquals(0.0, boxes.minOf { it.left }, 0.0)
        assertEquals(100.0, boxes.maxOf { it.right }, 0.0)
        assertEquals(0.0, boxes.minOf { it.top }, 1.0)
        assertEquals(200.0, boxes.maxOf { it.bottom }, 1.0)
        assertEquals(100.0, boxes.map { (it.top + it.bottom) / 2 }.average(), 3.0)
    }

    @Test
    fun `what never fits becomes the largest central part`() {
        val augmentation = Augmentation(cropArea = 1.0..1.0)
        val stream = RandomStream(1)
        assertEquals(CropBox(4.0, 0.0, 17.0, 10.0), augmentation.draw(21, 10, central, stream).box)
        assertEquals(CropBox(0.0, 4.0, 10.0, 17.0), augmentation.draw(10, 21, central, stream).box)
    }

    @Test
    fun `half of the photos are mirrored`() {
        val image = RgbImage(2, 1, byteArrayOf(0, 0, 0, 9, 9, 9))
        val whole = CropBox(0.0, 0.0, 2.0, 1.0)
        val stream = RandomStream(1)
        val augmentation = Augmentation(crop = false)
        val mirrored =
            (1..10_000).count {
                augmentation
                    .draw(2, 1, whole, stream)
                    .apply(image, 2, 1)
                    .pixels[0]
                    .toInt() == 9
            }
        assertEquals(5000.0, mirrored.toDouble(), 200.0)
        val still = Augmentation(crop = false, flip = false)
        assertTrue(
            (1..100).all {
                still
                    .draw(2, 1, whole, stream)
                    .apply(image, 2, 1)
                    .pixels[0]
                    .toInt() == 0
            },
        )
    }

    @Test
    fun `colors change by the factors that were asked for`() {
        val gray = RgbImage(1, 1, byteArrayOf(100, 100, 100))
        val stream = RandomStream(1)
        val augmentation = Augmentation(crop = false, flip = false, color = ColorChange.TORCH)
        val levels =
            (1..10_000).map {
                augmentation
                    .draw(1, 1, central, stream)
                    .apply(gray, 1, 1)
                    .pixels
                    .toList()
            }
        assertTrue(levels.all { it.distinct().size == 1 })
        val first = levels.map { it[0].toInt() and 0xFF }
        assertTrue("${first.min()} ${first.max()}", first.min() in 60..61 && first.max() in 138..140)
        assertEquals(100.0, first.average(), 1.0)
    }

    @Test
    fun `a change is applied in its order, the box first and the colors last`() {
        val pixels = byteArrayOf(0, 0, 0, 10, 20, 40, 50, 60, 70, 0, 0, 0)
        val image = RgbImage(4, 1, pixels)
        val box = CropBox(1.0, 0.0, 3.0, 1.0)
        val turned = PhotoChange(box, true, listOf(ColorKind.BRIGHTNESS to 1.0)).apply(image, 2, 1)
        assertEquals(listOf<Byte>(100, 120, -116, 20, 40, 80), turned.pixels.toList())
        val brightThenGray = listOf(ColorKind.BRIGHTNESS to 3.0, ColorKind.SATURATION to -1.0)
        val one = PhotoChange(box, false, brightThenGray).apply(image, 2, 1).pixels.toList()
        val other = PhotoChange(box, false, brightThenGray.reversed()).apply(image, 2, 1).pixels.toList()
        assertTrue("$one $other", one != other)
        assertEquals(1, one.take(3).distinct().size)
    }

    @Test
    fun `ranges that are empty are refused`() {
        refused("crop area", "give 0.22..1.0") { Augmentation(cropArea = 0.0..1.0) }
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
