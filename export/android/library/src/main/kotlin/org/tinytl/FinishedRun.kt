package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import java.io.File
import java.io.IOException

/**
 * Says that a run has ended, in a file next to its state: a job whose process died after the last save does not train
 * again.
 *
 * @property job names the job that asked for the run
 * @property progress all that was done
 * @property after accuracy and loss on the examples that were held out, after the last step
 */
internal class FinishedRun(
    val job: String,
    val progress: TrainerProgress,
    val after: EvaluateResult,
) {
    /** Replaces the file; the state has to be written before. */
    fun write(file: File) {
        val values = JSONObject()
        values.put("job", job)
        values.put("after", JSONArray(listOf(after.accuracy, after.loss)))
        values.put("progress", progress.json())
        AtomicFile.write(file, values.toString().toByteArray())
    }

    companion object {
        private const val REMEDY = "train again"

        /** Where it is written that the run has ended whose result is this state file. */
        fun file(state: File): File = File(state.absoluteFile.parentFile, "${state.name}.done.json")

        /**
         * Returns the run that this job has ended, or null: there is none, it is of another job, of other photos or
         * settings, or the file is damaged.
         */
        fun find(
            file: File,
            job: String,
            settings: Map<String, String>,
            totalSteps: Int,
        ): FinishedRun? =
            try {
                val fields = JsonFields.parse(file.readText(), file.toString(), REMEDY)
                val (accuracy, loss) = fields.doubles("after")
                val progress = TrainerProgress.parse(fields.fields("progress"), file, settings, totalSteps)
                val isWhole = progress.steps.size == totalSteps && fields.text("job") == job
                FinishedRun(job, progress, EvaluateResult(accuracy, loss)).takeIf { isWhole }
            } catch (_: IOException) {
                null
            } catch (_: InputException) {
                null
            } catch (_: IndexOutOfBoundsException) {
                null
            }
    }
}
