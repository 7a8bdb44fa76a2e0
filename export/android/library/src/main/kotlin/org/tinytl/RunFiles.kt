package org.tinytl

import java.io.File
import java.io.IOException

/**
 * The files of a run next to the state file that it writes.
 *
 * @param path path of the state file
 * @throws InputException if it has no parent folder
 */
internal class RunFiles(
    path: File,
) {
    /** The state file. Links are resolved, so that two runs cannot write one file under different names. */
    val state: File =
        try {
            path.canonicalFile
        } catch (error: IOException) {
            throw AtomicFile.unwritable(path, error)
        }

    private val folder: File =
        state.parentFile ?: throw AtomicFile.unwritable(path, IOException("it has no parent folder"))

    /** The progress of the run. */
    val progress: File = sibling(".progress.json")

    /** The mark that the run of a job has finished. */
    val finished: File = sibling(".done.json")

    /** The lock of the run. */
    val lock: File = sibling(".lock")

    /** The state after a step. */
    fun step(number: Int): File = sibling("$STEP$number")

    /** Returns the file of this name in the same folder. */
    fun named(name: String): File = File(folder, name)

    /** Removes the progress and the states of the steps. */
    fun removeProgress() {
        progress.delete()
        folder.listFiles { _, name -> name.startsWith("${state.name}$STEP") }?.forEach { it.delete() }
    }

    /**
     * Checks before any work that all files of a run can be created: the name may be too long.
     *
     * @param totalSteps total number of steps of the run
     * @throws InputException if a file cannot be created
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
                "expected to write $state, and files next to it with names that are up to " +
                    "${most - state.name.length} characters longer, got: ${error.message}; choose a shorter name " +
                    "in a writable folder",
                error,
            )
        }
    }

    private fun sibling(suffix: String) = File(folder, "${state.name}$suffix")

    private companion object {
        const val STEP = ".step-"
    }
}
