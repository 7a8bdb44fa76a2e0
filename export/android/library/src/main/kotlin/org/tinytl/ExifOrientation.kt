package org.tinytl

import java.nio.BufferUnderflowException
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * Reads the EXIF orientation of a JPEG, PNG or WebP.
 *
 * Android's decoders of other formats rotate photos themselves.
 */
public object ExifOrientation {
    private const val MARKER = 0xFF
    private const val JPEG_START = 0xFFD8
    private const val JPEG_SCAN = 0xDA
    private const val JPEG_END = 0xD9
    private const val JPEG_APP1 = 0xE1
    private const val PNG_START = 0x89504E470D0A1A0AuL
    private const val PNG_EXIF = 0x65584966
    private const val PNG_END = 0x49454E44
    private const val CHECKSUM_BYTES = 4
    private const val WEBP_EXIF = 0x45584946
    private const val RIFF = 0x52494646
    private const val WEBP = 0x57454250
    private const val RIFF_HEADER_BYTES = 12
    private const val TAG = 0x0112
    private const val TAG_BYTES = 12
    private const val TYPE_SHORT = 3
    private const val TYPE_LONG = 4
    private const val LITTLE_ENDIAN = 0x4949
    private const val BYTE = 0xFF
    private const val SHORT = 0xFFFF
    private val exif = "Exif\u0000\u0000".toByteArray(Charsets.US_ASCII)

    /**
     * Returns the orientation of a photo, 1 to 8; [Pixels.UPRIGHT] if the file lacks it.
     *
     * @param file all bytes of the file
     */
    @JvmStatic
    public fun read(file: ByteArray): Int {
        val orientation =
            try {
                block(ByteBuffer.wrap(file))?.let { tag(it) }
            } catch (_: BufferUnderflowException) {
                null // truncated
            } catch (_: IllegalArgumentException) {
                null // an offset outside of the file
            } catch (_: IndexOutOfBoundsException) {
                null // an offset outside of the file
            }
        return orientation?.takeIf { it in 1..8 } ?: Pixels.UPRIGHT
    }

    /** Returns the EXIF block of the file, which begins with the byte order. */
    private fun block(file: ByteBuffer): ByteBuffer? =
        when {
            file.getShort(0).toInt() and SHORT == JPEG_START -> jpegBlock(file)
            file.getLong(0).toULong() == PNG_START -> pngBlock(file)
            file.getInt(0) == RIFF && file.getInt(8) == WEBP -> webpBlock(file.order(ByteOrder.LITTLE_ENDIAN))
            else -> null
        }

    private fun jpegBlock(file: ByteBuffer): ByteBuffer? {
        file.position(2)
        while (file.get().toInt() and BYTE == MARKER) {
            var marker = file.get().toInt() and BYTE
            while (marker == MARKER) {
                marker = file.get().toInt() and BYTE
            }
            if (marker == JPEG_SCAN || marker == JPEG_END) {
                return null
            }
            val length = (file.getShort().toInt() and SHORT) - Short.SIZE_BYTES
            val segment = part(file, length)
            if (marker == JPEG_APP1 && startsWithExif(segment)) {
                return afterExif(segment)
            }
        }
        return null
    }

    private fun pngBlock(file: ByteBuffer): ByteBuffer? {
        file.position(Long.SIZE_BYTES)
        while (true) {
            val length = file.getInt()
            val type = file.getInt()
            val chunk = part(file, length)
            if (type == PNG_EXIF) {
                return chunk
            }
            if (type == PNG_END) {
                return null
            }
            part(file, CHECKSUM_BYTES)
        }
    }

    private fun webpBlock(file: ByteBuffer): ByteBuffer? {
        file.position(RIFF_HEADER_BYTES)
        while (file.remaining() >= Long.SIZE_BYTES) {
            val type = Integer.reverseBytes(file.getInt())
            val length = file.getInt()
            val chunk = part(file, length)
            if (type == WEBP_EXIF) {
                return if (startsWithExif(chunk)) afterExif(chunk) else chunk
            }
            if (length % 2 == 1) {
                file.get()
            }
        }
        return null
    }

    /** Returns the next [length] bytes and moves past them. */
    private fun part(
        file: ByteBuffer,
        length: Int,
    ): ByteBuffer {
        val end = file.position() + length
        val part = file.slice()
        part.limit(length)
        file.position(end)
        return part
    }

    private fun startsWithExif(block: ByteBuffer) =
        block.remaining() >= exif.size && exif.indices.all { block.get(it) == exif[it] }

    private fun afterExif(block: ByteBuffer): ByteBuffer {
        block.position(exif.size)
        return block.slice()
    }

    private fun tag(block: ByteBuffer): Int? {
        val isLittle = block.getShort(0).toInt() == LITTLE_ENDIAN
        block.order(if (isLittle) ByteOrder.LITTLE_ENDIAN else ByteOrder.BIG_ENDIAN)
        val directory = block.getInt(Int.SIZE_BYTES)
        val count = block.getShort(directory).toInt() and SHORT
        for (index in 0 until count) {
            val start = directory + Short.SIZE_BYTES + index * TAG_BYTES
            if (block.getShort(start).toInt() and SHORT == TAG) {
                return when (block.getShort(start + 2).toInt()) {
                    TYPE_SHORT -> block.getShort(start + 8).toInt()
                    TYPE_LONG -> block.getInt(start + 8)
                    else -> null
                }
            }
        }
        return null
    }
}
