package org.tinytl

import java.io.File
import kotlin.math.abs

/**
 * Moves the state of one file to another export of the same network, see [StateFile.move].
 *
 * @param from manifest of the model that the state was saved from
 * @param to manifest of the new model
 */
internal class StateMove(
    private val from: Manifest,
    private val to: Manifest,
) {
    private val old = variables(from)
    private val new = variables(to)

    /** Refuses models that are not exports of one network with the same classes. */
    fun checkModels() {
        if (from.task != to.task || from.labels != to.labels) {
            throw InputException(
                "expected the classes ${to.labels.joinToString()} of the new model in this order, got " +
                    "${from.labels.joinToString()} of the old one; move states between models of the same classes",
            )
        }
        val digests = setOf(from.frozenSha256, to.frozenSha256)
        if ("" !in digests && digests.size > 1) {
            throw InputException(
                "expected two exports of one network, got other frozen weights in the new one; move states between " +
                    "models of one network",
            )
        }
        val different = ((old.keys - new.keys) + (new.keys - old.keys)).minByOrNull { it.first }
        if (different != null) {
            throw InputException(
                "expected the same trained variables in both models, got a difference at ${different.first}; move " +
                    "states between models of one network and update scheme",
            )
        }
    }

    /**
     * Returns the values of the new state; the optimizer's slots are 0.
     *
     * @param saved the state of the old file
     * @param file the state file, for errors
     */
    fun values(
        saved: SavedState,
        file: File,
    ): FloatArray {
        StateCheck.checkAdded(saved.addedClasses, from, file)
        val values = FloatArray(to.stateSize)
        for ((variable, target) in new) {
            val source = old.getValue(variable)
            for (index in 0 until target.size) {
                // Adding 0 turns -0 into 0, as in the Python client.
                values[target.offset + index] = saved.values[source.offset + index] + 0f
            }
        }
        val total = values.sumOf { abs(it.toDouble()) }
        if (total >= LARGEST) {
            throw InputException(
                "cannot move $file: expected magnitudes that add up to less than $LARGEST, got $total; use another " +
                    "copy, or reset the model and train with a lower learning rate",
            )
        }
        StateCheck.checkOutputs(values, to, saved.addedClasses.size, "cannot move $file")
        return values
    }

    private companion object {
        /** The signature `restore` refuses a state whose magnitudes add up to this or more. */
        const val LARGEST = 1e15

        /** Returns the trained variables of a state by name and shape. */
        fun variables(manifest: Manifest): Map<Pair<String, List<Int>>, StateEntry> =
            manifest.state.filter { it.slot.isEmpty() }.associateBy { Pair(it.name, it.shape) }
    }
}
