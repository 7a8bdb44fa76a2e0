package org.tinytl

/** Counts predictions by class, by attribute or by number. */
internal interface Tally {
    /** Counts one prediction; [target] has a number for each output. */
    fun add(
        logits: FloatArray,
        target: FloatArray,
    )

    /**
     * Returns the figures over all counted predictions, at least one.
     *
     * @param loss their mean loss
     */
    fun result(loss: Double): EvaluateResult
}
