package org.tinytl

/** A property of colors that training images are changed in. */
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

    /** Place on the circle of colors. */
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
     * @param amount the factor of the change less 1; of [HUE] the turn, as a part of the circle
     */
    public abstract fun change(
        image: RgbImage,
        amount: Double,
    ): RgbImage
}
