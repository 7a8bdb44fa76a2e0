package org.tinytl

/**
 * Results of a run of a [Trainer].
 *
 * @property before the model before the first step, on the held-out examples; null without held-out examples
 * @property after the same after the last step
 * @property epochs figures of each pass over the examples to train on
 * @property stepMillis median time of a step in milliseconds, without reading of photos or arrays
 */
public data class TrainerResult(
    val before: EvaluateResult?,
    val after: EvaluateResult?,
    val epochs: List<EpochResult>,
    val stepMillis: Double,
) {
    /** Mean training loss of each epoch, see [EpochResult.loss]. */
    public val losses: List<Double?>
        get() = epochs.map { it.loss }

    /** Mean training accuracy of each epoch, 0 to 1, see [EpochResult.accuracy]. */
    public val accuracies: List<Double?>
        get() = epochs.map { it.accuracy }

    /** Steps taken. */
    public val steps: Int
        get() = epochs.sumOf { it.steps }

    /** Steps that changed the model, see [EpochResult.applied]. */
    public val applied: Int
        get() = epochs.sumOf { it.applied }
}
