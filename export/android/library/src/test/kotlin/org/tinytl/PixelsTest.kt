package org.tinytl

import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.abs

/** From decoded photos to the model's input, against the golden pixels. */
class PixelsTest {
    private val golden = Golden.json("pixels.json")
    private val photos = golden.getJSONArray("photos").objects()
    private val height = golden.getJSONArray("size").getInt(0)
    private val width = golden.getJSONArray("size").getInt(1)

    @Test
    fun `lossless photos become the golden input`() {
        val decoded = photos.filter { !it.isNull("decoded") }
        assertTrue(decoded.size > 4)
        for (photo in decoded) {
            val image = decoded(photo)
            val pixels = Pixels.forInference(image, width, height, golden.getDouble("central_fraction"))
            check(photo, Golden.pixels(photo), pixels)
        }
    }

    @Test
    fun `sizes and boxes are the golden ones`() {
        assertEquals(golden.getInt("shrunk_side"), Pixels.shortSide(width, height))
        for (photo in photos) {
            val (photoHeight, photoWidth) = photo.getJSONArray("size").ints()
            val (shrunkHeight, shrunkWidth) = photo.getJSONArray("shrunk").ints()
            assertEquals(
                Pair(shrunkWidth, shrunkHeight),
                Pixels.shrunkSize(photoWidth, photoHeight, Pixels.shortSide(width, height)),
            )
            val box = CropBox.central(shrunkWidth, shrunkHeight, width, height, golden.getDouble("central_fraction"))
            val expected = photo.getJSONArray("box")
            val edges = doubleArrayOf(box.left, box.top, box.right, box.bottom)
            assertArrayEquals(DoubleArray(4) { expected.getDouble(it) }, edges, 1e-12)
        }
    }

    @Test
    fun `changes of training are the golden ones`() {
        val changes = golden.getJSONArray("changes").objects()
        assertTrue(changes.size >= 10)
        for (change in changes) {
            val photo = photos.single { it.getString("photo") == change.getString("photo") }
            val shrunk = Pixels.shrink(decoded(photo), Pixels.shortSide(width, height))
            val (left, top, right, bottom) = List(4) { change.getJSONArray("box").getDouble(it) }
            var image = Pixels.resize(shrunk, width, height, CropBox(left, top, right, bottom))
            if (change.getBoolean("flip")) {
                image = Pixels.flip(image)
            }
            val amount = change.getDouble("amount")
            when (change.optString("color")) {
                "brightness" -> image = Colors.brightness(image, amount)
                "contrast" -> image = Colors.contrast(image, amount)
                "saturation" -> image = Colors.saturation(image, amount)
                "hue" -> image = Colors.hue(image, amount)
            }
            check(change, Golden.pixels(change), image.pixels)
        }
    }

    @Test
    fun `each orientation turns as EXIF says`() {
        // a b c
        // d e f
        val upright =
            mapOf(
                1 to "abc/def",
                2 to "cba/fed",
                3 to "fed/cba",
                4 to "def/abc",
                5 to "ad/be/cf",
                6 to "da/eb/fc",
                7 to "fc/eb/da",
                8 to "cf/be/ad",
            )
        val stored = image("abc/def")
        for ((orientation, expected) in upright) {
            val turned = Pixels.upright(stored, orientation)
            val wanted = image(expected)
            assertEquals("$orientation", listOf(wanted.width, wanted.height), listOf(turned.width, turned.height))
            assertArrayEquals("$orientation", wanted.pixels, turned.pixels)
        }
    }

    @Test
    fun `an image of another size is refused`() {
        refused("11 bytes for 2 x 2") { RgbImage(2, 2, ByteArray(11)) }
        refused("0 x 2") { RgbImage(0, 2, ByteArray(0)) }
        refused("2147483647") { RgbImage(Int.MAX_VALUE, Int.MAX_VALUE, ByteArray(3)) }
    }

    @Test
    fun `a box out of the image is refused`() {
        val image = RgbImage(2, 2, ByteArray(12))
        val boxes =
            listOf(CropBox(-1.0, 0.0, 2.0, 2.0), CropBox(0.0, 0.0, 3.0, 2.0), CropBox(1.0, 0.0, 1.0, 2.0))
        for (box in boxes + CropBox(0.0, Double.NaN, 2.0, 2.0)) {
            refused("2 x 2 pixels") { Pixels.resize(image, 2, 2, box) }
        }
    }

    private fun decoded(photo: JSONObject): RgbImage {
        val (photoHeight, photoWidth) = photo.getJSONArray("size").ints()
        return RgbImage(photoWidth, photoHeight, Golden.file(photo.getString("decoded")).readBytes())
    }

    private fun check(
        what: JSONObject,
        expected: ByteArray,
        actual: ByteArray,
    ) {
        val tolerance = golden.getJSONObject("tolerances").getJSONObject(what.getString("tolerance"))
        assertEquals(expected.size, actual.size)
        val differences = expected.indices.map { abs((expected[it].toInt() and 0xFF) - (actual[it].toInt() and 0xFF)) }
        val name = what.getString("pixels")
        println("pixels: $name differs by ${differences.max()} at most, by ${differences.average()} on average")
        assertTrue("$name: ${differences.max()}", differences.max() <= tolerance.getInt("largest"))
        assertTrue("$name: ${differences.average()}", differences.average() <= tolerance.getDouble("mean"))
    }

    private fun image(rows: String): RgbImage {
        val lines = rows.split("/")
        val bytes = lines.joinToString("").flatMap { letter -> List(3) { (letter.code + it).toByte() } }
        return RgbImage(lines[0].length, lines.size, bytes.toByteArray())
    }
}
