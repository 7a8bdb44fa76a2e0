package org.tinytl

import java.util.Locale
import kotlin.math.max

/** Detects diverged trainings by the rules of `docs/formats.md`. */
internal object Divergence {
    private const val FACTOR = 10
    private const val REMEDY = "lower the learning rate, and reset the model or restore another state"

    /**
     * Checks the steps of an epoch.
     *
     * @param epoch number of the epoch, from 1
     * @throws TrainingDivergedException if more than half of the steps were not applied
     */
    fun checkSteps(
        epoch: Int,
        result: EpochResult,
    ) {
        if (2 * result.applied < result.steps) {
            throw TrainingDivergedException(
                "the training has diverged: expected most steps of epoch $epoch to be applied, got " +
                    "${result.applied} of ${result.steps}; $REMEDY",
            )
        }
    }

    /**
     * Checks the loss at the end.
     *
     * @param before mean loss before the training; null if it is unknown
     * @param after mean loss after the training; null if it is not finite
     * @param guess loss of a uniform guess
     * @throws TrainingDivergedException if [after] is not finite, or far above the other losses
     */
    fun checkLoss(
        before: Double?,
        after: Double?,
        guess: Double,
    ) {
        val most = FACTOR * max(before ?: guess, guess)
        if (after == null || after > most) {
            val came = after?.let { shown(it) } ?: "a loss that is not finite"
            throw TrainingDivergedException(
                "the training has diverged: expected a final loss of at most ${shown(most)}, got $came; $REMEDY",
            )
        }
    }

    /** Returns the error for a logit that is not finite after the training. */
    fun notFinite(logit: Float) =
        TrainingDivergedException(
            "the training has diverged: expected finite logits at its end, got $logit; $REMEDY",
        )

    /**
     * Checks the state before it is saved.
     *
     * @throws TrainingDivergedException if a value is not finite
     */
    fun checkState(state: FloatArray) {
        state.find { it.isNaN() || it.isInfinite() }?.let {
            throw TrainingDivergedException("the training has diverged: expected finite weights, got $it; $REMEDY")
        }
    }

    private fun shown(loss: Double) = String.format(Locale.ROOT, "%.4g", loss)
}
