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
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import kotlin.math.abs
import kotlin.math.sqrt

/** Trains the golden models with the real runtime and compares with what the Python client measured. */
class TrainingTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val left = File(checkNotNull(System.getProperty("tinytl.left")))

    @Test
    fun `float32 with XNNPACK learns as in Python`() = compare("float32", true)

    @Test
    fun `float32 without XNNPACK learns as in Python`() = compare("float32", false)

    @Test
    fun `int8 with XNNPACK learns as in Python`() = compare("int8", true)

    @Test
    fun `int8 without XNNPACK learns as in Python`() = compare("int8", false)

    @Test
    fun `the exported state is saved as Python saves it`() {
        for (kernels in KERNELS) {
            val file = folder.newFile()
            Golden.open(kernels).use { it.save(file) }
            val expected = Golden.json("training_$kernels.json").getString("exported_state_sha256")
            assertEquals(expected, Fingerprint.hex(MessageDigest.getInstance("SHA-256").digest(file.readBytes())))
        }
    }

    @Test
    fun `a state that Python trained infers as it did there`() {
        for (kernels in KERNELS) {
            val golden = Golden.json("training_$kernels.json")
            Golden.open(kernels, xnnpack = true).use { model ->
                model.restore(Golden.file(golden.getString("state_after")))
                checkAnswers(model, golden, golden.getJSONObject("after").getJSONObject("xnnpack"))
            }
        }
    }

    @Test
    fun `a state that Python trained is trained further as there`() {
        for (kernels in KERNELS) {
            for (xnnpack in listOf(true, false)) {
                val golden = Golden.json("training_$kernels.json")
                Golden.open(kernels, xnnpack).use { model ->
                    model.restore(Golden.file(golden.getString("state_after")))
                    checkContinued(golden, takeContinued(model, golden))
                }
            }
        }
    }

    /** `tests/test_android.py` reads what this writes: the Python client goes on from a state of this one. */
    @Test
    fun `a state that was trained here is left for Python to go on from`() {
        for (kernels in KERNELS) {
            val golden = Golden.json("training_$kernels.json")
            Golden.open(kernels, xnnpack = true).use { model ->
                golden.getJSONArray("steps").objects().forEach { train(model, golden, it) }
                val file = File(left, "$kernels.tinytl")
                model.save(file)
                val results = takeContinued(model, golden)
                checkContinued(golden, results)
                File(left, "$kernels.json").writeText(JSONArray(results.map { it.loss.toDouble() }).toString())
            }
        }
    }

    private fun takeContinued(
        model: TinyTlModel,
        golden: JSONObject,
    ): List<TrainResult> = golden.getJSONArray("continued").objects().map { train(model, golden, it) }

    private fun checkContinued(
        golden: JSONObject,
        results: List<TrainResult>,
    ) {
        val steps = golden.getJSONArray("continued").objects()
        assertEquals(6, steps.size)
        val tolerances = golden.getJSONObject("tolerances")
        for ((index, step) in steps.withIndex()) {
            for (key in REFERENCES.filter(step::has)) {
                val expected = step.getJSONObject(key)
                val loss = expected.getDouble("loss")
                val what = "$key, step $index"
                assertEquals(what, loss, results[index].loss.toDouble(), tolerances.getDouble("loss") * loss)
                val allowed = tolerances.getDouble("accuracy") + ROUNDING
                assertEquals(what, expected.getDouble("accuracy"), results[index].accuracy.toDouble(), allowed)
            }
        }
    }

    @Test
    fun `a step with a label out of range is refused, by the client and by the file`() {
        NativeBridge.install()
        val golden = Golden.json("training_float32.json")
        val bytes = Golden.file("model_float32.tflite").readBytes()
        val refusedSteps = golden.getJSONArray("refused").objects()
        assertTrue(refusedSteps.isNotEmpty())
        Golden.open().use { model ->
            val before = model.state()
            refusedSteps.forEach { refused("labels from 0 to 4") { train(model, golden, it) } }
            assertArrayEquals(before, model.state(), 0f)
        }
        LiteRtInterpreter(direct(bytes.size).put(bytes), 1, false).use { runtime ->
            val state =
                direct(
                    runtime.signatures
                        .getValue("save")
                        .outputs
                        .getValue("state")
                        .bytes,
                )
            val applied = direct(Int.SIZE_BYTES)
            runtime.run("save", emptyMap(), mapOf("state" to state))
            val before = ByteArray(state.capacity()).also { state.get(it) }
            for (step in refusedSteps) {
                val inputs =
                    runtime.signatures
                        .getValue("train")
                        .inputs
                        .mapValues { direct(it.value.bytes) }
                batch(golden, step).forEach { inputs.getValue("image").put(it) }
                step.getJSONArray("labels").ints().forEach { inputs.getValue("label").putInt(it) }
                inputs.getValue("learning_rate").putFloat(step.getDouble("learning_rate").toFloat())
                applied.putInt(0, -1)
                runtime.run("train", inputs, mapOf("applied" to applied))
                assertEquals(step.getInt("applied"), applied.getInt(0))
                runtime.run("save", emptyMap(), mapOf("state" to state))
                assertArrayEquals(before, ByteArray(state.capacity()).also { state.get(it) })
            }
        }
    }

    @Test
    fun `the schedule gives the golden rates`() {
        val golden = Golden.json("training_float32.json")
        val schedule = LearningRateSchedule.valueOf(golden.getString("schedule").uppercase())
        val steps = golden.getJSONArray("steps").objects()
        steps.forEachIndexed { index, step ->
            val rate = schedule.rate(index, steps.size, golden.getDouble("base_learning_rate"))
            assertEquals(step.getDouble("learning_rate"), rate, 1e-9)
        }
    }

    private fun compare(
        kernels: String,
        xnnpack: Boolean,
    ) {
        val golden = Golden.json("training_$kernels.json")
        val tolerances = golden.getJSONObject("tolerances")
        val key = if (xnnpack) "xnnpack" else "without_xnnpack"
        val steps = golden.getJSONArray("steps").objects()
        assertEquals(20, steps.size)
        Golden.open(kernels, xnnpack).use { model ->
            val exported = model.state()
            checkAnswers(model, golden, golden.getJSONObject("before").getJSONObject(key))
            var largest = 0.0
            for ((index, step) in steps.withIndex()) {
                val expected = step.getJSONObject(key)
                val result = train(model, golden, step)
                val loss = expected.getDouble("loss")
                val allowed = if (kernels == "float32") FLOAT32_LOSS else tolerances.getDouble("loss") * loss
                largest = maxOf(largest, abs(result.loss - loss))
                assertEquals("step $index", loss, result.loss.toDouble(), allowed)
                if (kernels == "float32") {
                    val eager = step.getJSONObject("tensorflow").getDouble("loss")
                    assertEquals("TensorFlow, step $index", eager, result.loss.toDouble(), FLOAT32_LOSS)
                }
                val accuracy = expected.getDouble("accuracy")
                assertEquals(accuracy, result.accuracy.toDouble(), tolerances.getDouble("accuracy") + ROUNDING)
                assertEquals(expected.getInt("applied") == 1, result.applied)
            }
            println("$kernels, $key: losses of ${steps.size} steps within $largest")
            checkUpdate(model, golden, exported)
            checkAnswers(model, golden, golden.getJSONObject("after").getJSONObject(key))
            val file = File(folder.root, "state.tinytl")
            val state = model.state()
            model.save(file)
            model.reset()
            assertArrayEquals(exported, model.state(), 0f)
            model.restore(file)
            assertArrayEquals(state, model.state(), 0f)
        }
    }

    private fun train(
        model: TinyTlModel,
        golden: JSONObject,
        step: JSONObject,
    ): TrainResult {
        val labels = step.getJSONArray("labels").ints().toIntArray()
        return model.train(batch(golden, step), labels, step.getDouble("learning_rate").toFloat())
    }

    private fun batch(
        golden: JSONObject,
        step: JSONObject,
    ): List<ByteArray> {
        val photos = golden.getJSONArray("photos").objects()
        return step.getJSONArray("photos").ints().map { Golden.pixels(photos[it]) }
    }

    /** The change of the state differs from Python's by a small part of its length. */
    private fun checkUpdate(
        model: TinyTlModel,
        golden: JSONObject,
        exported: FloatArray,
    ) {
        val trained = StateFile.read(Golden.file(golden.getString("state_after")), model.fingerprint, model.stateSize)
        val difference = distance(model.state(), trained) / distance(trained, exported)
        val allowed = golden.getJSONObject("tolerances").getDouble("update")
        assertTrue("$difference of at most $allowed", difference <= allowed)
    }

    private fun distance(
        left: FloatArray,
        right: FloatArray,
    ) = sqrt(left.indices.sumOf { (left[it] - right[it]).toDouble().let { change -> change * change } })

    private fun checkAnswers(
        model: TinyTlModel,
        golden: JSONObject,
        expected: JSONObject,
    ) {
        val tolerances = golden.getJSONObject("tolerances")
        val photos = golden.getJSONArray("photos").objects()
        assertTrue(photos.isNotEmpty())
        for ((index, photo) in photos.withIndex()) {
            val result = model.infer(Golden.pixels(photo))
            for ((name, values) in listOf("logits" to result.logits, "probabilities" to result.probabilities)) {
                val allowed = tolerances.getDouble(name).toFloat()
                assertArrayEquals(name, expected.getJSONArray(name).getJSONArray(index).floats(), values, allowed)
            }
        }
    }

    private fun direct(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())

    private companion object {
        val KERNELS = listOf("float32", "int8")
        val REFERENCES = listOf("xnnpack", "without_xnnpack", "tensorflow")
        const val FLOAT32_LOSS = 1e-4
        const val ROUNDING = 1e-6
    }
}
