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
import java.util.concurrent.CancellationException

/** Adapts the golden model to its photos. */
class TrainerTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val examples =
        Golden.json("pixels.json").getJSONArray("photos").objects().filter { !it.isNull("decoded") }.flatMap { photo ->
            val (height, width) = photo.getJSONArray("size").ints()
            val image = RgbImage(width, height, Golden.file(photo.getString("decoded")).readBytes())
            val label = photo.getString("photo").substringBefore("/")
            listOf(1, 2, 3).map { Example(stored("${photo.getString("photo")} $it", Pixels.upright(image, it)), label) }
        }

    @Test
    fun `the loss falls and the state is written`() {
        Golden.open().use { model ->
            val file = File(folder.root, NAME)
            val (training, heldOut) = Example.holdOut(examples, model.task)
            val seen = ArrayList<Int>()
            val epochs = ArrayList<Double>()
            val listener =
                object : TrainerListener {
                    override fun onStep(
                        step: Int,
                        totalSteps: Int,
                        result: TrainResult,
                    ) {
                        seen += step
                        assertEquals(4 * (training.size / 4), totalSteps)
                    }

                    override fun onEpoch(
                        epoch: Int,
                        loss: Double,
                        accuracy: Double,
                    ) {
                        epochs += loss
                    }
                }
            val settings = TrainerSettings(epochs = 4, learningRate = 5e-3, augmentation = Augmentation(crop = false))
            val result = Trainer(model, training, heldOut, settings, file, listener).run()
            assertEquals((1..result.steps).toList(), seen)
            assertEquals(result.losses, epochs)
            assertEquals(result.steps, result.applied)
            assertTrue("${result.losses}", result.losses.last() < result.losses.first())
            assertTrue("$result", result.after.loss < result.before.loss)
            assertEquals(listOf(file), folder.root.listFiles()?.toList())
            assertArrayEquals(model.state(), StateFile.read(file, model.fingerprint, model.stateSize), 0f)
        }
    }

    @Test
    fun `a run that was canceled goes on to the same state, bit for bit`() {
        val (expected, state) = wholeRun()
        val file = File(folder.newFolder(), NAME)
        for (stop in listOf(3, 7)) {
            Golden.open().use { model ->
                lateinit var trainer: Trainer
                val listener = stopping(stop) { trainer.cancel() }
                trainer = trainer(model, file, listener)
                val error =
                    assertThrows(CancellationException::class.java) {
                        if (stop == 3) trainer.run() else trainer.resume()
                    }
                assertTrue("${error.message}", "after $stop of" in error.message.orEmpty())
                assertTrue(trainer.canResume)
            }
        }
        Golden.open().use { model ->
            val result = trainer(model, file).resume()
            assertArrayEquals(state, model.state(), 0f)
            assertEquals(expected.losses, result.losses)
            assertEquals(expected.before, result.before)
            assertEquals(expected.after, result.after)
            assertEquals(listOf(file), file.parentFile.listFiles()?.toList())
        }
    }

    @Test
    fun `a run whose process died goes on from the last save`() {
        val (_, state) = wholeRun()
        val file = File(folder.newFolder(), NAME)
        Golden.open().use { model ->
            val dying = stopping(5) { throw OutOfMemoryError("the process dies") }
            assertThrows(OutOfMemoryError::class.java) { trainer(model, file, dying).run() }
        }
        assertEquals(setOf("mine.tinytl.progress.json", "mine.tinytl.step-4"), file.parentFile.list()?.toSet())
        Golden.open().use { model ->
            trainer(model, file).resume()
            assertArrayEquals(state, model.state(), 0f)
        }
    }

    @Test
    fun `a run that was canceled before its first step takes none, and after its last one all`() {
        val (expected, state) = wholeRun()
        val file = File(folder.newFolder(), NAME)
        Golden.open().use { model ->
            val before = model.state()
            val trainer = trainer(model, file)
            trainer.cancel()
            assertThrows(CancellationException::class.java) { trainer.run() }
            assertArrayEquals(before, model.state(), 0f)
            assertFalse(trainer.canResume)
            lateinit var late: Trainer
            late = trainer(model, file, stopping(expected.steps) { late.cancel() })
            assertThrows(CancellationException::class.java) { late.run() }
            assertEquals(expected.after, late.resume().after)
            assertArrayEquals(state, model.state(), 0f)
        }
    }

    @Test
    fun `an interrupted thread stops`() {
        Golden.open().use { model ->
            val trainer = trainer(model, null, stopping(2) { Thread.currentThread().interrupt() })
            assertThrows(CancellationException::class.java) { trainer.run() }
            assertFalse(trainer.canResume)
        }
    }

    @Test
    fun `a run goes on with the same settings and whole files only`() {
        val file = File(folder.root, NAME)
        Golden.open().use { model ->
            lateinit var trainer: Trainer
            trainer = trainer(model, file, stopping(3) { trainer.cancel() })
            refused("start the run again") { trainer.resume() }
            assertThrows(CancellationException::class.java) { trainer.run() }
            val other = settings.copy(epochs = 3)
            val heldOut = examples.take(3)
            refused("epochs was 2 and is now 3") { Trainer(model, examples, heldOut, other, file).resume() }
            refused("training was") { Trainer(model, examples.reversed(), heldOut, settings, file).resume() }
            refused("state file whose run") { trainer(model, null).resume() }
            val before = model.state()
            val progress = File(folder.root, "mine.tinytl.progress.json")
            val content = progress.readText()
            val elsewhere = content.replace("mine.tinytl.step-3", "../x")
            val longer = content.replace("\"steps\":[", "\"steps\":[${"[0,0,1,0],".repeat(100)}")
            for (bad in listOf("", "{}", content.take(content.length / 2), elsewhere, longer)) {
                progress.writeText(bad)
                refused("start the run again") { trainer(model, file).resume() }
            }
            progress.writeText(content)
            File(folder.root, "mine.tinytl.step-3").appendText("x")
            refused("damaged") { trainer(model, file).resume() }
            assertArrayEquals(before, model.state(), 0f)
        }
    }

    @Test
    fun `photos and settings that cannot be used are refused`() {
        Golden.open().use { model ->
            val photo = examples[0].image
            refused("photos to train on") { Trainer(model, emptyList(), examples) }
            refused("photos to measure by", "0") { Trainer(model, examples, emptyList()) }
            refused("got dog") { Trainer(model, listOf(Example(photo, "dog")), examples) }
            refused("one class", "got 2") { Trainer(model, listOf(Example(photo, setOf("leaf", "disk"))), examples) }
            refused("one class", "got 0") { Trainer(model, examples, listOf(Example(photo, emptySet()))) }
            refused("2 photos or more of leaf") { Example.holdOut(listOf(Example(photo, "leaf")), model.task) }
        }
        refused("epochs") { TrainerSettings(epochs = 0) }
        refused("saveEvery") { TrainerSettings(saveEvery = 0) }
        refused("learning rate") { TrainerSettings(learningRate = Double.NaN) }
        refused("seed") { TrainerSettings(seed = -1) }
    }

    @Test
    fun `a class is matched by its name in any form of Unicode`() {
        Golden.open().use { model ->
            val decomposed = Example(examples[0].image, "e\u0301clair")
            val trainer = Trainer(model, listOf(decomposed), listOf(decomposed), TrainerSettings(epochs = 1))
            assertEquals(1, trainer.run().steps)
        }
    }

    @Test
    fun `classes that the model does not know are added when the settings say so`() {
        Golden.open("spare").use { model ->
            refused("got star", "newClasses") { Trainer(model, withStar, withStar) }
            val both = listOf("moon", "sun").map { Example(examples[0].image, it) }
            refused("at most 2 new classes", "got 3 (star, moon, sun)") {
                Trainer(model, withStar + both, withStar, withNewClasses)
            }
            refused("got moon") { Trainer(model, withStar, both.take(1), withNewClasses) }
            refused("can be printed") {
                Trainer(model, withStar + Example(examples[0].image, "a\tb"), withStar, withNewClasses)
            }
            assertEquals(2, model.spareClasses)
            val trainer = Trainer(model, withStar, withStar.take(4), withNewClasses)
            assertEquals(2, model.spareClasses)
            refused("got star") { trainer.evaluate() }
            trainer.run()
            assertEquals(model.manifest.labels + "star", model.labels)
            assertEquals(1, model.spareClasses)
            Trainer(model, withStar, withStar.take(4), withNewClasses).run()
            assertEquals(1, model.spareClasses)
        }
        Golden.open().use { model ->
            refused("at most 0 new classes") { Trainer(model, withStar, withStar, withNewClasses) }
        }
    }

    @Test
    fun `a run with new classes goes on to the same state, bit for bit`() {
        val expected =
            Golden.open("spare").use { model ->
                Trainer(model, withStar, withStar.take(4), withNewClasses).run()
                model.state()
            }
        val file = File(folder.root, NAME)
        Golden.open("spare").use { model ->
            lateinit var trainer: Trainer
            trainer = Trainer(model, withStar, withStar.take(4), withNewClasses, file, stopping(3) { trainer.cancel() })
            assertThrows(CancellationException::class.java) { trainer.run() }
        }
        Golden.open("spare").use { model ->
            Trainer(model, withStar, withStar.take(4), withNewClasses, file).resume()
            assertEquals(model.manifest.labels + "star", model.labels)
            assertArrayEquals(expected, model.state(), 0f)
        }
    }

    @Test
    fun `without a rate that of the manifest is taken`() {
        val states =
            listOf(null, 3e-3, 1e-3).map { rate ->
                Golden.open().use { model ->
                    Trainer(model, examples, examples, settings.copy(epochs = 1, learningRate = rate)).run()
                    model.state()
                }
            }
        assertArrayEquals(states[1], states[0], 0f)
        assertFalse(states[2].contentEquals(states[0]))
    }

    @Test
    fun `a run that diverges says so`() {
        Golden.open().use { model ->
            val wild = TrainerSettings(epochs = 50, learningRate = 1e30, schedule = LearningRateSchedule.CONSTANT)
            assertThrows(TinyTlException::class.java) { Trainer(model, examples, examples, wild).run() }
        }
    }

    private val settings =
        TrainerSettings(epochs = 2, learningRate = 2e-3, seed = 7, augmentation = Augmentation(), saveEvery = 4)

    private val withNewClasses = settings.copy(newClasses = true)

    private val withStar =
        examples.mapIndexed { index, example -> if (index % 5 == 0) Example(example.image, "star") else example }

    /** What a run that nobody stops gives, and the state after it. */
    private fun wholeRun(): Pair<TrainerResult, FloatArray> =
        Golden.open().use { model -> trainer(model, File(folder.newFolder(), NAME)).run() to model.state() }

    private fun trainer(
        model: TinyTlModel,
        file: File?,
        listener: TrainerListener? = null,
    ) = Trainer(model, examples, examples.take(3), settings, file, listener)

    private fun stopping(
        at: Int,
        action: () -> Unit,
    ) = object : TrainerListener {
        override fun onStep(
            step: Int,
            totalSteps: Int,
            result: TrainResult,
        ) {
            if (step == at) {
                action()
            }
        }
    }

    private fun stored(
        called: String,
        image: RgbImage,
    ) = object : ImageSource {
        override val name = called

        override fun read(shortSide: Int) = Pixels.shrink(image, shortSide)
    }

    private companion object {
        const val NAME = "mine.tinytl"
    }
}
