package org.tinytl

/**
 * Counts the predictions of a classification with one class for each image.
 *
 * @param labels names of the classes in use
 */
internal class OneClassTally(
    labels: List<String>,
) : ClassTally(labels) {
    override fun answers(logits: FloatArray): BooleanArray {
        var best = 0
        for (index in logits.indices) {
            if (logits[index] > logits[best]) {
                best = index
            }
        }
        return BooleanArray(logits.size) { it == best }
    }

    override fun accuracy(classes: List<ClassResult>): Double =
        classes.sumOf { it.truePositives }.toDouble() / classes.sumOf { it.positives }

    override fun balancedAccuracy(classes: List<ClassResult>): Double? = mean(classes.mapNotNull { it.recall })
}
