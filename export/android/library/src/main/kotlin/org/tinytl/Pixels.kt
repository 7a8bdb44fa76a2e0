package org.tinytl

import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/**
 * Converts photos to the model's input, byte for byte as the Python client does.
 *
 * [PhotoDecoder] decodes files; this code does not use Android.
 */
public object Pixels {
    private const val SHORT_SIDE = 2.5

    private const val MIRRORED = 2

    /** The EXIF orientation of a photo that is stored upright. */
    public const val UPRIGHT: Int = 1

    /**
     * Returns the length of the short side to which a photo is shrunk first.
     *
     * @param width width of the model's input
     * @param height height of the model's input
     */
    @JvmStatic
    public fun shortSide(
        width: Int,
        height: Int,
    ): Int = round(SHORT_SIDE * max(width, height)).toInt()

    /**
     * Returns the width and height of a photo after [shrink].
     *
     * @param width width of the photo
     * @param height height of the photo
     * @param shortSide the largest length of the short side
     */
    @JvmStatic
    public fun shrunkSize(
        width: Int,
        height: Int,
        shortSide: Int,
    ): Pair<Int, Int> {
        val scale = min(1.0, shortSide.toDouble() / min(width, height))
        return Pair(round(width * scale).toInt(), round(height * scale).toInt())
    }

    /** Scales a photo so that its short side has at most [shortSide] pixels. */
    @JvmStatic
    public fun shrink(
        image: RgbImage,
        shortSide: Int,
    ): RgbImage {
        val (width, height) = shrunkSize(image.width, image.height, shortSide)
        return resize(image, width, height, whole(image))
    }

    /** Scales a part of an image to [width] x [height]: bilinear, antialiased, in integers. */
    @JvmStatic
    public fun resize(
        image: RgbImage,
        width: Int,
        height: Int,
        box: CropBox,
    ): RgbImage = Resize.resize(image, width, height, box)

    /**
     * Returns the model's input for a photo.
     *
     * @param image the photo, upright
     * @param width width of the model's input
     * @param height height of the model's input
     * @param centralFraction the manifest's `central_fraction`
     */
    @JvmStatic
    public fun forInference(
        image: RgbImage,
        width: Int,
        height: Int,
        centralFraction: Double,
    ): ByteArray {
        val photo = shrink(image, shortSide(width, height))
        return resize(photo, width, height, CropBox.central(photo.width, photo.height, width, height, centralFraction))
            .pixels
    }

    /** Mirrors left and right. */
    @JvmStatic
    public fun flip(image: RgbImage): RgbImage = upright(image, MIRRORED)

    /**
     * Rotates a photo upright.
     *
     * @param image the photo as it is stored
     * @param orientation EXIF orientation, 1 to 8; any other number means upright
     */
    @JvmStatic
    public fun upright(
        image: RgbImage,
        orientation: Int,
    ): RgbImage {
        val width = image.width
        val height = image.height
        val last = width * height - 1
        return when (orientation) {
            MIRRORED -> moved(image, width, height) { x, y -> y * width + width - 1 - x }
            3 -> moved(image, width, height) { x, y -> last - y * width - x }
            4 -> moved(image, width, height) { x, y -> (height - 1 - y) * width + x }
            5 -> moved(image, height, width) { x, y -> x * width + y }
            6 -> moved(image, height, width) { x, y -> (height - 1 - x) * width + y }
            7 -> moved(image, height, width) { x, y -> last - x * width - y }
            8 -> moved(image, height, width) { x, y -> x * width + width - 1 - y }
            else -> image
        }
    }

    private fun whole(image: RgbImage) = CropBox(0.0, 0.0, image.width.toDouble(), image.height.toDouble())

    /** Builds an image from pixels of [image], each given by its index there. */
    private inline fun moved(
        image: RgbImage,
        width: Int,
        height: Int,
        source: (x: Int, y: Int) -> Int,
    ): RgbImage {
        val result = ByteArray(image.pixels.size)
        var target = 0
        for (y in 0 until height) {
            for (x in 0 until width) {
                val start = RgbImage.CHANNELS * source(x, y)
                image.pixels.copyInto(result, target, start, start + RgbImage.CHANNELS)
                target += RgbImage.CHANNELS
            }
        }
        return RgbImage(width, height, result)
    }
}
