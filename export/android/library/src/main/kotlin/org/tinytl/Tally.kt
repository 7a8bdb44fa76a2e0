package org.tinytl

/** Counts answers, by class, by attribute or by number. */
internal interface Tally {
    /** Counts one answer; [target] has a number for each output. */
    fun add(
        logits: FloatArray,
        target: FloatArray,
    )

    /**
     * The figures over all that were counted, one at least.
     *
     * @param loss mean loss of them
     */
    fun result(loss: Double): EvaluateResult
}
