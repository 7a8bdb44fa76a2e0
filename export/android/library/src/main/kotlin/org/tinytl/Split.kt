package org.tinytl

/**
 * A training set and a held-out set, see [Example.holdOut].
 *
 * @property training the training examples
 * @property heldOut the held-out examples; if the list is empty, a [Trainer] does not evaluate
 * @property warnings limits of the figures, a line for each, to show to the user
 */
public data class Split(
    val training: List<Example>,
    val heldOut: List<Example>,
    val warnings: List<String>,
)
