package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Test

/** Reads the golden manifests of arrays and refuses damaged ones. */
class ArrayManifestTest {
    private val arrays = Golden.file("model_array.manifest.json").readText()
    private val regression = Golden.file("model_regression.manifest.json").readText()
    private val images = Golden.file("model_float32.manifest.json").readText()

    @Test
    fun `what only photos have is refused, by its name`() {
        val manifest = Manifest.parse(arrays)
        val settings: Map<String, () -> Any> =
            mapOf(
                "height" to { manifest.height },
                "width" to { manifest.width },
                "centralFraction" to { manifest.centralFraction },
                "augmentation" to { manifest.augmentation },
            )
        for ((name, read) in settings) {
            refused("model of images for $name", "arrays of [40, 6]") { read() }
        }
    }

    @Test
    fun `contract 3 is that of arrays and of regression, and images may have it`() {
        for (text in listOf(arrays, regression)) {
            assertEquals(3, Manifest.parse(text).contract)
            refused("3, for arrays and for regression, as contract", "got 2") {
                Manifest.parse(changed(text) { it.put("contract", 2) })
            }
        }
        refused("as contract", "got 2") { Manifest.parse(changed(images) { it.put("task", "regression") }) }
        val predicted = Manifest.parse(changed(images) { it.put("task", "regression").put("contract", 3) })
        assertEquals(Task.REGRESSION to null, predicted.task to predicted.array)
        assertEquals(
            listOf(2, 3),
            listOf(2, 3).map { c ->
                Manifest.parse(changed(images) { it.put("contract", c) }).contract
            },
        )
        for (contract in listOf<Any>(1, 4, "3")) {
            refused("contract") { Manifest.parse(changed(arrays) { it.put("contract", contract) }) }
        }
        refused("format_version", "got 3") { Manifest.parse(changed(arrays) { it.put("format_version", 3) }) }
    }

    @Test
    fun `fields of photos in a manifest of arrays are refused, and the other way round`() {
        val photo = JSONObject(images)
        val fields =
            mapOf("input" to null, "crop" to "data", "crop_area" to "data", "crop_aspect" to "data", "flip" to "data") +
                mapOf("color" to "data")
        for ((name, group) in fields) {
            val where = listOfNotNull(group, name).joinToString(".")
            val value = (group?.let { photo.getJSONObject(it) } ?: photo).get(name)
            refused("nothing, in a manifest of arrays, as $where in") {
                Manifest.parse(changed(arrays) { (group?.let(it::getJSONObject) ?: it).put(name, value) })
            }
            refused("as $where in", "got nothing") {
                Manifest.parse(changed(images) { (group?.let(it::getJSONObject) ?: it).remove(name) })
            }
        }
    }

    @Test
    fun `inputs of another kind are refused`() {
        val huge = JSONArray(listOf(1 shl 20, 1 shl 20))
        val changes: List<Pair<String, (JSONObject) -> Unit>> =
            listOf(
                "inputs.array.dtype" to { array(it).put("dtype", "uint8") },
                "inputs.array.dtype" to { array(it).put("dtype", 1) },
                "inputs.array.dtype" to { array(it).remove("dtype") },
                "inputs.array.shape" to { array(it).put("shape", JSONArray()) },
                "inputs.array.shape" to { array(it).put("shape", JSONArray(listOf(1, 2, 3, 4))) },
                "inputs.array.shape" to { array(it).put("shape", JSONArray(listOf(40, 0))) },
                "inputs.array.shape" to { array(it).put("shape", JSONArray(listOf(-40, -6))) },
                "inputs.array.shape" to { array(it).put("shape", JSONArray(listOf(40.5))) },
                "inputs.array.shape" to { array(it).put("shape", huge) },
                "inputs.array.shape" to { array(it).remove("shape") },
                "inputs.array.meaning" to { array(it).remove("meaning") },
                "inputs.array.meaning" to { array(it).put("meaning", "a\nb") },
                "inputs.array.meaning" to { array(it).put("meaning", "a".repeat(256)) },
                "inputs.array.sample_rate" to { array(it).put("sample_rate", -1) },
                "inputs.array.sample_rate" to { array(it).put("sample_rate", (1 shl 24) + 1) },
                "inputs.array.sample_rate" to { array(it).put("sample_rate", 16000.5) },
                "inputs" to { it.put("inputs", JSONArray()) },
                "inputs" to { it.put("inputs", JSONObject()) },
                "inputs" to { it.getJSONObject("inputs").put("image", array(it)) },
                "inputs" to { it.put("inputs", JSONObject().put("sound", array(it))) },
                "as input in" to { it.remove("inputs") },
                "data.split_seed" to { it.getJSONObject("data").put("split_seed", -1) },
                "spare_classes" to { it.put("spare_classes", 1).put("task", "regression") },
                "label_smoothing" to { it.put("label_smoothing", 0.1).put("task", "regression") },
            )
        for ((where, change) in changes) {
            refused(where, "export the model again") { Manifest.parse(changed(arrays, change)) }
        }
        val named = JSONObject().put("image", JSONObject().put("dtype", "uint8").put("meaning", ""))
        val shape = named.getJSONObject("image")
        shape.put("shape", JSONArray(listOf(64, 64, 3)))
        assertEquals(64, Manifest.parse(changed(images) { it.put("inputs", named) }).height)
        shape.put("sample_rate", 8000)
        refused("inputs.image.sample_rate") { Manifest.parse(changed(images) { it.put("inputs", named) }) }
        shape.put("sample_rate", 0).put("shape", JSONArray(listOf(64, 32, 3)))
        refused("inputs.image.shape", "input.size") { Manifest.parse(changed(images) { it.put("inputs", named) }) }
    }

    @Test
    fun `a manifest that the file does not fit is refused`() {
        val bytes = Golden.file("model_array.tflite")
        for ((words, change) in listOf<Pair<String, (JSONObject) -> Unit>>(
            "float32 [1, 6, 40] as infer input array, got float32 [1, 40, 6]" to
                { array(it).put("shape", JSONArray(listOf(6, 40))) },
            "float32 [8, 40, 6] as train input array" to { it.put("batch_size", 8) },
            "float32 [4, 3] as train input label, got int32 [4]" to { it.put("task", "regression") },
        )) {
            refused(words) { open(bytes, changed(arrays, change)) }
        }
        val pretended =
            changed(images) {
                it.put("sha256", JSONObject(arrays).getString("sha256")).put("labels", JSONArray(listOf("a", "b", "c")))
            }
        refused("nothing as infer input array") { open(bytes, pretended) }
        val photos = Golden.file("model_float32.tflite")
        refused("float32 [1, 40, 6] as infer input array, got nothing") {
            open(photos, changed(arrays) { it.put("sha256", JSONObject(images).getString("sha256")) })
        }
    }

    private fun open(
        model: java.io.File,
        manifest: String,
    ) {
        Golden.open().close() // the runtime is there
        val bytes = model.readBytes()
        TinyTlModel
            .open(
                java.nio.ByteBuffer
                    .allocateDirect(bytes.size)
                    .put(bytes),
                Manifest.parse(manifest),
            ).close()
    }

    private fun array(values: JSONObject) = values.getJSONObject("inputs").getJSONObject("array")

    private fun changed(
        text: String,
        change: (JSONObject) -> Unit,
    ): String = JSONObject(text).also(change).toString()
}
