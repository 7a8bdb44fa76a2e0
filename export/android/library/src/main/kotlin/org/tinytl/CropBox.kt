package org.tinytl

import kotlin.math.ceil
import kotlin.math.max

/**
 * A part of an image in pixels; edges may be fractional.
 *
 * @property left left edge
 * @property top upper edge
 * @property right right edge, exclusive
 * @property bottom lower edge, exclusive
 */
public data class CropBox(
    val left: Double,
    val top: Double,
    val right: Double,
    val bottom: Double,
) {
    /** Creates the boxes for evaluation. */
    public companion object {
        /**
         * Returns the part of a photo that is used in an evaluation.
         *
         * It is a central crop of the model's size, after the photo is scaled to cover that size divided by [fraction].
         *
         * @param imageWidth width of the photo
         * @param imageHeight height of the photo
         * @param width width of the model's input
         * @param height height of the model's input
         * @param fraction the manifest's `central_fraction`
         */
        @JvmStatic
        public fun central(
            imageWidth: Int,
            imageHeight: Int,
            width: Int,
            height: Int,
            fraction: Double,
        ): CropBox {
            val scale = max(ceil(height / fraction) / imageHeight, ceil(width / fraction) / imageWidth)
            val boxHeight = height / scale
            val boxWidth = width / scale
            val left = (imageWidth - boxWidth) / 2
            val top = (imageHeight - boxHeight) / 2
            return CropBox(left, top, left + boxWidth, top + boxHeight)
        }
    }
}
