package org.tinytl

/**
 * Results of one training step.
 *
 * @property loss mean loss of the batch before the step
 * @property accuracy share of the predictions for the batch that were correct before the step, 0 to 1
 * @property applied false if the step changed nothing because the loss or a gradient was not finite
 */
public data class TrainResult(
    val loss: Float,
    val accuracy: Float,
    val applied: Boolean,
)
