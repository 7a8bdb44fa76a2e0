package org.tinytl

/**
 * How a model answered for one class, or one attribute.
 *
 * @property name of the class or attribute
 * @property positives images that are of the class, or have the attribute
 * @property negatives images that are not, or have it not
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
    /** Share of [positives] that were found, 0 to 1; null without any. */
    public val recall: Double?
        get() = share(truePositives, positives)

    /** Share of the images answered so that are so, 0 to 1; null without any. */
    public val precision: Double?
        get() = share(truePositives, truePositives + falsePositives)

    /** Mean of the shares of [positives] and of [negatives] that were answered rightly; null without either. */
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
