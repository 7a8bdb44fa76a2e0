package org.tinytl

/**
 * One step of a run, as its progress stores it.
 *
 * @property loss loss of the batch before the step; null if it is not finite
 * @property accuracy accuracy of the batch before the step, 0 to 1; null if it is not finite
 * @property applied whether the step changed the model
 * @property millis duration of the step in milliseconds
 */
internal data class StepRecord(
    val loss: Double?,
    val accuracy: Double?,
    val applied: Boolean,
    val millis: Double,
) {
    constructor(result: TrainResult, millis: Double) : this(
        finite(result.loss),
        finite(result.accuracy),
        result.applied,
        millis,
    )

    companion object {
        /** Returns the figures of the steps of an epoch. */
        fun means(steps: List<StepRecord>): EpochResult {
            val known = steps.filter { it.loss != null }
            return EpochResult(
                loss = mean(known.mapNotNull { it.loss }),
                accuracy = mean(known.mapNotNull { it.accuracy }),
                steps = steps.size,
                applied = steps.count { it.applied },
            )
        }

        private fun mean(values: List<Double>): Double? = if (values.isEmpty()) null else values.average()

        private fun finite(value: Float): Double? = value.toDouble().takeUnless { it.isNaN() || it.isInfinite() }
    }
}
