package org.tinytl

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min

/**
 * Scales images with a triangle filter that widens with the reduction, one axis after the other, in integers.
 *
 * `docs/formats.md` has the rules; the results equal those of the Python client byte for byte.
 */
internal object Resize {
    private const val PRECISION = 22
    private const val HALF = 1 shl (PRECISION - 1)

    /**
     * Scales the part [box] of [image] to [width] x [height].
     *
     * @throws InputException if the box is not inside the image
     */
    fun resize(
        image: RgbImage,
        width: Int,
        height: Int,
        box: CropBox,
    ): RgbImage {
        val left = box.left.toFloat()
        val top = box.top.toFloat()
        val right = box.right.toFloat()
        val bottom = box.bottom.toFloat()
        val isInside = left >= 0 && top >= 0 && right <= image.width && bottom <= image.height
        if (!isInside || left >= right || top >= bottom) {
            throw InputException(
                "expected a box inside an image of ${image.width} x ${image.height} pixels, got $box; give a " +
                    "smaller box",
            )
        }
        var result = image
        if (width != image.width || left != 0f || right != image.width.toFloat()) {
            result = columns(result, Axis(image.width, left, right, width))
        }
        if (height != image.height || top != 0f || bottom != image.height.toFloat()) {
            result = rows(result, Axis(image.height, top, bottom, height))
        }
        return result
    }

    private fun columns(
        image: RgbImage,
        axis: Axis,
    ): RgbImage {
        val result = ByteArray(RgbImage.CHANNELS * axis.size * image.height)
        var target = 0
        for (y in 0 until image.height) {
            val row = y * image.width
            for (x in 0 until axis.size) {
                target = axis.sum(x, image.pixels, row, 1, result, target)
            }
        }
        return RgbImage(axis.size, image.height, result)
    }

    private fun rows(
        image: RgbImage,
        axis: Axis,
    ): RgbImage {
        val result = ByteArray(RgbImage.CHANNELS * image.width * axis.size)
        var target = 0
        for (y in 0 until axis.size) {
            for (x in 0 until image.width) {
                target = axis.sum(y, image.pixels, x, image.width, result, target)
            }
        }
        return RgbImage(image.width, axis.size, result)
    }

    /** The weights of one axis of [count] pixels; pixels from [start] to [end] become [size] pixels. */
    private class Axis(
        count: Int,
        start: Float,
        end: Float,
        val size: Int,
    ) {
        private val first = IntArray(size)
        private val weights: Array<IntArray>

        init {
            val scale = (end - start).toDouble() / size
            val support = max(scale, 1.0)
            weights =
                Array(size) { index ->
                    val center = start + (index + 0.5) * scale
                    first[index] = max(0, (center - support + 0.5).toInt())
                    val last = min(count, (center + support + 0.5).toInt())
                    val exact =
                        DoubleArray(last - first[index]) {
                            max(0.0, 1.0 - abs((it + first[index] - center + 0.5) * (1.0 / support)))
                        }
                    val sum = exact.sum()
                    IntArray(exact.size) { (0.5 + exact[it] / sum * (1 shl PRECISION)).toInt() }
                }
        }

        /**
         * Writes one pixel of the result to [to] at [target] and returns the index of the next pixel.
         *
         * Pixel j of the axis is pixel [offset] + j [step] of [from].
         */
        fun sum(
            index: Int,
            from: ByteArray,
            offset: Int,
            step: Int,
            to: ByteArray,
            target: Int,
        ): Int {
            var red = HALF
            var green = HALF
            var blue = HALF
            var source = RgbImage.CHANNELS * (offset + first[index] * step)
            for (weight in weights[index]) {
                red += (from[source].toInt() and BYTE) * weight
                green += (from[source + 1].toInt() and BYTE) * weight
                blue += (from[source + 2].toInt() and BYTE) * weight
                source += RgbImage.CHANNELS * step
            }
            to[target] = cut(red)
            to[target + 1] = cut(green)
            to[target + 2] = cut(blue)
            return target + RgbImage.CHANNELS
        }

        private fun cut(sum: Int): Byte = (sum shr PRECISION).coerceIn(0, BYTE).toByte()
    }

    private const val BYTE = 0xFF
}
