package org.tinytl

import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round
import kotlin.math.sqrt

/**
 * How training images are changed at random; each part can be switched off.
 *
 * @property crop whether to crop a random part; otherwise the image is cropped as for evaluation
 * @property cropArea smallest and largest fraction of the image's area
 * @property cropAspect smallest and largest aspect ratio (width / height) of the crop
 * @property flip whether to mirror left and right with probability 1/2; do not use it for digits, letters or signs
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
            throw InputException(
                "expected a crop area of two rising numbers above 0 and up to 1, got $cropArea; give 0.22..1.0",
            )
        }
        if (!isRising(cropAspect) || cropAspect.endInclusive.isInfinite()) {
            throw InputException(
                "expected a crop aspect of two rising numbers above 0, got $cropAspect; give 0.75..1.33",
            )
        }
    }

    /**
     * Draws a random change of a photo; all clients draw the same.
     *
     * @param imageWidth width of the photo after [Pixels.shrink]
     * @param imageHeight height of the photo after [Pixels.shrink]
     * @param central the part that is used without [crop], see [CropBox.central]
     * @param stream the only source of randomness
     */
    public fun draw(
        imageWidth: Int,
        imageHeight: Int,
        central: CropBox,
        stream: RandomStream,
    ): PhotoChange =
        PhotoChange(
            box = if (crop) randomBox(imageWidth, imageHeight, stream) else central,
            isMirrored = flip && stream.unit() < FLIPPED,
            colors = if (color == ColorChange.NONE) emptyList() else colors(stream),
        )

    /**
     * Draws a random part of an image.
     *
     * Area and the logarithm of the aspect are uniform. If ten tries do not fit into the image, the result is the
     * largest central part with an allowed aspect ratio.
     */
    private fun randomBox(
        imageWidth: Int,
        imageHeight: Int,
        stream: RandomStream,
    ): CropBox {
        repeat(TRIES) {
            val area = imageWidth.toDouble() * imageHeight * stream.uniform(cropArea.start, cropArea.endInclusive)
            val aspect = exp(stream.uniform(ln(cropAspect.start), ln(cropAspect.endInclusive)))
            val width = round(sqrt(area * aspect)).toInt()
            val height = round(sqrt(area / aspect)).toInt()
            if (width in 1..imageWidth && height in 1..imageHeight) {
                val left = stream.integer(imageWidth - width + 1)
                return box(left, stream.integer(imageHeight - height + 1), width, height)
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

    private fun colors(stream: RandomStream): List<Pair<ColorKind, Double>> =
        stream
            .permutation(ColorKind.entries.size)
            .map { ColorKind.entries[it] }
            .filter { color.strength(it) > 0 }
            .map { it to stream.uniform(-color.strength(it), color.strength(it)) }

    private fun isRising(range: ClosedFloatingPointRange<Double>) = range.start > 0 && range.start <= range.endInclusive

    private companion object {
        const val TRIES = 10
        const val FLIPPED = 0.5
    }
}
