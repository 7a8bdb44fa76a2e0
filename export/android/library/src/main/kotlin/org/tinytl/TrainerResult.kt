package org.tinytl

/**
 * Results of a run of a [Trainer].
 *
 * @property before results on the held-out examples before the first step; null without held-out examples
 * @property after results on the held-out examples after the last step; null without held-out examples
 * @property epochs results of each epoch
 * @property stepMillis median duration of a step in milliseconds, without the reading of photos or arrays
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

    /** Number of steps taken. */
    public val steps: Int
        get() = epochs.sumOf { it.steps }

    /** Number of steps that changed the model, see [EpochResult.applied]. */
    public val applied: Int
        get() = epochs.sumOf { it.applied }
}
