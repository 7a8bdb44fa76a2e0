package org.tinytl

/**
 * What a run of a [Trainer] measured.
 *
 * @property before the model before the first step, on the examples that were held out
 * @property after the same after the last step
 * @property losses mean training loss of each epoch, over the applied steps
 * @property accuracies mean training accuracy of each epoch, 0 to 1, over the applied steps
 * @property steps steps taken
 * @property applied steps that changed the model; the others met a loss or a gradient that was not finite
 * @property stepMillis median time of a step in milliseconds, without decoding of photos
 */
public data class TrainerResult(
    val before: EvaluateResult,
    val after: EvaluateResult,
    val losses: List<Double>,
    val accuracies: List<Double>,
    val steps: Int,
    val applied: Int,
    val stepMillis: Double,
)
