package org.tinytl

/**
 * How a model predicted one number.
 *
 * @property name of the output
 * @property count examples that were measured
 * @property absoluteError mean magnitude of the error
 * @property squaredError mean square of the error
 * @property variance of the labels: the mean square of the error that their mean makes
 */
public data class NumberResult(
    val name: String,
    val count: Int,
    val absoluteError: Double,
    val squaredError: Double,
    val variance: Double,
) {
    /** Share of [variance] that is predicted: 1 is all, 0 is as good as the labels' mean; null if they are equal. */
    public val r2: Double?
        get() = if (variance > 0) 1 - squaredError / variance else null
}
