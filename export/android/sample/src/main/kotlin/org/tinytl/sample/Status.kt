package org.tinytl.sample

/**
 * Content of the screen, from the session.
 *
 * @property isBusy whether a task runs that changes the model
 * @property isTraining whether it is a training run
 * @property step steps taken in it
 * @property totalSteps steps of it
 * @property accuracy of the photos of the last steps, 0 to 1; not a number if it is not known
 * @property message the last event
 * @property figures of the last run, a line for each class, and their limits
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
