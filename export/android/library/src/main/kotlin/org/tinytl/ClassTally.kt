package org.tinytl

/**
 * Counts predictions by class or attribute.
 *
 * @param labels names of the classes or attributes in use
 */
internal abstract class ClassTally(
    private val labels: List<String>,
) : Tally {
    private val positives = IntArray(labels.size)
    private val truePositives = IntArray(labels.size)
    private val falsePositives = IntArray(labels.size)
    private var images = 0

    final override fun add(
        logits: FloatArray,
        target: FloatArray,
    ) {
        images++
        val answers = answers(logits)
        for (index in labels.indices) {
            val isPositive = target[index] > HALF
            if (isPositive) positives[index]++
            if (isPositive && answers[index]) truePositives[index]++
            if (!isPositive && answers[index]) falsePositives[index]++
        }
    }

    final override fun result(loss: Double): EvaluateResult {
        val classes =
            labels.mapIndexed { index, name ->
                val count = positives[index]
                ClassResult(name, count, images - count, truePositives[index], falsePositives[index])
            }
        return EvaluateResult(accuracy(classes), loss, balancedAccuracy(classes), classes)
    }

    /** Whether each class is predicted for an image: the most probable class, or each attribute above 1/2. */
    protected abstract fun answers(logits: FloatArray): BooleanArray

    /** See [EvaluateResult.accuracy]. */
    protected abstract fun accuracy(classes: List<ClassResult>): Double

    /** See [EvaluateResult.balancedAccuracy]. */
    protected abstract fun balancedAccuracy(classes: List<ClassResult>): Double?

    protected fun mean(values: List<Double>): Double? = if (values.isEmpty()) null else values.average()

    private companion object {
        const val HALF = 0.5f
    }
}
