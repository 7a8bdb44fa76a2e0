package org.tinytl

import java.io.File
import java.io.IOException

/**
 * The files of a run next to the state file that it writes.
 *
 * @param path of the state file
 * @throws InputException if it has no folder
 */
internal class RunFiles(
    path: File,
) {
    /** The state file; of a link that to which it leads, so that two runs never share one unseen. */
    val state: File =
        try {
            path.canonicalFile
        } catch (error: IOException) {
            throw AtomicFile.unwritable(path, error)
        }

    private val folder: File = state.parentFile ?: throw AtomicFile.unwritable(path, IOException("it has no folder"))

    /** How far the run is. */
    val progress: File = sibling(".progress.json")

    /** That the run of a job has ended. */
    val finished: File = sibling(".done.json")

    /** The lock of a run. */
    val lock: File = sibling(".lock")

    /** The state after a step. */
    fun step(number: Int): File = sibling("$STEP$number")

    /** The file in the same folder that [progress] names. */
    fun named(name: String): File = File(folder, name)

    /** Removes the progress, and the states of the steps. */
    fun removeProgress() {
        progress.delete()
        folder.listFiles { _, name -> name.startsWith("${state.name}$STEP") }?.forEach { it.delete() }
    }

    /**
     * Checks that all files of a run can be made, before any work: a name may be too long for them.
     *
     * @param totalSteps of the run
     * @throws InputException if they cannot
     */
    fun check(totalSteps: Int) {
        val most = listOf(progress, finished, step(totalSteps)).maxOf { it.name.length }
        // A name of the same length that no run reads.
        val probe = named(state.name.padEnd(most, '_'))
        try {
            if (state.isDirectory) {
                throw IOException("it is a folder")
            }
            folder.mkdirs()
            if (probe.createNewFile()) {
                probe.delete()
            }
        } catch (error: IOException) {
            throw InputException(
                "expected to write $state, and files next to it with names of up to ${most - state.name.length} " +
                    "characters longer, got: ${error.message}; choose a shorter name in a folder that can be written",
                error,
            )
        }
    }

    private fun sibling(suffix: String) = File(folder, "${state.name}$suffix")

    private companion object {
        const val STEP = ".step-"
    }
}
