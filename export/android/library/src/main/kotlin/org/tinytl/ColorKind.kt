package org.tinytl

/** A color property that is changed in training images. */
public enum class ColorKind {
    /** Distance of each pixel from black. */
    BRIGHTNESS {
        override fun change(
            image: RgbImage,
            amount: Double,
        ): RgbImage = Colors.brightness(image, 1 + amount)
    },

    /** Distance of each pixel from the mean gray. */
    CONTRAST {
        override fun change(
            image: RgbImage,
            amount: Double,
        ): RgbImage = Colors.contrast(image, 1 + amount)
    },

    /** Distance of each pixel from its own gray. */
    SATURATION {
        override fun change(
            image: RgbImage,
            amount: Double,
        ): RgbImage = Colors.saturation(image, 1 + amount)
    },

    /** Position on the color wheel. */
    HUE {
        override fun change(
            image: RgbImage,
            amount: Double,
        ): RgbImage = Colors.hue(image, amount)
    }, ;

    /**
     * Returns the changed image.
     *
     * @param image the image
     * @param amount the factor minus 1; for [HUE] the rotation as a fraction of the color wheel
     */
    public abstract fun change(
        image: RgbImage,
        amount: Double,
    ): RgbImage
}
