package org.tinytl

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Color
import java.nio.ByteBuffer
import kotlin.math.min

/**
 * Decodes photos with Android's decoders: upright 8-bit RGB, transparent pixels on white, no color profile applied.
 *
 * A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, so it is never in memory at full size.
 */
public object PhotoDecoder {
    private const val JPEG = "image/jpeg"
    private const val MOST_REDUCTION = 8
    private const val MOST_WHOLE_PIXELS = 16_000_000L
    private const val BITMAP_CHANNELS = 4
    private const val BYTE = 0xFF
    private const val BLEND_BITS = 7
    private val TURNED = 5..8 // EXIF orientations that swap width and height
    private const val BLEND_HALF = 0x80 shl BLEND_BITS

    /**
     * Decodes a photo.
     *
     * @param file all bytes of the file: JPEG, PNG, WebP or another format that the device decodes
     * @param shortSide length of the short side in pixels to which a larger photo is shrunk, see [Pixels.shortSide]
     * @param name name of the photo in errors
     * @throws InputException if the photo cannot be decoded, or is too large
     */
    @JvmStatic
    @JvmOverloads
    public fun decode(
        file: ByteArray,
        shortSide: Int,
        name: String = "the photo",
    ): RgbImage {
        val options = BitmapFactory.Options()
        options.inJustDecodeBounds = true
        BitmapFactory.decodeByteArray(file, 0, file.size, options)
        if (options.outWidth < 1 || options.outHeight < 1) {
            throw undecodable(name)
        }
        val stored = Pair(options.outWidth, options.outHeight) // decoding overwrites them
        val isJpeg = options.outMimeType == JPEG
        val reduction = if (isJpeg) reduction(stored.first, stored.second, shortSide) else 1
        val pixels = stored.first.toLong() * stored.second / (reduction * reduction)
        if (pixels > MOST_WHOLE_PIXELS) {
            throw InputException(
                "expected $name to have at most $MOST_WHOLE_PIXELS pixels when decoded, got $pixels; shrink it or " +
                    "save it as JPEG",
            )
        }
        options.inJustDecodeBounds = false
        options.inSampleSize = reduction
        options.inPreferredConfig = Bitmap.Config.ARGB_8888
        options.inPremultiplied = false
        options.inScaled = false
        try {
            val bitmap = BitmapFactory.decodeByteArray(file, 0, file.size, options) ?: throw undecodable(name)
            val orientation = ExifOrientation.read(file)
            val image = Pixels.upright(toRgb(bitmap), orientation)
            bitmap.recycle()
            // From the original size: a size that is rounded twice may differ by a pixel from other clients.
            val (width, height) = Pixels.shrunkSize(stored.first, stored.second, shortSide)
            return if (orientation in TURNED) scaled(image, height, width) else scaled(image, width, height)
        } catch (error: OutOfMemoryError) {
            throw InputException("expected memory for $pixels pixels of $name, got too little; shrink it", error)
        }
    }

    /**
     * Converts a bitmap to an image, transparent pixels on white; the bitmap is not changed.
     *
     * @param bitmap any bitmap with upright pixels, for example a frame of the camera
     * @throws InputException if its pixels cannot be read
     */
    @JvmStatic
    public fun toRgb(bitmap: Bitmap): RgbImage {
        val plain = bitmap.config == Bitmap.Config.ARGB_8888
        val source =
            if (plain) {
                bitmap
            } else {
                bitmap.copy(Bitmap.Config.ARGB_8888, false)
                    ?: throw InputException("expected a bitmap that can be copied, got ${bitmap.config}; use ARGB_8888")
            }
        val buffer = ByteBuffer.allocate(source.byteCount)
        source.copyPixelsToBuffer(buffer)
        val isPremultiplied = source.isPremultiplied
        val stride = source.rowBytes
        if (!plain) {
            source.recycle()
        }
        val from = buffer.array()
        val order = channelOrder
        val to = ByteArray(RgbImage.CHANNELS * bitmap.width * bitmap.height)
        var target = 0
        for (y in 0 until bitmap.height) {
            for (start in y * stride until y * stride + BITMAP_CHANNELS * bitmap.width step BITMAP_CHANNELS) {
                val alpha = from[start + BITMAP_CHANNELS - 1].toInt() and BYTE
                for (channel in 0 until RgbImage.CHANNELS) {
                    val level = from[start + order[channel]].toInt() and BYTE
                    to[target++] = (if (isPremultiplied) level + BYTE - alpha else onWhite(level, alpha)).toByte()
                }
            }
        }
        return RgbImage(bitmap.width, bitmap.height, to)
    }

    private fun scaled(
        image: RgbImage,
        width: Int,
        height: Int,
    ) = Pixels.resize(image, width, height, CropBox(0.0, 0.0, image.width.toDouble(), image.height.toDouble()))

    /**
     * Positions of red, green and blue in the four bytes of a pixel: 0, 1, 2 on devices, 2, 1, 0 in tests on a
     * computer.
     *
     * Reading colors with `getPixels` would not depend on it, but would apply color profiles.
     */
    private val channelOrder: IntArray by lazy {
        val pixel = Bitmap.createBitmap(intArrayOf(Color.RED), 1, 1, Bitmap.Config.ARGB_8888)
        val bytes = ByteBuffer.allocate(BITMAP_CHANNELS)
        pixel.copyPixelsToBuffer(bytes)
        if (bytes.get(0).toInt() and BYTE == BYTE) intArrayOf(0, 1, 2) else intArrayOf(2, 1, 0)
    }

    /** Returns the largest reduction of a JPEG that keeps both sides at the requested size or above. */
    internal fun reduction(
        width: Int,
        height: Int,
        shortSide: Int,
    ): Int {
        val (wantedWidth, wantedHeight) = Pixels.shrunkSize(width, height, shortSide)
        val most = min(width / wantedWidth, height / wantedHeight)
        return Integer.highestOneBit(most.coerceIn(1, MOST_REDUCTION))
    }

    /** Returns the level of a pixel with [alpha] on white, rounded as in the Python client. */
    private fun onWhite(
        level: Int,
        alpha: Int,
    ): Int {
        val sum = ((level * alpha + BYTE * (BYTE - alpha)) shl BLEND_BITS) + BLEND_HALF
        return (((sum shr 8) + sum) shr 8) shr BLEND_BITS
    }

    private fun undecodable(name: String) =
        InputException(
            "expected $name to be a photo that this device can decode, got another file; repair it or leave it out",
        )
}
