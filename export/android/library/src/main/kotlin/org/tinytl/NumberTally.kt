package org.tinytl

import kotlin.math.abs

/**
 * Adds up the errors of a regression.
 *
 * @param labels names of the outputs
 */
internal class NumberTally(
    private val labels: List<String>,
) : Tally {
    private val absolute = DoubleArray(labels.size)
    private val squared = DoubleArray(labels.size)
    private val sums = DoubleArray(labels.size)
    private val squares = DoubleArray(labels.size)
    private var count = 0
    private var right = 0L

    override fun add(
        logits: FloatArray,
        target: FloatArray,
    ) {
        count++
        for (index in labels.indices) {
            val label = target[index].toDouble()
            val error = logits[index] - label
            absolute[index] += abs(error)
            squared[index] += error * error
            sums[index] += label
            squares[index] += label * label
            if (abs(error) <= RIGHT_WITHIN) right++
        }
    }

    override fun result(loss: Double): EvaluateResult {
        val numbers =
            labels.mapIndexed { index, name ->
                NumberResult(name, count, absolute[index] / count, squared[index] / count, variance(index))
            }
        return EvaluateResult(right.toDouble() / count / labels.size, loss, null, emptyList(), numbers)
    }

    /** Exactly 0 for equal labels, despite rounding. */
    private fun variance(index: Int): Double {
        val mean = sums[index] / count
        val meanSquare = squares[index] / count
        val variance = meanSquare - mean * mean
        return if (variance > ROUNDING * meanSquare) variance else 0.0
    }

    private companion object {
        const val RIGHT_WITHIN = 0.5
        const val ROUNDING = 1e-12
    }
}
