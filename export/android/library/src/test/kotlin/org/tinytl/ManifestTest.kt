package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Test

/** Reads the golden manifest and refuses damaged ones. */
class ManifestTest {
    private val text = Golden.file("model_float32.manifest.json").readText()

    @Test
    fun `the golden manifest is read`() {
        val manifest = Manifest.parse(text)
        val values = JSONObject(text)
        assertEquals(5, manifest.labels.size)
        assertEquals(0.875, manifest.centralFraction, 0.0)
        assertEquals(values.getJSONObject("sizes").getInt("state_bytes"), 4 * manifest.stateSize)
        assertEquals(setOf("infer", "train", "save", "restore", "reset"), manifest.signatures.keys)
        assertEquals(values.getString("min_runtime_version"), manifest.minRuntimeVersion)
        assertEquals(true, manifest.savesOptimizer)
        assertEquals(ColorChange.NONE, manifest.augmentation.color)
    }

    @Test
    fun `other versions are refused`() {
        for ((version, next) in listOf("format_version" to 3, "contract" to 4)) {
            for (value in listOf(1, next, "2", 2.5)) {
                refused(version, "$value") { Manifest.parse(changed { it.put(version, value) }) }
            }
        }
    }

    @Test
    fun `each missing field is refused`() {
        val unread = setOf("tools", "parity", "tolerances", "operators", "passes", "sizes")
        val ofNewerExports = setOf("frozen_sha256", "learning_rate", "learning_rate_from", "schedule")
        for (field in JSONObject(text).keys().asSequence().toSet() - unread - ofNewerExports) {
            refused(field, "got nothing", "export the model again") { Manifest.parse(changed { it.remove(field) }) }
        }
    }

    @Test
    fun `the manifest of an older export has the rate that most schemes have`() {
        assertEquals(3e-3, Manifest.parse(text).learningRate, 0.0)
        assertEquals(1e-3, Manifest.parse(changed { it.remove("learning_rate") }).learningRate, 0.0)
    }

    @Test
    fun `settings of newer exports are read, and older ones have the documented ones`() {
        val newer =
            Manifest.parse(
                changed {
                    it.put("schedule", "constant").put("learning_rate_from", "run")
                    it.getJSONObject("data").put("split", "content").put("split_seed", 1L shl 40)
                },
            )
        assertEquals(LearningRateSchedule.CONSTANT, newer.schedule)
        assertEquals("run", newer.learningRateFrom)
        assertEquals(listOf("content", true), listOf(newer.split, newer.splitsByContent))
        assertEquals(1L shl 40, newer.splitSeed)
        val older =
            Manifest.parse(
                changed {
                    it.remove("schedule")
                    it.remove("learning_rate_from")
                    it.getJSONObject("data").remove("split")
                    it.getJSONObject("data").remove("split_seed")
                },
            )
        assertEquals(LearningRateSchedule.COSINE, older.schedule)
        assertEquals(listOf("", "", false), listOf(older.learningRateFrom, older.split, older.splitsByContent))
        assertEquals(0L, older.splitSeed)
    }

    @Test
    fun `fields of another kind are refused`() {
        val huge = JSONArray(listOf(1 shl 20, 1 shl 20))
        val changes: List<Pair<String, (JSONObject) -> Unit>> =
            listOf(
                "labels" to { it.put("labels", JSONArray(listOf("a", "a"))) },
                "labels" to { it.put("labels", JSONArray(listOf("\u00e9", "e\u0301"))) },
                "labels" to { it.put("labels", JSONArray(listOf("a", ""))) },
                "labels" to { it.put("labels", JSONArray(listOf("a", 3))) },
                "labels" to { it.put("labels", JSONArray()) },
                "spare_classes" to { it.put("spare_classes", -1) },
                "spare_classes" to { it.put("spare_classes", 1).put("task", "multilabel") },
                "state" to { it.put("spare_classes", 1) },
                "schedule" to { it.put("schedule", "step") },
                "schedule" to { it.put("schedule", 1) },
                "learning_rate_from" to { it.put("learning_rate_from", 1) },
                "data.split" to { it.getJSONObject("data").put("split", 3) },
                "data.split_seed" to { it.getJSONObject("data").put("split_seed", -1) },
                "data.split_seed" to { it.getJSONObject("data").put("split_seed", 0.5) },
                "task" to { it.put("task", "guessing") },
                "xnnpack" to { it.put("xnnpack", 1) },
                "batch_size" to { it.put("batch_size", "4") },
                "learning_rate" to { it.put("learning_rate", 0) },
                "input.size" to { it.getJSONObject("input").put("size", JSONArray(listOf(64))) },
                "input.central_fraction" to { it.getJSONObject("input").put("central_fraction", 1.5) },
                "input.central_fraction" to { it.getJSONObject("input").put("central_fraction", 0) },
                "data.color" to { it.getJSONObject("data").put("color", "sepia") },
                "data.crop_area" to { it.getJSONObject("data").put("crop_area", JSONArray(listOf(0.1))) },
                "crop area" to { it.getJSONObject("data").put("crop_area", JSONArray(listOf(1, 0.1))) },
                "state.offset" to { it.getJSONArray("state").getJSONObject(1).put("offset", 0) },
                "state.offset" to { emptyLast(it, 0) },
                "state.offset" to { emptyLast(it, -1) },
                "state.shape" to { it.getJSONArray("state").getJSONObject(0).put("shape", huge) },
            )
        for ((where, change) in changes) {
            refused(where) { Manifest.parse(changed(change)) }
        }
    }

    @Test
    fun `a state without the slots of its optimizer does not hold all that training needs`() {
        for ((optimizer, saves) in listOf("sgd" to true, "momentum" to false, "adam" to false)) {
            assertEquals(saves, ScriptedRuntime.manifest { it.put("optimizer", optimizer) }.savesOptimizer)
        }
    }

    private fun emptyLast(
        values: JSONObject,
        size: Int,
    ) = values.getJSONArray("state").let { it.getJSONObject(it.length() - 1).put("shape", JSONArray(listOf(size))) }

    @Test
    fun `what is no JSON is refused`() {
        for (bad in listOf("", "[]", "{", text.take(text.length / 2), "[".repeat(100_000), "{\"a\":".repeat(100_000))) {
            refused("JSON", "export the model again") { Manifest.parse(bad) }
        }
    }

    private fun changed(change: (JSONObject) -> Unit): String = JSONObject(text).also(change).toString()
}
