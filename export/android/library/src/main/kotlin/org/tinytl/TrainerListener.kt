package org.tinytl

/** Receives the progress of a [Trainer] on the thread that trains; each function is optional. */
public interface TrainerListener {
    /**
     * A step was taken.
     *
     * @param step number of steps taken so far, from 1
     * @param totalSteps total number of steps of the run
     * @param result loss and accuracy of the step's batch
     */
    public fun onStep(
        step: Int,
        totalSteps: Int,
        result: TrainResult,
    ) {
    }

    /**
     * An epoch, a pass over the training examples, has ended.
     *
     * @param epoch number of the epoch, from 1
     * @param result means over the steps of the epoch
     */
    public fun onEpoch(
        epoch: Int,
        result: EpochResult,
    ) {
    }

    /**
     * The held-out examples were evaluated; not called without held-out examples.
     *
     * @param isTrained false before the first step, true after the last step
     * @param result accuracy and loss, also of each class
     */
    public fun onEvaluated(
        isTrained: Boolean,
        result: EvaluateResult,
    ) {
    }

    /**
     * The figures of the run have limited meaning; the run continues.
     *
     * @param message one line to show to the user
     */
    public fun onWarning(message: String) {
    }
}
