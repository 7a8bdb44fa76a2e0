package org.tinytl.coroutines

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.tinytl.Augmentation
import org.tinytl.Example
import org.tinytl.ImageSource
import org.tinytl.InputException
import org.tinytl.Pixels
import org.tinytl.RgbImage
import org.tinytl.TinyTlModel
import org.tinytl.TrainResult
import org.tinytl.Trainer
import org.tinytl.TrainerListener
import org.tinytl.TrainerSettings
import org.tinytl.natives.NativeBridge
import java.io.File

/** Trains the golden model in coroutines. */
class SuspendingTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val golden = File(checkNotNull(System.getProperty("tinytl.golden")))
    private val examples = examples()
    private val settings =
        TrainerSettings(epochs = 4, learningRate = 2e-3, augmentation = Augmentation(), saveEvery = 2)

    @Test
    fun `a coroutine trains as a thread does`() {
        val (file, other) = listOf(state(), state())
        val expected = open().use { Trainer(it, examples, examples, settings, file).run() }
        val result = open().use { runBlocking { Trainer(it, examples, examples, settings, other).fitSuspending() } }
        assertEquals(expected.losses, result.losses)
        assertArrayEquals(file.readBytes(), other.readBytes())
    }

    @Test
    fun `a coroutine that is canceled ends after the present step and goes on later`() {
        val (file, other) = listOf(state(), state())
        open().use { Trainer(it, examples, examples, settings, file).run() }
        val steps = ArrayList<Int>()
        open().use { model ->
            runBlocking {
                val reached = CompletableDeferred<Unit>()
                val canceled = CompletableDeferred<Unit>()
                val listener =
                    stepListener {
                        steps += it
                        if (it == 2) {
                            reached.complete(Unit)
                            runBlocking { canceled.await() }
                        }
                    }
                val trainer = Trainer(model, examples, examples, settings, other, listener)
                val job = launch(Dispatchers.Default) { trainer.fitSuspending() }
                reached.await()
                job.cancel()
                // The cancellation has reached the trainer when the step that waits may end.
                launch(Dispatchers.Default) {
                    delay(200)
                    canceled.complete(Unit)
                }
                job.join()
                assertTrue(job.isCancelled)
                assertEquals(listOf(1, 2), steps)
                assertTrue(trainer.canResume)
            }
        }
        open().use { model ->
            val listener = stepListener { steps += it }
            runBlocking { Trainer(model, examples, examples, settings, other, listener).fitSuspending() }
        }
        assertEquals(steps.indices.map { it + 1 }, steps)
        assertArrayEquals(file.readBytes(), other.readBytes())
    }

    @Test
    fun `a trainer that others cancel ends the coroutine and can run again`() {
        open().use { model ->
            lateinit var trainer: Trainer
            var isFirst = true
            val listener =
                stepListener {
                    if (isFirst) {
                        isFirst = false
                        trainer.cancel()
                    }
                }
            trainer = Trainer(model, examples, examples, settings, state(), listener)
            assertThrows(CancellationException::class.java) { runBlocking { trainer.fitSuspending() } }
            assertTrue(runBlocking { trainer.fitSuspending() }.steps > 2)
        }
    }

    @Test
    fun `what cannot be used is thrown`() {
        open().use { model ->
            val gone =
                object : ImageSource {
                    override val name = "gone"

                    override fun read(shortSide: Int): RgbImage = throw InputException("it is gone")
                }
            val trainer = Trainer(model, listOf(Example(gone, "leaf")), examples)
            val error = assertThrows(InputException::class.java) { runBlocking { trainer.fitSuspending() } }
            assertEquals("it is gone", error.message)
        }
    }

    @Test
    fun `a flow tells what happens`() {
        open().use { model ->
            val events =
                runBlocking { trainingFlow { Trainer(model, examples, examples, settings, null, it) }.toList() }
            val result = (events.last() as Trained).result
            assertEquals((1..result.steps).toList(), events.filterIsInstance<StepTaken>().map { it.step })
            assertEquals(result.losses, events.filterIsInstance<EpochEnded>().map { it.result.loss })
            assertEquals(1, events.filterIsInstance<Warned>().size) // photos to measure by are trained on
            val measured = events.filterIsInstance<Evaluated>()
            assertEquals(listOf(false, true), measured.map { it.isTrained })
            assertEquals(listOf(result.before, result.after), measured.map { it.result })
        }
    }

    @Test
    fun `a collector that has enough stops the trainer`() {
        open().use { model ->
            val file = state()
            val long = settings.copy(epochs = 100_000)
            val flow = trainingFlow { Trainer(model, examples, examples, long, file, it) }
            val step = runBlocking { flow.filterIsInstance<StepTaken>().first { it.step == 3 } }
            assertEquals(3, step.step)
            assertTrue(Trainer(model, examples, examples, long, file).canResume)
            assertFalse(file.exists())
        }
    }

    private fun state() = File(folder.newFolder(), "mine.tinytl")

    private fun open(): TinyTlModel {
        NativeBridge.install()
        return TinyTlModel.open(File(golden, "model_float32.tflite"), File(golden, "model_float32.manifest.json"), 1)
    }

    private fun stepListener(action: (Int) -> Unit) =
        object : TrainerListener {
            override fun onStep(
                step: Int,
                totalSteps: Int,
                result: TrainResult,
            ) = action(step)
        }

    private fun examples(): List<Example> {
        val photos = JSONObject(File(golden, "pixels.json").readText()).getJSONArray("photos")
        return List(photos.length()) { photos.getJSONObject(it) }.filter { !it.isNull("decoded") }.map { photo ->
            val size: JSONArray = photo.getJSONArray("size")
            val content = File(golden, photo.getString("decoded")).readBytes()
            val image = RgbImage(size.getInt(1), size.getInt(0), content)
            val source =
                object : ImageSource {
                    override val name = photo.getString("photo")

                    override fun read(shortSide: Int) = Pixels.shrink(image, shortSide)
                }
            Example(source, photo.getString("photo").substringBefore("/"))
        }
    }
}
