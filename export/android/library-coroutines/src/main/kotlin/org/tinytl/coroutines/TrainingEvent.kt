package org.tinytl.coroutines

import org.tinytl.EvaluateResult
import org.tinytl.TrainResult
import org.tinytl.TrainerResult

/** What happens in a run, see [trainingFlow]. */
public sealed interface TrainingEvent

/**
 * A step was taken.
 *
 * @property step how many steps were taken, from 1
 * @property totalSteps steps of the whole run
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
 * @property loss mean over the applied steps
 * @property accuracy mean over the applied steps, 0 to 1
 */
public data class EpochEnded(
    val epoch: Int,
    val loss: Double,
    val accuracy: Double,
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
 * @property result what was measured
 */
public data class Trained(
    val result: TrainerResult,
) : TrainingEvent
