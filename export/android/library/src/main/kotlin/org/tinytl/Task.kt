package org.tinytl

import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.ln1p
import kotlin.math.max

/**
 * Task of the labels.
 *
 * @property manifestName name in the manifest
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

        override fun guessLoss(classes: Int): Double = ln(classes.toDouble())

        override fun tally(labels: List<String>): Tally = OneClassTally(labels)
    },

    /** Each image has any number of attributes; a label has a number from 0 to 1 for each attribute. */
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

        override fun guessLoss(classes: Int): Double = ln(2.0)

        override fun tally(labels: List<String>): Tally = AttributeTally(labels)
    },

    /** The outputs predict numbers of each image or array; a label has a finite number for each output. */
    REGRESSION("regression") {
        override val labelType: TensorType = TensorType.FLOAT32

        override fun labelShape(
            batch: Int,
            classes: Int,
        ): List<Int> = listOf(batch, classes)

        override fun loss(
            logits: FloatArray,
            target: FloatArray,
        ): Double =
            logits.indices.sumOf { (logits[it].toDouble() - target[it]).let { error -> error * error } } / logits.size

        override fun guessLoss(classes: Int): Double = 1.0 // for labels with a standard deviation of 1

        override fun tally(labels: List<String>): Tally = NumberTally(labels)
    }, ;

    internal abstract val labelType: TensorType

    internal abstract fun labelShape(
        batch: Int,
        classes: Int,
    ): List<Int>

    /** Returns the loss of one example without label smoothing; [target] has a number for each output. */
    internal abstract fun loss(
        logits: FloatArray,
        target: FloatArray,
    ): Double

    /** Returns the loss of a uniform guess: equal probabilities of all classes, or of both values of an attribute. */
    internal abstract fun guessLoss(classes: Int): Double

    /** Creates the counter of predictions for outputs of these names. */
    internal abstract fun tally(labels: List<String>): Tally
}
