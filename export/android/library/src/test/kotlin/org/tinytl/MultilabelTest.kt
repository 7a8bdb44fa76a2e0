package org.tinytl

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Test
import kotlin.math.exp
import kotlin.math.ln

/** A model of several attributes; there is no golden one. */
class MultilabelTest {
    private val manifest = ScriptedRuntime.manifest { it.put("task", "multilabel") }
    private val runtime = ScriptedRuntime(manifest)
    private val model = ScriptedRuntime.open(runtime)
    private val batch = List(2) { ByteArray(12) }

    @Test
    fun `attributes go to the runtime, one image after the other`() {
        val attributes = FloatArray(10) { it % 3 / 2f }
        val result = model.train(batch, attributes, 0.5f)
        assertEquals(attributes.toList(), runtime.labels.single())
        assertEquals(listOf(0.5f), runtime.rates)
        assertEquals(TrainResult(loss = 2.5f, accuracy = 0.75f, applied = true), result)
    }

    @Test
    fun `wrong attributes are refused before anything runs`() {
        refused("FloatArray") { model.train(batch, IntArray(2), 0.5f) }
        refused("expected 10 numbers", "got 4") { model.train(batch, FloatArray(4), 0.5f) }
        for (bad in listOf(-0.1f, 1.1f, Float.NaN)) {
            refused("0 to 1", "got $bad") { model.train(batch, FloatArray(10) { bad }, 0.5f) }
        }
        assertEquals(0, runtime.calls)
    }

    @Test
    fun `a trainer gives a number for each attribute`() {
        runtime.logits = { _, _ -> FloatArray(5) { it.toFloat() } }
        val training = listOf(Example(Flat(1), setOf("disk", "leaf")))
        val heldOut = listOf(Example(Flat(2), emptySet()), Example(Flat(3), setOf("leaf")))
        val result = Trainer(model, training, heldOut, TrainerSettings(epochs = 1)).run()
        val expected = FloatArray(10) { if (it % 5 == 1 || it % 5 == 3) 1f else 0f }
        assertArrayEquals(
            expected,
            runtime.labels
                .single()
                .map { it.toFloat() }
                .toFloatArray(),
            0f,
        )
        // The logits are 0 to 4: of the first photo one attribute is right, of the second two.
        val before = checkNotNull(result.before)
        assertEquals(0.3, before.accuracy, 1e-9)
        val loss = (0..4).sumOf { ln(1 + exp(it.toDouble())) } / 5
        assertEquals(loss - 3.0 / 5 / 2, before.loss, 1e-9)
        assertEquals(ClassResult("leaf", 1, 1, 1, 1), before.classes[3])
        assertEquals(0.5, checkNotNull(before.balancedAccuracy), 1e-9)
    }

    @Test
    fun `a loss far above that of a coin ends the run`() {
        val training = listOf(Example(Flat(1), setOf("disk")))
        for ((logit, isDiverged) in listOf(6.8f to false, 7.1f to true)) {
            // The loss of each attribute that an image has not is about its logit; 10 ln 2 = 6.93.
            runtime.logits = { steps, _ -> FloatArray(5) { if (steps > 0) logit else -10f } }
            runtime.rates.clear()
            val trainer = Trainer(model, training, listOf(Example(Flat(2), emptySet())), TrainerSettings(epochs = 1))
            val error = runCatching { trainer.run() }.exceptionOrNull()
            assertEquals("$error", isDiverged, error is TrainingDivergedException)
        }
    }
}
