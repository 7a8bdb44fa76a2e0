package org.tinytl

/**
 * The prediction for one image or array.
 *
 * @property logits one value for each class; for a regression the predicted numbers
 * @property probabilities softmax of the logits, or the sigmoid of each logit if images have several attributes; a
 *   regression has no probabilities, and these are the same as [logits]
 */
public class InferResult internal constructor(
    public val logits: FloatArray,
    public val probabilities: FloatArray,
    private val task: Task,
) {
    /** The prediction of a model of classes. */
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
                    "expected a model of classes, got a regression, which has no best class; read logits",
                )
            }
            return probabilities.indices.maxBy { probabilities[it] }
        }
}
