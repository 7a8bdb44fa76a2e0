package org.tinytl

import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.ln1p
import kotlin.math.max

/**
 * What a label is.
 *
 * @property manifestName its name in the manifest
 */
public enum class Task(
    public val manifestName: String,
) {
    /** Each image has one class; a label is its index. */
    CLASSIFICATION("classification") {
        override val labelType: TensorType = TensorType.INT32

        override fun labelShape(
            batch: Int,
            classes: Int,
        ): List<Int> = listOf(batch)

        override fun loss(
            logits: FloatArray,
            target: FloatArray,
        ): Double {
            val largest = logits.max().toDouble()
            val sum = logits.sumOf { exp(it - largest) }
            return ln(sum) - (logits[target.indexOfFirst { it == 1f }] - largest)
        }

        override fun answers(logits: FloatArray): BooleanArray {
            var best = 0
            for (index in logits.indices) {
                if (logits[index] > logits[best]) {
                    best = index
                }
            }
            return BooleanArray(logits.size) { it == best }
        }

        override fun guessLoss(classes: Int): Double = ln(classes.toDouble())

        override fun accuracy(classes: List<ClassResult>): Double =
            classes.sumOf { it.truePositives }.toDouble() / classes.sumOf { it.positives }

        override fun balancedAccuracy(classes: List<ClassResult>): Double? = mean(classes.mapNotNull { it.recall })
    },

    /** Each image has each attribute or not; a label is a number from 0 to 1 for each of them. */
    MULTILABEL("multilabel") {
        override val labelType: TensorType = TensorType.FLOAT32

        override fun labelShape(
            batch: Int,
            classes: Int,
        ): List<Int> = listOf(batch, classes)

        override fun loss(
            logits: FloatArray,
            target: FloatArray,
        ): Double =
            logits.indices.sumOf {
                val logit = logits[it].toDouble()
                max(logit, 0.0) - logit * target[it] + ln1p(exp(-abs(logit)))
            } / logits.size

        override fun answers(logits: FloatArray): BooleanArray = BooleanArray(logits.size) { logits[it] > 0 }

        override fun guessLoss(classes: Int): Double = ln(2.0)

        override fun accuracy(classes: List<ClassResult>): Double =
            classes.sumOf { it.truePositives + it.negatives - it.falsePositives }.toDouble() /
                classes.sumOf { it.positives + it.negatives }

        override fun balancedAccuracy(classes: List<ClassResult>): Double? = mean(classes.mapNotNull { it.balanced })
    }, ;

    internal abstract val labelType: TensorType

    internal abstract fun labelShape(
        batch: Int,
        classes: Int,
    ): List<Int>

    /** Cross-entropy of one image without label smoothing; [target] has a number for each class. */
    internal abstract fun loss(
        logits: FloatArray,
        target: FloatArray,
    ): Double

    /** Whether an image is answered to have each class: the likeliest one, or each attribute above 1/2. */
    internal abstract fun answers(logits: FloatArray): BooleanArray

    /** Cross-entropy of a guess that gives each class, or both sides of each attribute, the same probability. */
    internal abstract fun guessLoss(classes: Int): Double

    /** See [EvaluateResult.accuracy]. */
    internal abstract fun accuracy(classes: List<ClassResult>): Double

    /** See [EvaluateResult.balancedAccuracy]. */
    internal abstract fun balancedAccuracy(classes: List<ClassResult>): Double?

    internal companion object {
        private fun mean(values: List<Double>): Double? = if (values.isEmpty()) null else values.average()
    }
}
