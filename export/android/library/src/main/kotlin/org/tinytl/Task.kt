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

        override fun correct(
            logits: FloatArray,
            target: FloatArray,
        ): Double = if (target[logits.indices.maxBy { logits[it] }] == 1f) 1.0 else 0.0
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

        override fun correct(
            logits: FloatArray,
            target: FloatArray,
        ): Double = logits.indices.count { (logits[it] > 0) == (target[it] > 0.5f) }.toDouble() / logits.size
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

    /** How much of the answer for one image is right, 0 to 1. */
    internal abstract fun correct(
        logits: FloatArray,
        target: FloatArray,
    ): Double
}
