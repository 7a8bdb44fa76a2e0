package org.tinytl

/**
 * Examples to train on and examples that are held out to measure by, see [Example.holdOut].
 *
 * @property training the examples to train on
 * @property heldOut the examples to evaluate on; if it is empty, a [Trainer] does not evaluate
 * @property warnings a line for each limit of the figures' meaning, to show to the user
 */
public data class Split(
    val training: List<Example>,
    val heldOut: List<Example>,
    val warnings: List<String>,
)
