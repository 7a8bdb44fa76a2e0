package org.tinytl.coroutines

import org.tinytl.EpochResult
import org.tinytl.EvaluateResult
import org.tinytl.TrainResult
import org.tinytl.TrainerResult

/** An event of a run, see [trainingFlow]. */
public sealed interface TrainingEvent

/**
 * A step was taken.
 *
 * @property step number of steps taken so far, from 1
 * @property totalSteps total number of steps of the run
 * @property result loss and accuracy of the step's batch
 */
public data class StepTaken(
    val step: Int,
    val totalSteps: Int,
    val result: TrainResult,
) : TrainingEvent

/**
 * An epoch, a pass over the training examples, has ended.
 *
 * @property epoch number of the epoch, from 1
 * @property result means over the steps of the epoch
 */
public data class EpochEnded(
    val epoch: Int,
    val result: EpochResult,
) : TrainingEvent

/**
 * The figures of the run have limited meaning; the run continues.
 *
 * @property message one line to show to the user
 */
public data class Warned(
    val message: String,
) : TrainingEvent

/**
 * The held-out examples were evaluated.
 *
 * @property isTrained false before the first step, true after the last step
 * @property result accuracy and loss
 */
public data class Evaluated(
    val isTrained: Boolean,
    val result: EvaluateResult,
) : TrainingEvent

/**
 * The run has ended, and its state is saved.
 *
 * @property result figures of the run
 */
public data class Trained(
    val result: TrainerResult,
) : TrainingEvent
