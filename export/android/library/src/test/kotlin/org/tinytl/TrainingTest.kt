package org.tinytl

import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import java.io.File
import kotlin.math.abs

/** Trains the golden models with the real runtime and compares with what the Python client measured. */
class TrainingTest {
    @Test
    fun `float32 with XNNPACK has the losses of Python`() = compare("float32", true, FLOAT32)

    @Test
    fun `float32 without XNNPACK has the losses of Python`() = compare("float32", false, FLOAT32)

    @Test
    fun `int8 with XNNPACK has the losses of Python`() = compare("int8", true, null)

    @Test
    fun `int8 without XNNPACK has the losses of Python`() = compare("int8", false, null)

    @Test
    fun `a state that Python trained infers as it did there`() {
        val golden = Golden.json("training_float32.json")
        Golden.open(xnnpack = false).use { model ->
            model.restore(Golden.file(golden.getString("state_after")))
            checkLogits(model, golden, golden.getJSONObject("after").getJSONObject("without_xnnpack"), FLOAT32)
        }
    }

    @Test
    fun `a step with a label out of range is refused and changes nothing`() {
        val golden = Golden.json("training_float32.json")
        Golden.open().use { model ->
            val before = model.state()
            for (step in golden.getJSONArray("refused").objects()) {
                val error = runCatching { train(model, golden, step) }.exceptionOrNull()
                assertTrue("$error", error is InputException)
            }
            assertArrayEquals(before, model.state(), 0f)
        }
    }

    private fun compare(
        kernels: String,
        xnnpack: Boolean,
        tolerance: Double?,
    ) {
        val golden = Golden.json("training_$kernels.json")
        val tolerances = golden.getJSONObject("tolerances")
        val allowed = tolerance ?: tolerances.getDouble("loss")
        val key = if (xnnpack) "xnnpack" else "without_xnnpack"
        val steps = golden.getJSONArray("steps").objects()
        assertEquals(20, steps.size)
        Golden.open(kernels, xnnpack).use { model ->
            checkLogits(model, golden, golden.getJSONObject("before").getJSONObject(key), tolerance)
            var largest = 0.0
            for ((index, step) in steps.withIndex()) {
                val expected = step.getJSONObject(key)
                val result = train(model, golden, step)
                val difference = abs(result.loss - expected.getDouble("loss"))
                assertTrue("step $index: $difference", difference <= allowed)
                val accuracy = expected.getDouble("accuracy")
                assertEquals(accuracy, result.accuracy.toDouble(), tolerances.getDouble("accuracy"))
                assertTrue(result.applied)
                largest = maxOf(largest, difference)
            }
            println("$kernels, $key: losses of ${steps.size} steps within $largest")
            checkLogits(model, golden, golden.getJSONObject("after").getJSONObject(key), tolerance)
            val file = File.createTempFile("state", ".tinytl")
            model.save(file)
            model.reset()
            model.restore(file)
            checkLogits(model, golden, golden.getJSONObject("after").getJSONObject(key), tolerance)
            file.delete()
        }
    }

    private fun train(
        model: TinyTlModel,
        golden: JSONObject,
        step: JSONObject,
    ): TrainResult {
        val photos = golden.getJSONArray("photos").objects()
        return model.train(
            step.getJSONArray("photos").ints().map { Golden.pixels(photos[it]) },
            step.getJSONArray("labels").ints().toIntArray(),
            step.getDouble("learning_rate").toFloat(),
        )
    }

    private fun checkLogits(
        model: TinyTlModel,
        golden: JSONObject,
        expected: JSONObject,
        tolerance: Double?,
    ) {
        val tolerances = golden.getJSONObject("tolerances")
        val photos = golden.getJSONArray("photos").objects()
        assertTrue(photos.isNotEmpty())
        for ((index, photo) in photos.withIndex()) {
            val result = model.infer(Golden.pixels(photo))
            for ((name, values) in listOf("logits" to result.logits, "probabilities" to result.probabilities)) {
                val allowed = (tolerance ?: tolerances.getDouble(name)).toFloat()
                assertArrayEquals(name, expected.getJSONArray(name).getJSONArray(index).floats(), values, allowed)
            }
        }
    }

    private companion object {
        const val FLOAT32 = 1e-4
    }
}
