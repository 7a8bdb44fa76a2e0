package org.tinytl

/**
 * Figures over a number of examples.
 *
 * @property accuracy share of the images (of their attributes, with several) that were answered rightly, 0 to 1
 * @property loss mean cross-entropy, without label smoothing
 */
public data class EvaluateResult(
    val accuracy: Double,
    val loss: Double,
)
