package org.tinytl

/**
 * Examples to train on and examples that are held out to measure by, see [Example.holdOut].
 *
 * @property training the examples to train on
 * @property heldOut the examples to measure by; it may be empty, then a [Trainer] measures nothing
 * @property warnings a line for each thing that limits what the figures mean, to show to the user
 */
public data class Split(
    val training: List<Example>,
    val heldOut: List<Example>,
    val warnings: List<String>,
)
