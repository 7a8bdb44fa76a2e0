package org.tinytl

/**
 * Results of an evaluation for one predicted number.
 *
 * @property name name of the output
 * @property count number of evaluated examples
 * @property absoluteError mean magnitude of the error
 * @property squaredError mean square of the error
 * @property variance variance of the labels: the mean squared error of a prediction of their mean
 */
public data class NumberResult(
    val name: String,
    val count: Int,
    val absoluteError: Double,
    val squaredError: Double,
    val variance: Double,
) {
    /**
     * R2, the share of [variance] that is predicted: 1 is perfect, 0 is as good as the labels' mean; null if all labels
     * are equal.
     */
    public val r2: Double?
        get() = if (variance > 0) 1 - squaredError / variance else null
}
