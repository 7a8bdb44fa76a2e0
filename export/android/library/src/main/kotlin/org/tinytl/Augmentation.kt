package org.tinytl

import java.util.Random
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round
import kotlin.math.sqrt

/**
 * How training images are changed at random; each part can be switched off.
 *
 * @property crop whether to cut out a random part; otherwise the image is cut as for evaluation
 * @property cropArea smallest and largest part of the image's area
 * @property cropAspect smallest and largest width divided by height of the part
 * @property flip whether to mirror left and right, with probability 1/2. Not for digits, letters or signs.
 * @property color how colors are changed
 * @throws InputException if a range is empty or out of bounds
 */
public data class Augmentation(
    val crop: Boolean = true,
    val cropArea: ClosedFloatingPointRange<Double> = 0.22..1.0,
    val cropAspect: ClosedFloatingPointRange<Double> = 3.0 / 4..4.0 / 3,
    val flip: Boolean = true,
    val color: ColorChange = ColorChange.NONE,
) {
    init {
        if (!isRising(cropArea) || cropArea.endInclusive > 1) {
            throw InputException("expected a crop area of two rising numbers above 0 and up to 1, got $cropArea")
        }
        if (!isRising(cropAspect) || cropAspect.endInclusive.isInfinite()) {
            throw InputException("expected a crop aspect of two rising numbers above 0, got $cropAspect")
        }
    }

    /**
     * Returns one random variant of a photo.
     *
     * @param image the photo, upright and shrunk, see [Pixels.shrink]
     * @param width of the model's input
     * @param height of the model's input
     * @param centralFraction without [crop], the part of the side that is kept
     * @param random the only source of randomness
     */
    public fun apply(
        image: RgbImage,
        width: Int,
        height: Int,
        centralFraction: Double,
        random: Random,
    ): RgbImage {
        val box =
            if (crop) {
                randomBox(image.width, image.height, random)
            } else {
                CropBox.central(image.width, image.height, width, height, centralFraction)
            }
        var result = Pixels.resize(image, width, height, box)
        if (flip && random.nextBoolean()) {
            result = Pixels.flip(result)
        }
        return if (color == ColorChange.NONE) result else changeColors(result, random)
    }

    /**
     * Returns a random part of an image.
     *
     * Area and the logarithm of the aspect are uniform. When ten tries do not fit into the image, the largest central
     * part of an allowed aspect is taken.
     *
     * @param imageWidth of the image
     * @param imageHeight of the image
     * @param random the only source of randomness
     */
    public fun randomBox(
        imageWidth: Int,
        imageHeight: Int,
        random: Random,
    ): CropBox {
        repeat(TRIES) {
            val area = imageWidth.toDouble() * imageHeight * uniform(cropArea.start, cropArea.endInclusive, random)
            val aspect = exp(uniform(ln(cropAspect.start), ln(cropAspect.endInclusive), random))
            val width = round(sqrt(area * aspect)).toInt()
            val height = round(sqrt(area / aspect)).toInt()
            if (width in 1..imageWidth && height in 1..imageHeight) {
                return box(
                    random.nextInt(imageWidth - width + 1),
                    random.nextInt(imageHeight - height + 1),
                    width,
                    height,
                )
            }
        }
        val aspect = (imageWidth.toDouble() / imageHeight).coerceIn(cropAspect)
        val width = min(imageWidth, max(1, round(imageHeight * aspect).toInt()))
        val height = min(imageHeight, max(1, round(imageWidth / aspect).toInt()))
        return box((imageWidth - width) / 2, (imageHeight - height) / 2, width, height)
    }

    private fun box(
        left: Int,
        top: Int,
        width: Int,
        height: Int,
    ) = CropBox(left.toDouble(), top.toDouble(), (left + width).toDouble(), (top + height).toDouble())

    private fun changeColors(
        image: RgbImage,
        random: Random,
    ): RgbImage {
        val changes: List<Pair<Double, (RgbImage, Double) -> RgbImage>> =
            listOf(
                color.brightness to { photo, change -> Colors.brightness(photo, 1 + change) },
                color.contrast to { photo, change -> Colors.contrast(photo, 1 + change) },
                color.saturation to { photo, change -> Colors.saturation(photo, 1 + change) },
                color.hue to { photo, change -> Colors.hue(photo, change) },
            )
        return changes
            .filter { (strength, _) -> strength > 0 }
            .shuffled(random)
            .fold(image) { photo, (strength, change) -> change(photo, uniform(-strength, strength, random)) }
    }

    private fun isRising(range: ClosedFloatingPointRange<Double>) = range.start > 0 && range.start <= range.endInclusive

    private fun uniform(
        from: Double,
        to: Double,
        random: Random,
    ) = from + (to - from) * random.nextDouble()

    private companion object {
        const val TRIES = 10
    }
}
