package org.tinytl

/**
 * How the colors of training images are changed at random.
 *
 * Brightness, contrast and saturation are scaled by factors from 1 - x to 1 + x, hue is turned by -x to x of the
 * circle, in random order.
 *
 * @property manifestName its name in the manifest
 * @property brightness x of the brightness
 * @property contrast x of the contrast
 * @property saturation x of the saturation
 * @property hue x of the hue
 */
public enum class ColorChange(
    public val manifestName: String,
    public val brightness: Double,
    public val contrast: Double,
    public val saturation: Double,
    public val hue: Double,
) {
    /** Colors are not changed. */
    NONE("none", 0.0, 0.0, 0.0, 0.0),

    /** A little brightness and saturation. */
    TF("tf", 32.0 / 255, 0.0, 0.5, 0.0),

    /** All of them. */
    TORCH("torch", 0.4, 0.4, 0.4, 0.1),
    ;

    /** x of a property. */
    internal fun strength(kind: ColorKind): Double =
        when (kind) {
            ColorKind.BRIGHTNESS -> brightness
            ColorKind.CONTRAST -> contrast
            ColorKind.SATURATION -> saturation
            ColorKind.HUE -> hue
        }
}
