package org.tinytl

import android.graphics.Bitmap
import android.net.Uri
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.FileNotFoundException
import java.security.MessageDigest
import kotlin.math.abs

/** Decodes the golden photos with Android's own decoders. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34], manifest = Config.NONE)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class PhotoDecoderTest {
    private val golden = Golden.json("pixels.json")
    private val photos = golden.getJSONArray("photos").objects()
    private val height = golden.getJSONArray("size").getInt(0)
    private val width = golden.getJSONArray("size").getInt(1)
    private val shortSide = golden.getInt("shrunk_side")

    @Test
    fun `the golden photos become the golden input`() {
        assertTrue(photos.size >= 12)
        for (photo in photos) {
            check(photo, Photo.of(file(photo)).read(shortSide))
        }
    }

    @Test
    fun `sizes are upright and shrunk`() {
        for (photo in photos) {
            val (shrunkHeight, shrunkWidth) = photo.getJSONArray("shrunk").ints()
            val image = PhotoDecoder.decode(file(photo).readBytes(), shortSide)
            assertEquals(photo.getString("photo"), shrunkWidth to shrunkHeight, image.width to image.height)
        }
    }

    @Test
    fun `a JPEG is decoded at a part of its size that is never too small`() {
        assertEquals(8, PhotoDecoder.reduction(8160, 6120, 560))
        assertEquals(4, PhotoDecoder.reduction(4000, 3000, 560))
        assertEquals(2, PhotoDecoder.reduction(1120, 1120, 560))
        assertEquals(1, PhotoDecoder.reduction(1119, 1119, 560))
        assertEquals(1, PhotoDecoder.reduction(100, 4000, 560))
    }

    @Test
    fun `a JPEG that is decoded at a part of its size is as large afterwards as another file`() {
        for ((width, height) in listOf(401 to 323, 323 to 401, 643 to 999, 645 to 1001, 1283 to 1999, 1285 to 2000)) {
            val bitmap = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888)
            val jpeg =
                ByteArrayOutputStream()
                    .also {
                        bitmap.compress(
                            Bitmap.CompressFormat.JPEG,
                            50,
                            it,
                        )
                    }.toByteArray()
            bitmap.recycle()
            val image = PhotoDecoder.decode(jpeg, 160)
            assertEquals(Pixels.shrunkSize(width, height, 160), image.width to image.height)
        }
    }

    @Test
    fun `the digest is that of the file`() {
        val file = file(photos.first())
        assertArrayEquals(MessageDigest.getInstance("SHA-256").digest(file.readBytes()), Photo.of(file).digest())
        refused("none.jpg", "take the photo again") { Photo.of(File("none.jpg")).digest() }
        refused("gone") { Photo("it") { throw FileNotFoundException("gone") }.digest() }
    }

    @Test
    fun `a photo of 50 megapixels is never in memory whole`() {
        val size = 7072
        val bitmap = Bitmap.createBitmap(size, size, Bitmap.Config.RGB_565)
        val jpeg = ByteArrayOutputStream().also { bitmap.compress(Bitmap.CompressFormat.JPEG, 50, it) }.toByteArray()
        val png = ByteArrayOutputStream().also { bitmap.compress(Bitmap.CompressFormat.PNG, 50, it) }.toByteArray()
        bitmap.recycle()
        val image = PhotoDecoder.decode(jpeg, 560)
        assertEquals(560 to 560, image.width to image.height)
        refused("a big one", "50013184", "save it as JPEG") { PhotoDecoder.decode(png, 560, "a big one") }
    }

    @Test
    fun `bitmaps of each kind become RGB on white`() {
        val red = 0x80FF0000.toInt()
        val bitmap = Bitmap.createBitmap(intArrayOf(red, 0, -1, 0xFF0000FF.toInt()), 2, 2, Bitmap.Config.ARGB_8888)
        val levels = PhotoDecoder.toRgb(bitmap).pixels.map { it.toInt() and 0xFF }
        assertEquals(listOf(255, 127, 127, 255, 255, 255, 255, 255, 255, 0, 0, 255), levels)
        val small = Bitmap.createBitmap(intArrayOf(-1, 0xFF000000.toInt()), 2, 1, Bitmap.Config.RGB_565)
        assertArrayEquals(byteArrayOf(-1, -1, -1, 0, 0, 0), PhotoDecoder.toRgb(small).pixels)
    }

    @Test
    fun `a photo of another app is read`() {
        val resolver = RuntimeEnvironment.getApplication().contentResolver
        val uri = Uri.parse("content://photos/1")
        shadowOf(resolver).registerInputStreamSupplier(uri) { file(photos.first()).inputStream() }
        val image = Photo.of(resolver, uri)
        assertEquals("content://photos/1", image.name)
        repeat(2) { check(photos.first(), image.read(shortSide)) }
    }

    @Test
    fun `what is no photo is refused and named`() {
        refused("cat.jpg", "leave it out") { PhotoDecoder.decode(ByteArray(100), 160, "cat.jpg") }
        refused("the photo") { PhotoDecoder.decode(ByteArray(0), 160) }
        refused("none.jpg", "take the photo again") { Photo.of(File("none.jpg")).read(160) }
        refused("gone") { Photo("it") { throw FileNotFoundException("gone") }.read(160) }
        val cut = file(photos.first()).readBytes().copyOf(200)
        refused("the photo") { PhotoDecoder.decode(cut, 160) }
    }

    private fun file(photo: JSONObject) = Golden.file("photos/${photo.getString("photo")}")

    private fun check(
        photo: JSONObject,
        image: RgbImage,
    ) {
        val expected = Golden.pixels(photo)
        val actual = Pixels.forInference(image, width, height, golden.getDouble("central_fraction"))
        val tolerance = golden.getJSONObject("tolerances").getJSONObject(photo.getString("tolerance"))
        val differences = expected.indices.map { abs((expected[it].toInt() and 0xFF) - (actual[it].toInt() and 0xFF)) }
        val name = photo.getString("photo")
        println("photo: $name differs by ${differences.max()} at most, by ${differences.average()} on average")
        assertTrue("$name: ${differences.max()}", differences.max() <= tolerance.getInt("largest"))
        assertTrue("$name: ${differences.average()}", differences.average() <= tolerance.getDouble("mean"))
    }
}
