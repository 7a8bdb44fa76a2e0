package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.tinytl.natives.NativeBridge
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.sqrt

/** Trains the golden models of arrays with the real runtime and compares with what the Python client measured. */
class GoldenArraysTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val arrays = Golden.arrays()

    @Test
    fun `classes of arrays are learned as in Python, with XNNPACK`() = compare("array", true)

    @Test
    fun `classes of arrays are learned as in Python, without XNNPACK`() = compare("array", false)

    @Test
    fun `numbers are learned as in Python, with XNNPACK`() = compare("regression", true)

    @Test
    fun `numbers are learned as in Python, without XNNPACK`() = compare("regression", false)

    @Test
    fun `the models say what they take`() {
        for ((name, labels) in listOf(
            "array" to listOf("rest", "walk", "run"),
            "regression" to listOf("rate", "strength"),
        )) {
            val golden = Golden.json("$name.json")
            Golden.open(name).use { model ->
                assertEquals(golden.getString("task"), model.task.manifestName)
                assertEquals(labels, model.labels)
                assertEquals(listOf(3, 4), listOf(model.manifest.contract, model.batchSize))
                val array = checkNotNull(model.array)
                assertEquals(listOf(40, 6) to 240, array.shape to array.size)
                assertTrue(array.meaning, "6 sensors" in array.meaning)
                assertEquals(0, array.sampleRate)
            }
        }
        assertEquals(null, Golden.open().use { it.array })
    }

    @Test
    fun `steps that the file refuses are refused before, and change nothing`() {
        for (name in NAMES) {
            val golden = Golden.json("$name.json")
            Golden.open(name).use { model ->
                val before = model.state()
                for (step in golden.getJSONArray("refused").objects()) {
                    val place = step.optJSONObject("not_finite")?.getJSONArray("index")?.ints()
                    val words = if (place == null) "labels from 0 to 2" else "finite numbers in array 0"
                    refused(words, place?.let { "at $it; leave" }.orEmpty()) { take(model, golden, step) }
                }
                assertArrayEquals(before, model.state(), 0f)
                assertTrue(take(model, golden, golden.getJSONArray("steps").getJSONObject(0)).applied)
            }
        }
    }

    @Test
    fun `the file itself refuses them, too`() {
        NativeBridge.install()
        for (name in NAMES) {
            val golden = Golden.json("$name.json")
            val bytes = Golden.file(golden.getString("model")).readBytes()
            LiteRtInterpreter(direct(bytes.size).put(bytes), 1, false).use { runtime ->
                val specs = runtime.signatures.getValue("train").inputs
                val state = direct(checkNotNull(runtime.signatures["save"]).outputs.getValue("state").bytes)
                runtime.run("save", emptyMap(), mapOf("state" to state))
                val before = ByteArray(state.capacity()).also { state.get(it) }
                val steps = golden.getJSONArray("refused").objects()
                assertEquals(3, steps.count { it.has("not_finite") })
                for (step in steps) {
                    val inputs = specs.mapValues { direct(it.value.bytes) }
                    batch(golden, step).forEach { array -> array.forEach { inputs.getValue("array").putFloat(it) } }
                    val label = inputs.getValue("label")
                    integers(golden, step)?.forEach { label.putInt(it) } ?: numbers(step).forEach { label.putFloat(it) }
                    inputs.getValue("learning_rate").putFloat(step.getDouble("learning_rate").toFloat())
                    val applied = direct(Int.SIZE_BYTES).putInt(0, -1)
                    runtime.run("train", inputs, mapOf("applied" to applied))
                    assertEquals(step.getInt("applied"), applied.getInt(0))
                    runtime.run("save", emptyMap(), mapOf("state" to state))
                    assertArrayEquals(before, ByteArray(state.capacity()).also { state.get(it) })
                }
            }
        }
    }

    @Test
    fun `other numbers than those of the step are farther than the tolerance`() {
        val mistakes: List<(FloatArray) -> FloatArray> =
            listOf(
                { array -> FloatArray(array.size) { array[it] * 127 } },
                { array -> array.reversedArray() },
                { array -> FloatArray(array.size) { array[it / 40 + 6 * (it % 40)] } }, // the axes exchanged
            )
        for (mistake in mistakes) {
            for (name in NAMES) {
                val golden = Golden.json("$name.json")
                val first = golden.getJSONArray("steps").getJSONObject(0)
                val loss =
                    Golden
                        .open(name)
                        .use { take(it, golden, first, mistake) }
                        .loss
                        .toDouble()
                val expected = first.getJSONObject("xnnpack").getDouble("loss")
                assertTrue(
                    kotlin.math.abs(loss - expected) > golden.getJSONObject("tolerances").getDouble("loss") * expected,
                )
            }
        }
    }

    private fun compare(
        name: String,
        xnnpack: Boolean,
    ) {
        val golden = Golden.json("$name.json")
        val key = if (xnnpack) "xnnpack" else "without_xnnpack"
        Golden.open(name, xnnpack).use { model ->
            val exported = model.state()
            val file = folder.newFile()
            model.save(file)
            assertEquals(golden.getString("exported_state_sha256"), Fingerprint.hex(Fingerprint.of(file.readBytes())))
            checkAnswers(model, golden, golden.getJSONObject("before").getJSONObject(key))
            takeAll(model, golden, "steps", 10, listOf(key, "tensorflow"))
            val trained = model.state()
            val python = Golden.file(golden.getString("state_after"))
            model.restore(python)
            val expected = model.state()
            val update = distance(trained, expected) / distance(expected, exported)
            assertTrue("$update", update <= golden.getJSONObject("tolerances").getDouble("update"))
            model.save(file)
            assertArrayEquals(python.readBytes(), file.readBytes())
            checkAnswers(model, golden, golden.getJSONObject("after").getJSONObject(key))
            takeAll(model, golden, "continued", 3, listOf(key))
            model.reset()
            assertArrayEquals(exported, model.state(), 0f)
        }
    }

    private fun takeAll(
        model: TinyTlModel,
        golden: JSONObject,
        list: String,
        count: Int,
        references: List<String>,
    ) {
        val tolerances = golden.getJSONObject("tolerances")
        val steps = golden.getJSONArray(list).objects()
        assertEquals(count, steps.size)
        for ((index, step) in steps.withIndex()) {
            val result = take(model, golden, step)
            for (reference in references) {
                val expected = step.getJSONObject(reference)
                val loss = expected.getDouble("loss")
                val what = "$list $index, $reference"
                assertEquals(what, loss, result.loss.toDouble(), minOf(LOSS, tolerances.getDouble("loss")) * loss)
                assertEquals(what, expected.getDouble("accuracy"), result.accuracy.toDouble(), ROUNDING)
                assertEquals(what, expected.getInt("applied") == 1, result.applied)
            }
        }
    }

    private fun take(
        model: TinyTlModel,
        golden: JSONObject,
        step: JSONObject,
        change: (FloatArray) -> FloatArray = { it },
    ): TrainResult {
        val rate = step.getDouble("learning_rate").toFloat()
        val batch = batch(golden, step).map(change)
        return integers(golden, step)?.let { model.train(batch, it, rate) } ?: model.train(batch, numbers(step), rate)
    }

    /** The arrays of a step, with the number that is not finite if it has one. */
    private fun batch(
        golden: JSONObject,
        step: JSONObject,
    ): List<FloatArray> {
        val batch = step.getJSONArray("arrays").ints().map { arrays[it].copyOf() }
        step.optJSONObject("not_finite")?.let { bad ->
            val (row, column) = bad.getJSONArray("index").ints()
            val width = golden.getJSONObject("arrays").getJSONArray("shape").getInt(2)
            batch[0][row * width + column] = VALUES.getValue(bad.getString("value"))
        }
        return batch
    }

    private fun integers(
        golden: JSONObject,
        step: JSONObject,
    ): IntArray? =
        step
            .getJSONArray("labels")
            .takeUnless { golden.getString("task") == "regression" }
            ?.ints()
            ?.toIntArray()

    private fun numbers(step: JSONObject): FloatArray =
        step
            .getJSONArray("labels")
            .let { rows -> List(rows.length()) { rows.getJSONArray(it).floats().toList() } }
            .flatten()
            .toFloatArray()

    private fun checkAnswers(
        model: TinyTlModel,
        golden: JSONObject,
        expected: JSONObject,
    ) {
        val tolerances = golden.getJSONObject("tolerances")
        for ((index, array) in arrays.withIndex()) {
            val result = model.infer(array)
            for ((name, values) in listOf("logits" to result.logits, "probabilities" to result.probabilities)) {
                val allowed = tolerances.getDouble(name).toFloat()
                assertArrayEquals(name, expected.row(name, index), values, allowed)
            }
        }
    }

    private fun JSONObject.row(
        name: String,
        index: Int,
    ): FloatArray = getJSONArray(name).let { rows: JSONArray -> rows.getJSONArray(index).floats() }

    private fun distance(
        left: FloatArray,
        right: FloatArray,
    ) = sqrt(left.indices.sumOf { (left[it] - right[it]).toDouble().let { change -> change * change } })

    private fun direct(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())

    private companion object {
        val NAMES = listOf("array", "regression")
        val VALUES = mapOf("nan" to Float.NaN, "inf" to Float.POSITIVE_INFINITY, "-inf" to Float.NEGATIVE_INFINITY)

        // Far below the tolerance that clients have: the order of summation makes 2e-7.
        const val LOSS = 1e-5
        const val ROUNDING = 1e-6
    }
}
