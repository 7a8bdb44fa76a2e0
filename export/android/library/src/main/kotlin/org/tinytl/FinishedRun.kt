package org.tinytl

import org.json.JSONObject

/**
 * Marks a run as ended, in a file next to its state: a job whose process died after the last save does not train
 * again.
 *
 * @property job names the job that asked for the run
 * @property progress all that was done
 * @property after the model on the examples that were held out, after the last step; null without any
 */
internal class FinishedRun(
    val job: String,
    val progress: TrainerProgress,
    val after: EvaluateResult?,
) {
    /** Replaces the file; write the state before. */
    fun write(files: RunFiles) {
        val values = JSONObject()
        values.put("job", job)
        after?.let { values.put("after", EvaluateResultJson.write(it)) }
        values.put("progress", progress.json())
        CheckedJson.write(files.finished, values)
    }

    companion object {
        private const val REMEDY = "the run starts again"

        /**
         * Returns the run that this job has ended, or null without one.
         *
         * @throws InputException if the file is damaged, or of another job, other photos or settings
         */
        fun find(
            files: RunFiles,
            job: String,
            settings: RunSettings,
            totalSteps: Int,
        ): FinishedRun? {
            if (!files.finished.exists() || !files.state.exists()) {
                return null
            }
            val fields = CheckedJson.read(files.finished, REMEDY)
            if (fields.text("job") != job) {
                return null
            }
            val progress = TrainerProgress.parse(fields.fields("progress"), files.finished, settings, totalSteps)
            val after = if ("after" in fields.names) EvaluateResultJson.read(fields.fields("after")) else null
            return FinishedRun(job, progress, after).takeIf { progress.steps.size == totalSteps }
        }
    }
}
