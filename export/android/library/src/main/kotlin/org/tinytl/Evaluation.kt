package org.tinytl

/**
 * Counts the answers of a model.
 *
 * @param task of the model
 * @param labels names of the classes or attributes in use
 */
internal class Evaluation(
    private val task: Task,
    private val labels: List<String>,
) {
    private val positives = IntArray(labels.size)
    private val truePositives = IntArray(labels.size)
    private val falsePositives = IntArray(labels.size)
    private var images = 0
    private var loss = 0.0

    /** Counts one answer; [target] has 1 for each class of the image. */
    fun add(
        logits: FloatArray,
        target: FloatArray,
    ) {
        images++
        loss += task.loss(logits, target)
        val answers = task.answers(logits)
        for (index in labels.indices) {
            val isPositive = target[index] > HALF
            if (isPositive) positives[index]++
            if (isPositive && answers[index]) truePositives[index]++
            if (!isPositive && answers[index]) falsePositives[index]++
        }
    }

    /** The figures over all that were counted, one at least. */
    fun result(): EvaluateResult {
        val classes =
            labels.mapIndexed { index, name ->
                val count = positives[index]
                ClassResult(name, count, images - count, truePositives[index], falsePositives[index])
            }
        return EvaluateResult(task.accuracy(classes), loss / images, task.balancedAccuracy(classes), classes)
    }

    private companion object {
        const val HALF = 0.5f
    }
}
