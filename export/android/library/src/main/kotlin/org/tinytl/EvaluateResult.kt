package org.tinytl

/**
 * Results of an evaluation.
 *
 * @property accuracy share of the examples (with several attributes, of their attributes) with a correct prediction, 0
 *   to 1; for a regression the share of the predictions within 0.5 of their labels, which is only a rough indication
 * @property loss mean cross-entropy without label smoothing; for a regression the mean squared error
 * @property balancedAccuracy mean recall of the classes that have images; with several attributes the mean of
 *   [ClassResult.balancedAccuracy] over the attributes that some images have and others do not have; null without such
 *   a class or attribute
 * @property classes results of each class or attribute in use, in the order of the outputs; empty for a regression
 * @property numbers for a regression results of each output, in order; otherwise empty
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
