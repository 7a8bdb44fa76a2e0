package org.tinytl

import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Reads the orientation of the golden photos and of damaged ones. */
class ExifOrientationTest {
    private val photos = Golden.json("pixels.json").getJSONArray("photos").objects()

    @Test
    fun `the golden photos have the golden orientations`() {
        for (photo in photos) {
            val content = Golden.file("photos/${photo.getString("photo")}").readBytes()
            assertEquals(photo.getString("photo"), photo.getInt("orientation"), ExifOrientation.read(content))
        }
        assertTrue(photos.map { it.getInt("orientation") }.toSet().size > 5)
    }

    @Test
    fun `both byte orders and both types are read, and nothing else`() {
        for (order in listOf(ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN)) {
            assertEquals(8, ExifOrientation.read(jpeg(order, type = 3, value = 8)))
            assertEquals(8, ExifOrientation.read(jpeg(order, type = 4, value = 8)))
            assertEquals(1, ExifOrientation.read(jpeg(order, type = 2, value = 8)))
            for (value in listOf(0, 9, -1)) {
                assertEquals(1, ExifOrientation.read(jpeg(order, type = 3, value = value)))
            }
        }
    }

    @Test
    fun `WebP is read`() {
        val tiff = tiff(ByteOrder.LITTLE_ENDIAN, 3, 6)
        val file = ByteBuffer.allocate(12 + 8 + 4 + 8 + tiff.size).order(ByteOrder.LITTLE_ENDIAN)
        file.put("RIFF".toByteArray()).putInt(file.capacity() - 8).put("WEBP".toByteArray())
        file.put("ICCP".toByteArray()).putInt(3).put(ByteArray(4))
        file.put("EXIF".toByteArray()).putInt(tiff.size).put(tiff)
        assertEquals(6, ExifOrientation.read(file.array()))
    }

    @Test
    fun `a file that is cut anywhere is upright or right, and ends`() {
        for (photo in photos.filter { it.getInt("orientation") != 1 }) {
            val content = Golden.file("photos/${photo.getString("photo")}").readBytes()
            for (length in 0 until minOf(content.size, 400)) {
                val orientation = ExifOrientation.read(content.copyOf(length))
                assertTrue(orientation == Pixels.UPRIGHT || orientation == photo.getInt("orientation"))
            }
        }
    }

    @Test
    fun `a file with any byte changed ends`() {
        val content = jpeg(ByteOrder.BIG_ENDIAN, 3, 8)
        for (index in content.indices) {
            for (value in listOf(0, 1, 0x7F, 0x80, 0xFF)) {
                val changed = content.copyOf().also { it[index] = value.toByte() }
                assertTrue(ExifOrientation.read(changed) in 1..8)
            }
        }
    }

    private fun jpeg(
        order: ByteOrder,
        type: Int,
        value: Int,
    ): ByteArray {
        val tiff = tiff(order, type, value)
        val file = ByteBuffer.allocate(2 + 6 + 4 + 6 + tiff.size + 4)
        file.putShort(0xFFD8.toShort())
        file.putShort(0xFFE0.toShort()).putShort(4).putShort(0)
        file.putShort(0xFFE1.toShort()).putShort((2 + 6 + tiff.size).toShort())
        file.put("Exif".toByteArray()).putShort(0).put(tiff)
        file.putShort(0xFFDA.toShort()).putShort(2)
        return file.array()
    }

    private fun tiff(
        order: ByteOrder,
        type: Int,
        value: Int,
    ): ByteArray {
        val block = ByteBuffer.allocate(8 + 2 + 24).order(order)
        block.put((if (order == ByteOrder.BIG_ENDIAN) "MM" else "II").toByteArray()).putShort(42).putInt(8)
        block.putShort(2)
        block
            .putShort(0x010F)
            .putShort(2)
            .putInt(4)
            .putInt(0)
        block.putShort(0x0112).putShort(type.toShort()).putInt(1)
        if (type == 4) block.putInt(value) else block.putShort(value.toShort())
        return block.array()
    }
}
