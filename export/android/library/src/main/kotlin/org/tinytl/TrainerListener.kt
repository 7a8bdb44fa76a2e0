package org.tinytl

/** Hears how far a [Trainer] is, on the thread that trains; each function may be left out. */
public interface TrainerListener {
    /**
     * A step was taken.
     *
     * @param step how many steps were taken, from 1
     * @param totalSteps steps of the whole run
     * @param result loss and accuracy of the step's batch
     */
    public fun onStep(
        step: Int,
        totalSteps: Int,
        result: TrainResult,
    ) {
    }

    /**
     * A pass over the examples was made.
     *
     * @param epoch which one, from 1
     * @param loss mean over the applied steps
     * @param accuracy mean over the applied steps, 0 to 1
     */
    public fun onEpoch(
        epoch: Int,
        loss: Double,
        accuracy: Double,
    ) {
    }

    /**
     * The examples that were held out were measured.
     *
     * @param isTrained whether the model was trained: false before the first step, true after the last
     * @param result accuracy and loss
     */
    public fun onEvaluated(
        isTrained: Boolean,
        result: EvaluateResult,
    ) {
    }
}
