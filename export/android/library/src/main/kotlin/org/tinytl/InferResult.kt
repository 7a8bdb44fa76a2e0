package org.tinytl

/**
 * The answer for one image.
 *
 * @property logits one for each class
 * @property probabilities softmax of the logits, or sigmoid of each where images have several attributes
 */
public class InferResult(
    public val logits: FloatArray,
    public val probabilities: FloatArray,
) {
    /** Index of the most probable class. */
    public val best: Int
        get() = probabilities.indices.maxBy { probabilities[it] }
}
