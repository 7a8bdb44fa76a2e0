package org.tinytl

import java.io.File

/** Whether a state can be restored: one rule for models and for states that move to another file. */
internal object StateCheck {
    /** Bias of an output without a class. */
    const val UNUSED = -10_000f

    /**
     * Refuses added classes that a model has no spare outputs for, or that have names of exported classes.
     *
     * @param names names of the added classes
     * @param manifest manifest of the model
     * @param file the state file, for errors
     */
    fun checkAdded(
        names: List<String>,
        manifest: Manifest,
        file: File,
    ) {
        if (names.size > manifest.spareClasses) {
            throw InputException(
                "$file has ${names.size} added classes, expected at most ${manifest.spareClasses}, the spare ones of " +
                    "the model; use another copy",
            )
        }
        try {
            ClassNames.check(names, manifest.labels)
        } catch (error: InputException) {
            throw StateFile.unusable(file, error.message, error)
        }
    }

    /** Refuses slots that cannot come from training. */
    fun checkSlots(
        state: FloatArray,
        manifest: Manifest,
    ) {
        for (entry in manifest.state.filter { it.isNotNegative }) {
            val smallest = (entry.offset until entry.offset + entry.size).minOf { state[it] }
            if (smallest < 0) {
                throw InputException(
                    "cannot set the state: expected ${entry.slot} of ${entry.name} of 0 or more, got $smallest; use " +
                        "another copy",
                )
            }
        }
    }

    /**
     * Refuses a state in which an output is in use but has no name, or has a name but is not in use.
     *
     * @param state the values
     * @param manifest manifest of the model
     * @param added number of added classes
     * @param what beginning of the error
     */
    fun checkOutputs(
        state: FloatArray,
        manifest: Manifest,
        added: Int,
        what: String,
    ) {
        if (manifest.spareClasses == 0) {
            return
        }
        val expected = manifest.labels.size + added
        val offset = manifest.classifierBias.offset
        val outputs = 0 until manifest.labels.size + manifest.spareClasses
        val used = outputs.count { state[offset + it] > UNUSED / 2 }
        if (used != expected || outputs.drop(expected).any { state[offset + it] != UNUSED }) {
            throw InputException(
                "$what: expected $expected outputs in use, got $used; restore it from its file, which has the names " +
                    "of the added classes",
            )
        }
    }
}
