package org.tinytl

/**
 * An image in memory.
 *
 * @property width width in pixels
 * @property height height in pixels
 * @property pixels red, green and blue of each pixel, 0 to 255, in rows from the top
 * @throws InputException if the number of bytes does not match the size
 */
public class RgbImage(
    public val width: Int,
    public val height: Int,
    public val pixels: ByteArray,
) {
    init {
        if (width < 1 || height < 1 || pixels.size.toLong() != CHANNELS.toLong() * width * height) {
            throw InputException(
                "expected an image of at least 1 x 1 pixels with 3 bytes for each pixel, got ${pixels.size} bytes " +
                    "for $width x $height; give RGB without padding",
            )
        }
    }

    internal companion object {
        const val CHANNELS = 3
    }
}
