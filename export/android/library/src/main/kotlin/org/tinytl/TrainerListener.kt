package org.tinytl

/** Hears how far a [Trainer] is, on the thread that trains; each function may be left out. */
public interface TrainerListener {
    /**
     * A step was taken.
     *
     * @param step number of steps so far, from 1
     * @param totalSteps steps of the run
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
     * @param result means over its steps
     */
    public fun onEpoch(
        epoch: Int,
        result: EpochResult,
    ) {
    }

    /**
     * The examples that were held out were measured; never called without any.
     *
     * @param isTrained whether the model was trained: false before the first step, true after the last
     * @param result accuracy and loss, also of each class
     */
    public fun onEvaluated(
        isTrained: Boolean,
        result: EvaluateResult,
    ) {
    }

    /**
     * The meaning of the run's figures is limited; the run continues.
     *
     * @param message one line, to show to the user
     */
    public fun onWarning(message: String) {
    }
}
