package org.tinytl

/**
 * A change of a training image that was drawn at random, see [Augmentation.draw].
 *
 * @property box the part of the photo that is used
 * @property isMirrored whether left and right are mirrored
 * @property colors color changes in order, each with the amount for [ColorKind.change]
 */
public data class PhotoChange(
    val box: CropBox,
    val isMirrored: Boolean,
    val colors: List<Pair<ColorKind, Double>>,
) {
    /**
     * Returns the changed photo.
     *
     * @param image the photo that the change was drawn for, upright and shrunk, see [Pixels.shrink]
     * @param width width of the result
     * @param height height of the result
     */
    public fun apply(
        image: RgbImage,
        width: Int,
        height: Int,
    ): RgbImage {
        val part = Pixels.resize(image, width, height, box)
        val turned = if (isMirrored) Pixels.flip(part) else part
        return colors.fold(turned) { photo, (kind, amount) -> kind.change(photo, amount) }
    }
}
