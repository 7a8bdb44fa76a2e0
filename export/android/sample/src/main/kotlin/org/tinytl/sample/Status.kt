package org.tinytl.sample

/**
 * Content of the screen.
 *
 * @property isBusy whether a task that changes the model is running
 * @property isTraining whether that task is a training run
 * @property step number of steps taken in the run
 * @property totalSteps total number of steps of the run
 * @property accuracy accuracy on the photos of the last steps, 0 to 1; NaN if it is unknown
 * @property message the last event
 * @property figures results of the last run, a line for each class, and warnings about them
 */
internal data class Status(
    val isBusy: Boolean = false,
    val isTraining: Boolean = false,
    val step: Int = 0,
    val totalSteps: Int = 0,
    val accuracy: Double = 0.0,
    val message: String = "",
    val figures: String = "",
)
