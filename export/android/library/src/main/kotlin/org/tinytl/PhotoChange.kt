package org.tinytl

/**
 * A change of a training image that was drawn at random, see [Augmentation.draw].
 *
 * @property box the part of the photo that is taken
 * @property isMirrored whether left and right are mirrored
 * @property colors changes of the colors in their order, each with its amount as [ColorKind.change] takes it
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
     * @param width of the result
     * @param height of the result
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
