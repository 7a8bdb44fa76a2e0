package org.tinytl

/**
 * Counts the predictions of a model with several attributes.
 *
 * @param labels names of the attributes
 */
internal class AttributeTally(
    labels: List<String>,
) : ClassTally(labels) {
    override fun answers(logits: FloatArray): BooleanArray = BooleanArray(logits.size) { logits[it] > 0 }

    override fun accuracy(classes: List<ClassResult>): Double =
        classes.sumOf { it.truePositives + it.negatives - it.falsePositives }.toDouble() /
            classes.sumOf { it.positives + it.negatives }

    override fun balancedAccuracy(classes: List<ClassResult>): Double? = mean(classes.mapNotNull { it.balanced })
}
