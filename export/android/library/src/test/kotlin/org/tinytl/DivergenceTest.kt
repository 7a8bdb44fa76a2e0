package org.tinytl

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import kotlin.math.ln

/** Trainings that diverge, on a runtime whose losses are given. */
class DivergenceTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val manifest = ScriptedRuntime.manifest()
    private val runtime = ScriptedRuntime(manifest)
    private val model = ScriptedRuntime.open(runtime)
    private val training = List(8) { Example(Flat(it), "disk") }
    private val heldOut = List(3) { Example(Flat(100 + it), "leaf") }
    private val settings = TrainerSettings(epochs = 2, augmentation = Augmentation(crop = false), saveEvery = 1)

    @Test
    fun `an epoch with more than half of its steps refused ends the run`() {
        val file = old()
        val applied = listOf(true, true, true, true, false, true, false, false)
        runtime.steps = { TrainResult(1f, 1f, applied[it]) }
        val message = diverged(file, "got 1 of 4") { assertEquals(8, runtime.rates.size) }
        assertTrue(
            message,
            "epoch 2" in message && "lower the learning rate" in message && "reset the model" in message,
        )
    }

    @Test
    fun `an epoch that diverged just before its process died is found out when it is resumed`() {
        val file = old()
        runtime.steps = { TrainResult(1f, 1f, it > 2) }
        val dying =
            object : TrainerListener {
                override fun onStep(
                    step: Int,
                    totalSteps: Int,
                    result: TrainResult,
                ) {
                    if (step == 4) throw OutOfMemoryError("the process dies")
                }
            }
        assertThrows(OutOfMemoryError::class.java) { Trainer(model, training, heldOut, settings, file, dying).run() }
        val again = Trainer(model, training, heldOut, settings, file)
        assertTrue(again.canResume)
        val error = assertThrows(TrainingDivergedException::class.java) { again.resume() }
        assertTrue("$error", "epoch 1" in error.message.orEmpty() && "1 of 4" in error.message.orEmpty())
        assertEquals(4, runtime.rates.size)
        assertFalse(again.canResume)
    }

    @Test
    fun `an epoch with half of its steps refused does not`() {
        runtime.steps = { TrainResult(if (it % 2 == 0) 1f else Float.NaN, it % 2f, it % 2 == 0) }
        val heard = ArrayList<EpochResult>()
        val listener =
            object : TrainerListener {
                override fun onEpoch(
                    epoch: Int,
                    result: EpochResult,
                ) {
                    heard += result
                }
            }
        val result = Trainer(model, training, heldOut, settings, null, listener).run()
        assertEquals(List(2) { EpochResult(1.0, 0.0, 4, 2) }, result.epochs)
        assertEquals(result.epochs, heard)
        assertEquals(listOf(8, 4), listOf(result.steps, result.applied))
    }

    @Test
    fun `means are over all steps with a finite loss, applied or not`() {
        val steps = listOf(1f to true, 3f to false, Float.POSITIVE_INFINITY to false, 2f to true)
        runtime.steps = { steps[it % 4].let { (loss, applied) -> TrainResult(loss, loss / 4, applied) } }
        val result = Trainer(model, training, heldOut, settings).run()
        assertEquals(EpochResult(2.0, 0.5, 4, 2), result.epochs[0])
        assertEquals(listOf(2.0, 2.0), result.losses)
        assertEquals(listOf(0.5, 0.5), result.accuracies)
        assertEquals(
            EpochResult(null, null, 1, 0),
            StepRecord.means(listOf(StepRecord(TrainResult(Float.NaN, 0f, false), 1.0))),
        )
    }

    @Test
    fun `a loss far above that before ends the run`() {
        val file = old()
        // Five logits that are equal: the loss is ln 5; a wrong one by x above the others: about x.
        runtime.logits = { steps, _ -> if (steps == 0) FloatArray(5) else FloatArray(5).also { it[0] = 17f } }
        diverged(file, "at most 16.09", "17")
        runtime.logits = { steps, _ -> if (steps == 0) FloatArray(5) else FloatArray(5).also { it[0] = 16f } }
        runtime.rates.clear()
        val result = Trainer(model, training, heldOut, settings, file).run()
        assertEquals(ln(5.0), checkNotNull(result.before).loss, 1e-9)
        assertEquals(16.0, checkNotNull(result.after).loss, 1e-3)
    }

    @Test
    fun `a loss before that is high is the measure, and one that is low is not`() {
        for ((before, after, isDiverged) in listOf(
            Triple(4f, 52f, false),
            Triple(4f, 53f, true),
            Triple(-30f, 14f, false),
        )) {
            // leaf has the number 3: a logit of it below the others by x gives a loss of ln(4 + exp(-x)) + x
            runtime.logits = { steps, _ -> FloatArray(5).also { it[3] = if (steps == 0) -before else -after } }
            runtime.rates.clear()
            val trainer = Trainer(model, training, heldOut, settings)
            if (isDiverged) {
                assertThrows(TrainingDivergedException::class.java) { trainer.run() }
            } else {
                trainer.run()
            }
        }
    }

    @Test
    fun `answers that are not finite after the training end the run, and before it refuse it`() {
        for (bad in listOf(Float.NaN, Float.POSITIVE_INFINITY)) {
            runtime.logits = { steps, _ -> FloatArray(5) { if (steps > 0 && it == 1) bad else 0f } }
            runtime.rates.clear()
            diverged(old(), "finite logits", "$bad")
            refused("finite logits", "reset the model") { Trainer(model, training, heldOut, settings).run() }
        }
    }

    @Test
    fun `weights that are not finite end the run`() {
        val file = old()
        runtime.steps = { step ->
            if (step == 2) runtime.state[1] = Float.NEGATIVE_INFINITY
            TrainResult(1f, 1f, true)
        }
        diverged(file, "finite weights", "-Infinity") { assertEquals(3, runtime.rates.size) }
        runtime.state = FloatArray(5)
        runtime.rates.clear()
        assertThrows(TrainingDivergedException::class.java) {
            Trainer(model, training, heldOut, settings.copy(saveEvery = 100)).run()
        }
        assertEquals(8, runtime.rates.size)
    }

    @Test
    fun `without held-out photos the losses of the steps count`() {
        val limit = 10 * ln(5.0)
        val cases =
            listOf(
                Triple(1.0, limit + 0.1, true),
                Triple(1.0, limit - 0.1, false),
                Triple(30.0, 301.0, true),
                Triple(30.0, 299.0, false),
                Triple(Double.NaN, limit - 0.1, false),
            )
        for ((before, after, isDiverged) in cases) {
            // The mean of the last epoch counts, with its step that was not applied, and not that of the others.
            runtime.steps = {
                when {
                    it == 0 -> TrainResult(before.toFloat(), 0f, !before.isNaN())
                    it < 4 -> TrainResult(1e9f, 0f, true)
                    else -> TrainResult(after.toFloat() + if (it % 2 == 0) 8f else -8f, 0f, it != 4)
                }
            }
            runtime.rates.clear()
            val file = old()
            if (isDiverged) {
                diverged(file, "at most", heldOut = emptyList())
            } else {
                val result = Trainer(model, training, emptyList(), settings, file).run()
                assertEquals(listOf(null, null), listOf(result.before, result.after))
            }
        }
    }

    private fun diverged(
        file: File,
        vararg words: String,
        heldOut: List<Example> = this.heldOut,
        check: () -> Unit = { },
    ): String {
        val content = file.readBytes()
        val error =
            assertThrows(TrainingDivergedException::class.java) {
                Trainer(model, training, heldOut, settings, file).run()
            }
        val message = error.message.orEmpty()
        assertTrue(message, words.all { it in message } && '\n' !in message)
        assertArrayEquals(content, file.readBytes())
        assertEquals(setOf(file.name, "${file.name}.lock"), file.parentFile?.list()?.toSet())
        assertFalse(Trainer(model, training, heldOut, settings, file).canResume)
        check()
        return message
    }

    /** A state file of before. */
    private fun old(): File =
        File(folder.newFolder(), "mine.tinytl").also { StateFile.write(it, FloatArray(5), model.fingerprint) }
}
