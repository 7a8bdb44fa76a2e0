package org.tinytl

/**
 * Input of a model of images, from its manifest.
 *
 * @property height height of an image in pixels
 * @property width width of an image in pixels
 * @property centralFraction see [Manifest.centralFraction]
 * @property augmentation see [Manifest.augmentation]
 */
internal class PhotoInput(
    val height: Int,
    val width: Int,
    val centralFraction: Double,
    val augmentation: Augmentation,
)
