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
 * @property step number of steps so far, from 1
 * @property totalSteps steps of the run
 * @property result loss and accuracy of the step's batch
 */
public data class StepTaken(
    val step: Int,
    val totalSteps: Int,
    val result: TrainResult,
) : TrainingEvent

/**
 * A pass over the examples was made.
 *
 * @property epoch which one, from 1
 * @property result means over its steps
 */
public data class EpochEnded(
    val epoch: Int,
    val result: EpochResult,
) : TrainingEvent

/**
 * The meaning of the run's figures is limited; the run continues.
 *
 * @property message one line, to show to the user
 */
public data class Warned(
    val message: String,
) : TrainingEvent

/**
 * The examples that were held out were measured.
 *
 * @property isTrained false before the first step, true after the last
 * @property result accuracy and loss
 */
public data class Evaluated(
    val isTrained: Boolean,
    val result: EvaluateResult,
) : TrainingEvent

/**
 * The run has ended, and its state is saved.
 *
 * @property result the figures
 */
public data class Trained(
    val result: TrainerResult,
) : TrainingEvent
