package org.tinytl

/**
 * Figures over a number of examples.
 *
 * @property accuracy share of the examples (of their attributes, with several) that were answered rightly, 0 to 1; of a
 *   regression the share of the numbers that are at most 0.5 away from their labels, a rough sign and nothing more
 * @property loss mean cross-entropy, without label smoothing; of a regression the mean squared error
 * @property balancedAccuracy mean recall of the classes that have images; with several attributes the mean, over those
 *   that some images have and some have not, of the shares of both that were answered rightly; null without any
 * @property classes one for each class or attribute in use, in the order of the outputs; empty for a regression
 * @property numbers for a regression one for each output, in their order; else empty
 */
public data class EvaluateResult
    @JvmOverloads
    constructor(
        val accuracy: Double,
        val loss: Double,
        val balancedAccuracy: Double?,
        val classes: List<ClassResult>,
        val numbers: List<NumberResult> = emptyList(),
    )
