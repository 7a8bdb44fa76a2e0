package org.tinytl

/**
 * A part of the state: a trained variable, one of its optimizer's slots, or the count of steps.
 *
 * @property name path of the variable, or `step`
 * @property shape its shape; the elements are in row-major order
 * @property offset index of its first element in the state
 * @property slot name of the slot; empty for the variable itself
 */
public data class StateEntry(
    val name: String,
    val shape: List<Int>,
    val offset: Int,
    val slot: String,
) {
    /** Number of elements. */
    public val size: Int
        get() = shape.fold(1, Math::multiplyExact)

    /** Whether it is a variable of the classifier, whose last axis is the output. */
    internal val isOfClassifier: Boolean
        get() = slot.isEmpty() && name.startsWith("classifier/")

    /** Whether training never makes its values negative. */
    internal val isNotNegative: Boolean
        get() = slot == "second_moment" || slot == "step"
}
