package org.tinytl

import kotlin.math.ceil
import kotlin.math.max

/**
 * A part of an image, in pixels; edges need not be whole.
 *
 * @property left of the part
 * @property top of the part
 * @property right of the part, not included
 * @property bottom of the part, not included
 */
public data class CropBox(
    val left: Double,
    val top: Double,
    val right: Double,
    val bottom: Double,
) {
    /** Makes the boxes of evaluation. */
    public companion object {
        /**
         * Returns the part of a photo that is evaluated.
         *
         * It is the central crop of the photo, scaled to cover the model's size divided by [fraction].
         *
         * @param imageWidth of the photo
         * @param imageHeight of the photo
         * @param width of the model's input
         * @param height of the model's input
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
