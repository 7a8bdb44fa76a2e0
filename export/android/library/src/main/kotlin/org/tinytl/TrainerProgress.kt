package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import java.io.File
import java.io.IOException

/**
 * What a run has done, in a file of its own, so that a run whose process died goes on where it was.
 *
 * @property settings what the numbers depend on; a run goes on with the same ones only
 * @property before accuracy and loss on the examples that were held out, before the first step
 * @property steps a row for each step: loss, accuracy, whether it was applied, milliseconds
 * @property state name of the state file of the last step, in the same folder
 */
internal class TrainerProgress(
    val settings: Map<String, String>,
    val before: EvaluateResult,
    val steps: MutableList<DoubleArray> = ArrayList(),
    var state: String = "",
) {
    /** Replaces the file; the state that it names has to be written before. */
    fun write(file: File) = AtomicFile.write(file, json().toString().toByteArray())

    /** What [parse] reads. */
    fun json(): JSONObject {
        val rows = JSONArray()
        for (row in steps) {
            rows.put(JSONArray(row.toList()))
        }
        val values = JSONObject()
        values.put("version", VERSION)
        values.put("settings", JSONObject(settings))
        values.put("before", JSONArray(listOf(before.accuracy, before.loss)))
        values.put("steps", rows)
        values.put("state", state)
        return values
    }

    companion object {
        private const val VERSION = 1
        private const val REMEDY = "start the run again"
        private const val COLUMNS = 4

        /** Where the progress of the run is kept that is going to write a state file. */
        fun file(state: File): File = File(state.absoluteFile.parentFile, "${state.name}.progress.json")

        /** The state file of a step of that run. */
        fun stateFile(
            state: File,
            step: Int,
        ): File = File(state.absoluteFile.parentFile, "${state.name}.step-$step")

        /**
         * Reads how far a run was.
         *
         * @throws InputException if there is no such file, it is damaged, or of a run with other settings
         */
        fun read(
            file: File,
            settings: Map<String, String>,
            totalSteps: Int,
        ): TrainerProgress {
            val text =
                try {
                    file.readText()
                } catch (error: IOException) {
                    throw InputException("expected a run to go on with at $file, got: ${error.message}; $REMEDY", error)
                }
            return parse(JsonFields.parse(text, file.toString(), REMEDY), file, settings, totalSteps)
        }

        /**
         * Takes what [json] wrote.
         *
         * @throws InputException if it is damaged, or of a run with other settings
         */
        fun parse(
            fields: JsonFields,
            file: File,
            settings: Map<String, String>,
            totalSteps: Int,
        ): TrainerProgress {
            val version = fields.int("version")
            if (version != VERSION) {
                fields.refuse("version", VERSION.toString(), version)
            }
            val then = fields.fields("settings").let { it.names.associateWith(it::text) }
            for (name in (settings.keys + then.keys).sorted()) {
                if (settings[name] != then[name]) {
                    throw InputException(
                        "cannot go on: $name was ${then[name]} and is now ${settings[name]}; use the same, or $REMEDY",
                    )
                }
            }
            val before = fields.doubles("before")
            val steps = fields.rows("steps")
            val state = fields.text("state")
            val isWhole = before.size == 2 && steps.size <= totalSteps && steps.all { it.size == COLUMNS }
            if (!isWhole || File(state).name != state) {
                throw InputException("$file is damaged: expected the progress of a run; $REMEDY")
            }
            return TrainerProgress(
                settings,
                EvaluateResult(before[0], before[1]),
                steps.mapTo(ArrayList()) { it.toDoubleArray() },
                state,
            )
        }

        /** Removes the progress and the states of a run that is done, or is not to be gone on with. */
        fun remove(state: File) {
            file(state).delete()
            state.absoluteFile.parentFile
                ?.listFiles { _, name -> name.startsWith("${state.name}.step-") }
                ?.forEach { it.delete() }
        }
    }
}
