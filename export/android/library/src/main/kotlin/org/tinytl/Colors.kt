package org.tinytl

import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/** Color changes of an image, with the same arithmetic as the Python client. */
internal object Colors {
    private const val BYTE = 255
    private const val SECTORS = 6

    /** Scales the distance of each pixel from black. */
    fun brightness(
        image: RgbImage,
        factor: Double,
    ): RgbImage = blended(image, factor) { 0 }

    /** Scales the distance of each pixel from the mean gray. */
    fun contrast(
        image: RgbImage,
        factor: Double,
    ): RgbImage {
        var sum = 0L
        for (start in image.pixels.indices step RgbImage.CHANNELS) {
            sum += gray(image.pixels, start)
        }
        val mean = (sum.toDouble() / (image.width * image.height) + 0.5).toInt()
        return blended(image, factor) { mean }
    }

    /** Scales the distance of each pixel from its own gray. */
    fun saturation(
        image: RgbImage,
        factor: Double,
    ): RgbImage = blended(image, factor) { gray(image.pixels, it) }

    /** Rotates the hue by [turn] of the color wheel. */
    fun hue(
        image: RgbImage,
        turn: Double,
    ): RgbImage {
        val steps = round(turn * BYTE).toInt()
        val result = ByteArray(image.pixels.size)
        for (start in result.indices step RgbImage.CHANNELS) {
            turnPixel(image.pixels, result, start, steps)
        }
        return RgbImage(image.width, image.height, result)
    }

    private inline fun blended(
        image: RgbImage,
        factor: Double,
        center: (start: Int) -> Int,
    ): RgbImage {
        val scale = factor.toFloat()
        val result = ByteArray(image.pixels.size)
        for (start in result.indices step RgbImage.CHANNELS) {
            val from = center(start)
            for (index in start until start + RgbImage.CHANNELS) {
                val value = from + scale * (level(image.pixels, index) - from)
                result[index] = value.coerceIn(0f, BYTE.toFloat()).toInt().toByte()
            }
        }
        return RgbImage(image.width, image.height, result)
    }

    private fun gray(
        pixels: ByteArray,
        start: Int,
    ): Int =
        (19595 * level(pixels, start) + 38470 * level(pixels, start + 1) + 7471 * level(pixels, start + 2) + 0x8000) shr
            16

    private fun level(
        pixels: ByteArray,
        index: Int,
    ): Int = pixels[index].toInt() and BYTE

    private fun turnPixel(
        from: ByteArray,
        to: ByteArray,
        start: Int,
        steps: Int,
    ) {
        val red = level(from, start)
        val green = level(from, start + 1)
        val blue = level(from, start + 2)
        val value = max(red, max(green, blue))
        val range = (value - min(red, min(green, blue))).toFloat()
        var hue = 0
        var saturation = 0
        if (range > 0) {
            val towardsRed = (value - red) / range
            val towardsGreen = (value - green) / range
            val towardsBlue = (value - blue) / range
            val sector =
                when (value) {
                    red -> towardsBlue - towardsGreen
                    green -> (2.0 + towardsRed - towardsBlue).toFloat()
                    else -> (4.0 + towardsGreen - towardsRed).toFloat()
                }
            hue = (((sector / 6.0 + 1.0) % 1.0).toFloat() * 255.0).toInt().coerceIn(0, BYTE)
            saturation = (range / value * 255.0).toInt().coerceIn(0, BYTE)
        }
        putColor(to, start, Math.floorMod(hue + steps, BYTE + 1), saturation, value)
    }

    private fun putColor(
        to: ByteArray,
        start: Int,
        hue: Int,
        saturation: Int,
        value: Int,
    ) {
        val sector = floor(hue * 6.0 / 255.0).toInt()
        val part = (hue * 6.0 / 255.0 - sector).toFloat()
        val strength = saturation / 255f
        val low = shade(value, strength.toDouble())
        val falling = shade(value, (strength * part).toDouble())
        val rising = shade(value, strength * (1.0 - part))
        val (red, green, blue) =
            when (sector % SECTORS) {
                0 -> Triple(value, rising, low)
                1 -> Triple(falling, value, low)
                2 -> Triple(low, value, rising)
                3 -> Triple(low, falling, value)
                4 -> Triple(rising, low, value)
                else -> Triple(value, low, falling)
            }
        to[start] = red.toByte()
        to[start + 1] = green.toByte()
        to[start + 2] = blue.toByte()
    }

    private fun shade(
        value: Int,
        strength: Double,
    ): Int = floor(value * (1.0 - strength) + 0.5).toInt().coerceIn(0, BYTE)
}
