package org.tinytl

/**
 * Figures over a number of examples.
 *
 * @property accuracy share of the images (of their attributes, with several) that were answered rightly, 0 to 1
 * @property loss mean cross-entropy, without label smoothing
 * @property balancedAccuracy mean recall of the classes that have images; with several attributes the mean, over those
 *   that some images have and some have not, of the shares of both that were answered rightly; null without any
 * @property classes one for each class or attribute in use, in the order of the outputs
 */
public data class EvaluateResult(
    val accuracy: Double,
    val loss: Double,
    val balancedAccuracy: Double?,
    val classes: List<ClassResult>,
)
