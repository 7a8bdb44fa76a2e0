package org.tinytl

import kotlin.math.PI
import kotlin.math.cos

/**
 * Schedule of the learning rate.
 *
 * @property manifestName name in the manifest
 */
public enum class LearningRateSchedule(
    public val manifestName: String,
) {
    /** Half a cosine from the base rate at step 0 towards 0 after the last step. */
    COSINE("cosine") {
        override fun rate(
            step: Int,
            totalSteps: Int,
            base: Double,
        ): Double = 0.5 * base * (1.0 + cos(PI * step / totalSteps))
    },

    /** The base rate at every step. */
    CONSTANT("constant") {
        override fun rate(
            step: Int,
            totalSteps: Int,
            base: Double,
        ): Double = base
    }, ;

    /**
     * Returns the rate of a step.
     *
     * @param step index of the step, from 0
     * @param totalSteps number of steps of the run
     * @param base rate of step 0
     */
    public abstract fun rate(
        step: Int,
        totalSteps: Int,
        base: Double,
    ): Double
}
