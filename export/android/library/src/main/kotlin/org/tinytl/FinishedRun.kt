package org.tinytl

import org.json.JSONObject

/**
 * Marks a run as finished, in a file next to its state, so that a job whose process died after the last save does not
 * train again.
 *
 * @property job identifier of the job that started the run
 * @property progress complete progress of the run
 * @property after results on the held-out examples after the last step; null without held-out examples
 */
internal class FinishedRun(
    val job: String,
    val progress: TrainerProgress,
    val after: EvaluateResult?,
) {
    /** Replaces the file; write the state first. */
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
         * Returns the run that this job has finished, or null.
         *
         * @throws InputException if the file is damaged, or has a different job, photos or settings
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
