package org.tinytl

/**
 * The answer for one image or array.
 *
 * @property logits one for each class; of a regression the numbers that are predicted
 * @property probabilities softmax of the logits, or sigmoid of each where images have several attributes; a
 *   regression has no probabilities, and these are the predicted numbers again
 */
public class InferResult internal constructor(
    public val logits: FloatArray,
    public val probabilities: FloatArray,
    private val task: Task,
) {
    /** The answer of a model of classes. */
    public constructor(logits: FloatArray, probabilities: FloatArray) : this(logits, probabilities, Task.CLASSIFICATION)

    /**
     * Index of the most probable class.
     *
     * @throws InputException if the task is a regression, whose outputs are numbers and not classes
     */
    public val best: Int
        get() {
            if (task == Task.REGRESSION) {
                throw InputException(
                    "expected the answer of a model of classes, got predicted numbers, none of which is the best; " +
                        "read logits",
                )
            }
            return probabilities.indices.maxBy { probabilities[it] }
        }
}
