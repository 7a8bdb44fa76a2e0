package org.tinytl

/**
 * Results of one epoch: a pass over the training examples.
 *
 * @property loss mean loss over all steps with a finite loss, applied or not; null without such a step
 * @property accuracy mean accuracy over the same steps, 0 to 1; null without such a step
 * @property steps number of steps taken
 * @property applied number of steps that changed the model; all other steps had a loss or a gradient that was not
 *   finite
 */
public data class EpochResult(
    val loss: Double?,
    val accuracy: Double?,
    val steps: Int,
    val applied: Int,
)
