package org.tinytl

/**
 * Evaluates the predictions of a model.
 *
 * @param task task of the model
 * @param labels names of the classes, attributes or numbers in use
 */
internal class Evaluation(
    private val task: Task,
    labels: List<String>,
) {
    private val tally = task.tally(labels)
    private var examples = 0
    private var loss = 0.0

    /** Counts one prediction; [target] has a number for each output: 1 for each class of the image. */
    fun add(
        logits: FloatArray,
        target: FloatArray,
    ) {
        examples++
        loss += task.loss(logits, target)
        tally.add(logits, target)
    }

    /** Returns the figures over all counted predictions, at least one. */
    fun result(): EvaluateResult = tally.result(loss / examples)
}
