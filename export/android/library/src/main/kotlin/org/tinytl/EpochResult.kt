package org.tinytl

/**
 * A pass over the examples to train on.
 *
 * @property loss mean over all steps with a finite loss, applied or not; null without any
 * @property accuracy mean over the same steps, 0 to 1; null without any
 * @property steps steps taken
 * @property applied steps that changed the model; all other steps had a loss or a gradient that was not finite
 */
public data class EpochResult(
    val loss: Double?,
    val accuracy: Double?,
    val steps: Int,
    val applied: Int,
)
