package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import java.io.File
import java.io.IOException

/**
 * Progress of a run, in a file of its own, from which the run can be resumed after its process died.
 *
 * @property settings settings that affect the results; a run is resumed only with the same settings
 * @property before results on the held-out examples before the first step; null without held-out examples
 * @property steps all steps taken
 */
internal class TrainerProgress(
    val settings: RunSettings,
    val before: EvaluateResult?,
    val steps: MutableList<StepRecord> = ArrayList(),
) {
    private var state = ""

    /**
     * Saves the progress: first the state, under a name of its own, so that the progress always names a complete state.
     *
     * @param files files of the run
     * @param model the model that is trained
     */
    fun save(
        files: RunFiles,
        model: TinyTlModel,
    ) {
        val old = state
        val file = files.step(steps.size)
        model.save(file)
        state = file.name
        CheckedJson.write(files.progress, json().put("state", state).put("state_sha256", sha256(file)))
        if (old.isNotEmpty() && old != state) {
            files.named(old).delete()
        }
    }

    /** Returns the input of [parse]. */
    fun json(): JSONObject {
        val rows = JSONArray()
        for (step in steps) {
            val row = JSONArray()
            listOf(step.loss, step.accuracy).forEach { row.put(it ?: JSONObject.NULL) }
            rows.put(row.put(if (step.applied) 1 else 0).put(step.millis))
        }
        val values = JSONObject()
        values.put("version", VERSION)
        values.put("settings", settings.json())
        before?.let { values.put("before", EvaluateResultJson.write(it)) }
        values.put("steps", rows)
        return values
    }

    companion object {
        private const val VERSION = 2
        private const val REMEDY = "start the run again"
        private const val COLUMNS = 4

        /**
         * Resumes a run: reads its progress, and restores the state of its last step.
         *
         * @throws InputException if the run does not exist, its files are damaged, or it had different photos or
         *   settings; the model is unchanged
         */
        fun resume(
            files: RunFiles,
            model: TinyTlModel,
            settings: RunSettings,
            totalSteps: Int,
        ): TrainerProgress {
            val fields = CheckedJson.read(files.progress, REMEDY)
            val progress = parse(fields, files.progress, settings, totalSteps)
            progress.state = fields.text("state")
            val file = files.named(progress.state)
            if (sha256(file) != fields.text("state_sha256")) {
                throw InputException("$file is damaged: expected the state that the run wrote, got another; $REMEDY")
            }
            model.restore(file) // including the added classes
            return progress
        }

        private fun sha256(file: File): String =
            try {
                Fingerprint.hex(Fingerprint.of(file.readBytes()))
            } catch (error: IOException) {
                throw InputException(
                    "expected the state of a stopped run at $file, got: ${error.message}; $REMEDY",
                    error,
                )
            }

        /**
         * Reads the output of [json].
         *
         * @throws InputException if it belongs to a run with different photos or settings
         */
        fun parse(
            fields: JsonFields,
            file: File,
            settings: RunSettings,
            totalSteps: Int,
        ): TrainerProgress {
            val version = fields.int("version")
            if (version != VERSION) {
                fields.refuse("version", VERSION.toString(), version)
            }
            settings.requireSame(fields.fields("settings"), REMEDY)
            val rows = fields.rows("steps")
            if (rows.size > totalSteps || rows.any { it.size != COLUMNS }) {
                throw InputException("$file is damaged: expected up to $totalSteps steps, got ${rows.size}; $REMEDY")
            }
            return TrainerProgress(
                settings,
                if ("before" in fields.names) EvaluateResultJson.read(fields.fields("before")) else null,
                rows.mapTo(ArrayList()) { (loss, accuracy, applied, millis) ->
                    StepRecord(loss, accuracy, applied == 1.0, millis ?: 0.0)
                },
            )
        }
    }
}
