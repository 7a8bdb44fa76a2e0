package org.tinytl

/**
 * Results of an evaluation for one class or attribute.
 *
 * @property name name of the class or attribute
 * @property positives number of images of the class, or with the attribute
 * @property negatives number of all other images
 * @property truePositives number of [positives] with a correct prediction
 * @property falsePositives number of [negatives] that were predicted to be of the class, or to have the attribute
 */
public data class ClassResult(
    val name: String,
    val positives: Int,
    val negatives: Int,
    val truePositives: Int,
    val falsePositives: Int,
) {
    /** Share of [positives] with a correct prediction, 0 to 1; null without positives. */
    public val recall: Double?
        get() = share(truePositives, positives)

    /** Share of the images with this prediction for which it is correct, 0 to 1; null without such images. */
    public val precision: Double?
        get() = share(truePositives, truePositives + falsePositives)

    /** Mean of the shares of [positives] and of [negatives] with a correct prediction; null if one of the two is 0. */
    internal val balanced: Double?
        get() {
            val found = recall ?: return null
            val spared = share(negatives - falsePositives, negatives) ?: return null
            return (found + spared) / 2
        }

    private fun share(
        part: Int,
        all: Int,
    ): Double? = if (all > 0) part.toDouble() / all else null
}
