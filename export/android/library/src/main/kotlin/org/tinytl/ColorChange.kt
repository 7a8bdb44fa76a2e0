package org.tinytl

/**
 * How the colors of training images are changed at random.
 *
 * Brightness, contrast and saturation are scaled by factors from 1 - x to 1 + x, hue is rotated by -x to x of the color
 * wheel, in random order.
 *
 * @property manifestName name in the manifest
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
    /** No changes. */
    NONE("none", 0.0, 0.0, 0.0, 0.0),

    /** Small changes of brightness and saturation. */
    TF("tf", 32.0 / 255, 0.0, 0.5, 0.0),

    /** Changes of brightness, contrast, saturation and hue. */
    TORCH("torch", 0.4, 0.4, 0.4, 0.1),
    ;

    /** Returns x of a property. */
    internal fun strength(kind: ColorKind): Double =
        when (kind) {
            ColorKind.BRIGHTNESS -> brightness
            ColorKind.CONTRAST -> contrast
            ColorKind.SATURATION -> saturation
            ColorKind.HUE -> hue
        }
}
