package org.tinytl

import org.json.JSONObject
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
import kotlin.math.PI
import kotlin.math.cos

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
            val (training, heldOut) = Example.holdOut(examples, model.manifest)
            val seen = ArrayList<Int>()
            val epochs = ArrayList<EpochResult>()
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
                        result: EpochResult,
                    ) {
                        epochs += result
                    }
                }
            val settings = TrainerSettings(epochs = 4, learningRate = 5e-3, augmentation = Augmentation(crop = false))
            val result = Trainer(model, training, heldOut, settings, file, listener).run()
            assertEquals((1..result.steps).toList(), seen)
            assertEquals(result.epochs, epochs)
            assertEquals(result.steps, result.applied)
            val losses = result.losses.map { checkNotNull(it) }
            assertTrue("$losses", losses.last() < losses.first())
            assertTrue("$result", checkNotNull(result.after).loss < checkNotNull(result.before).loss)
            assertEquals(setOf(file, lock(file)), folder.root.listFiles()?.toSet())
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
            assertEquals(setOf(file, lock(file)), file.parentFile.listFiles()?.toSet())
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
        val left = setOf("mine.tinytl.progress.json", "mine.tinytl.step-4", "mine.tinytl.lock")
        assertEquals(left, file.parentFile.list()?.toSet())
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
            refused("state file of the run to resume") { trainer(model, null).resume() }
            val before = model.state()
            val progress = File(folder.root, "mine.tinytl.progress.json")
            val content = progress.readText()
            val elsewhere = content.replace("mine.tinytl.step-3", "../x")
            val longer = content.replace("\"steps\":[", "\"steps\":[${"[0,0,1,0],".repeat(100)}")
            for (bad in listOf("", "{}", content.take(content.length / 2), elsewhere, longer, "$content\n")) {
                assertTrue(bad != content)
                progress.writeText(bad)
                refused("is damaged", "start the run again") { trainer(model, file).resume() }
            }
            progress.writeText(content)
            val state = File(folder.root, "mine.tinytl.step-3")
            val saved = state.readBytes()
            state.appendText("x")
            refused("damaged") { trainer(model, file).resume() }
            // A whole one, but not of this run.
            StateFile.write(state, before.map { it / 2 }.toFloatArray(), model.fingerprint)
            refused("damaged") { trainer(model, file).resume() }
            state.delete()
            refused("mine.tinytl.step-3", "start the run again") { trainer(model, file).resume() }
            progress.delete()
            refused("run to resume", "start the run again") { trainer(model, file).resume() }
            assertArrayEquals(before, model.state(), 0f)
            progress.writeText(content)
            state.writeBytes(saved)
            trainer(model, file).resume()
        }
    }

    @Test
    fun `a run is resumed with the same content only, whatever the photos are called`() {
        val file = File(folder.root, NAME)
        val runtime = ScriptedRuntime(ScriptedRuntime.manifest())
        val model = ScriptedRuntime.open(runtime)
        val photos = List(6) { Example(Flat(it, "photo"), "disk") }
        val heldOut = listOf(Example(Flat(50, "other"), "leaf"), Example(Flat(51, "last"), "leaf"))
        lateinit var trainer: Trainer
        trainer = Trainer(model, photos, heldOut, settings, file, stopping(2) { trainer.cancel() })
        assertThrows(CancellationException::class.java) { trainer.run() }

        fun changed(
            index: Int,
            example: Example,
        ) = photos.mapIndexed { other, photo -> if (other == index) example else photo }
        val calls = runtime.rates.size
        for ((others, words) in listOf(
            changed(1, Example(Flat(99, "photo"), "disk")) to
                "1 photos to train on have different content, labels or positions (photo)",
            changed(1, Example(Flat(1, "photo"), "leaf")) to "1 photos to train on have different",
            photos.reversed() to
                "6 photos to train on have different content, labels or positions (photo, photo, photo, photo, photo " +
                "and 1 more)",
            photos.drop(1) to "the number of photos to train on was 6 and is now 5",
            photos + photos.take(1) to "the number of photos to train on was 6 and is now 7",
        )) {
            refused(
                "stopped run",
                words,
                "start the run again",
            ) { Trainer(model, others, heldOut, settings, file).resume() }
        }
        refused("2 photos to measure by have different content, labels or positions (last, other)") {
            Trainer(model, photos, heldOut.reversed(), settings, file).resume()
        }
        assertEquals(calls, runtime.rates.size)
        val renamed = List(6) { Example(Flat(it, "renamed $it"), "disk") }
        assertEquals(6, Trainer(model, renamed, heldOut, settings, file).resume().steps)
    }

    @Test
    fun `a run of a model whose state lacks the optimizer's slots is not resumed`() {
        val file = File(folder.root, NAME)
        val model = ScriptedRuntime.open(ScriptedRuntime(ScriptedRuntime.manifest { it.put("optimizer", "momentum") }))
        val photos = List(4) { Example(Flat(it), "disk") }
        lateinit var trainer: Trainer
        trainer = Trainer(model, photos, photos, settings, file, stopping(1) { trainer.cancel() })
        assertThrows(CancellationException::class.java) { trainer.run() }
        refused("optimizer's slots", "--save_optimizer") { trainer.resume() }
    }

    @Test
    fun `any edit of the progress is found before any work`() {
        val file = File(folder.root, NAME)
        val runtime = ScriptedRuntime(ScriptedRuntime.manifest())
        val model = ScriptedRuntime.open(runtime)
        val photos = List(4) { Example(Flat(it), "disk") }
        lateinit var trainer: Trainer
        trainer = Trainer(model, photos, photos.take(1), settings, file, stopping(1) { trainer.cancel() })
        assertThrows(CancellationException::class.java) { trainer.run() }
        val progress = File(folder.root, "mine.tinytl.progress.json")
        val content = progress.readBytes()
        JSONObject(content.decodeToString()) // it is JSON, to look at
        val state = runtime.state.copyOf()
        val calls = runtime.calls
        val again = Trainer(model, photos, photos.take(1), settings, file)
        for (index in content.indices) {
            for (value in listOf(content[index] + 1, '0'.code, ' '.code).map { it.toByte() }.filter {
                it !=
                    content[index]
            }) {
                progress.writeBytes(content.copyOf().also { it[index] = value })
                refused("is damaged", "start the run again") { again.resume() }
            }
            progress.writeBytes(content.copyOf(index))
            refused("is damaged", "start the run again") { again.resume() }
            progress.writeBytes(content.copyOf(index) + content.copyOfRange(index + 1, content.size))
            refused("is damaged", "start the run again") { again.resume() }
        }
        assertEquals(calls, runtime.calls)
        assertArrayEquals(state, runtime.state, 0f)
        progress.writeBytes(content)
        assertEquals(4, again.resume().steps)
    }

    @Test
    fun `a run of a central fraction that has changed is not resumed`() {
        val file = File(folder.root, NAME)
        val model = { fraction: Double ->
            val manifest = ScriptedRuntime.manifest { it.getJSONObject("input").put("central_fraction", fraction) }
            ScriptedRuntime.open(ScriptedRuntime(manifest))
        }
        val photos = List(4) { Example(Flat(it), "disk") }
        lateinit var trainer: Trainer
        trainer = Trainer(model(0.5), photos, photos, settings, file, stopping(1) { trainer.cancel() })
        assertThrows(CancellationException::class.java) { trainer.run() }
        refused(
            "central_fraction was 0.5 and is now 0.6",
        ) { Trainer(model(0.6), photos, photos, settings, file).resume() }
        Trainer(model(0.5), photos, photos, settings, file).resume()
    }

    @Test
    fun `steps get the plan's photos, changes and rates`() {
        val manifest =
            ScriptedRuntime.manifest {
                it.put("schedule", "constant").put("learning_rate", 0.25)
                it
                    .getJSONObject("data")
                    .put("color", "torch")
                    .put("flip", false)
                    .put("crop", false)
            }
        val runtime = ScriptedRuntime(manifest)
        val photos = List(5) { Example(Flat(40 * it + 10), if (it == 3) "leaf" else "disk") }
        Trainer(ScriptedRuntime.open(runtime), photos, emptyList(), TrainerSettings(epochs = 2, seed = 4)).run()
        val plan = TrainingPlan(5, manifest, TrainerSettings(epochs = 2, seed = 4))
        assertEquals(List(4) { 0.25f }, runtime.rates)
        val central = CropBox.central(2, 2, 2, 2, 0.875)
        for (step in 0 until 4) {
            val places = plan.places(step, plan.order(step / 2))
            assertEquals(places.map { if (it.photo == 3) 3 else 1 }, runtime.labels[step])
            val expected =
                places.map { place ->
                    val image = photos[place.photo].image.read(5)
                    plan
                        .change(step / 2, place, 2, 2, central)
                        .apply(image, 2, 2)
                        .pixels
                        .toList()
                }
            assertEquals(expected, runtime.images[step])
        }
    }

    @Test
    fun `the schedule runs over all epochs`() {
        val runtime = ScriptedRuntime(ScriptedRuntime.manifest { it.put("learning_rate", 0.5) })
        val photos = List(5) { Example(Flat(it), "disk") }
        Trainer(ScriptedRuntime.open(runtime), photos, emptyList(), TrainerSettings(epochs = 3)).run()
        val expected = List(6) { 0.25 * (1 + cos(PI * it / 6)) }
        assertArrayEquals(expected.toDoubleArray(), runtime.rates.map { it.toDouble() }.toDoubleArray(), 1e-7)
    }

    @Test
    fun `changes are drawn for the photo after it was shrunk, whatever its source gives`() {
        val runtime = ScriptedRuntime(ScriptedRuntime.manifest { it.put("batch_size", 1) })
        val image = RgbImage(40, 30, ByteArray(3600) { (it * 7).toByte() })
        val source =
            object : ImageSource {
                override val name = "large"

                override fun read(shortSide: Int) = image
            }
        val settings = TrainerSettings(epochs = 3)
        Trainer(ScriptedRuntime.open(runtime), listOf(Example(source, "disk")), emptyList(), settings).run()
        val plan = TrainingPlan(1, ScriptedRuntime.manifest(), settings, batchSize = 1)
        val shrunk = Pixels.shrink(image, 5)
        assertEquals(listOf(7, 5), listOf(shrunk.width, shrunk.height))
        val expected =
            (0 until 3).map { epoch ->
                val central = CropBox.central(7, 5, 2, 2, 0.875)
                plan
                    .change(epoch, TrainingPlan.Place(0, 0), 7, 5, central)
                    .apply(shrunk, 2, 2)
                    .pixels
                    .toList()
            }
        assertEquals(expected, runtime.images.map { it.single() })
    }

    @Test
    fun `the time of a step is the median`() {
        val photos = List(14) { Example(Flat(it), "disk") }
        for ((slow, isSlow) in listOf(3 to false, 5 to true)) {
            val runtime = ScriptedRuntime(ScriptedRuntime.manifest())
            runtime.steps = { step ->
                if (step < slow) Thread.sleep(40)
                TrainResult(1f, 1f, true)
            }
            val settings = TrainerSettings(epochs = 1)
            val result = Trainer(ScriptedRuntime.open(runtime), photos, emptyList(), settings).run()
            assertEquals(7, result.steps)
            assertEquals("${result.stepMillis}", isSlow, result.stepMillis >= 40)
        }
    }

    @Test
    fun `a run takes away that an older one of a job has ended`() {
        val file = File(folder.root, NAME)
        val runtime = ScriptedRuntime(ScriptedRuntime.manifest())
        val photos = List(4) { Example(Flat(it), "disk") }
        val trainer = Trainer(ScriptedRuntime.open(runtime), photos, photos, settings, file)
        val first = trainer.runFor("a")
        assertEquals(first, trainer.runFor("a"))
        assertEquals(4, runtime.rates.size)
        assertEquals(4, trainer.runFor("b").steps)
        assertEquals(8, runtime.rates.size)
        trainer.run()
        assertEquals(12, runtime.rates.size)
        trainer.runFor("b")
        assertEquals(16, runtime.rates.size)
    }

    @Test
    fun `photos are evaluated by the manifest's central fraction`() {
        val image = RgbImage(4, 4, ByteArray(48) { if (it / 3 % 4 in 1..2 && it / 12 in 1..2) 9 else 90 })
        val source =
            object : ImageSource {
                override val name = "framed"

                override fun read(shortSide: Int) = image
            }
        for ((fraction, level) in listOf(0.5 to 9, 1.0 to 64)) {
            val manifest = ScriptedRuntime.manifest { it.getJSONObject("input").put("central_fraction", fraction) }
            val runtime = ScriptedRuntime(manifest)
            val seen = ArrayList<Int>()
            runtime.logits = { _, first -> FloatArray(5).also { seen += first } }
            val example = Example(source, "disk")
            Trainer(ScriptedRuntime.open(runtime), listOf(example), listOf(example)).evaluate()
            assertEquals(listOf(level), seen)
        }
    }

    @Test
    fun `a run without held-out photos has no figures of them`() {
        val runtime = ScriptedRuntime(ScriptedRuntime.manifest())
        val model = ScriptedRuntime.open(runtime)
        val file = File(folder.root, NAME)
        val photos = List(4) { Example(Flat(it), "disk") }
        val heard = ArrayList<EvaluateResult>()
        val listener =
            object : TrainerListener {
                override fun onEvaluated(
                    isTrained: Boolean,
                    result: EvaluateResult,
                ) {
                    heard += result
                }
            }
        lateinit var trainer: Trainer
        trainer = Trainer(model, photos, emptyList(), settings, file, stopping(2) { trainer.cancel() })
        assertThrows(CancellationException::class.java) { trainer.run() }
        val result = Trainer(model, photos, emptyList(), settings, file, listener).resume()
        assertEquals(listOf(null, null), listOf(result.before, result.after))
        assertEquals(4, result.steps)
        assertEquals(emptyList<EvaluateResult>(), heard)
        assertEquals(null, trainer.evaluate())
        assertTrue(file.exists())
    }

    @Test
    fun `photos to measure by that are trained on are counted and named`() {
        val model = ScriptedRuntime.open(ScriptedRuntime(ScriptedRuntime.manifest()))
        val photos = List(4) { Example(Flat(it), "disk") }
        val heldOut = listOf(Example(Flat(9, "new"), "disk")) + List(7) { Example(Flat(it % 3, "copy $it"), "disk") }
        val warnings = ArrayList<String>()
        val listener =
            object : TrainerListener {
                override fun onWarning(message: String) {
                    warnings += message
                }
            }
        Trainer(model, photos, heldOut, settings, null, listener).run()
        val warning = warnings.single()
        assertTrue(
            warning,
            "7 of 8 held-out photos" in warning && "(copy 0, copy 1, copy 2, copy 3, copy 4 and 2 more)" in warning,
        )
        warnings.clear()
        Trainer(model, photos, heldOut.take(1), settings, null, listener).run()
        assertEquals(emptyList<String>(), warnings)
    }

    @Test
    fun `a photo that cannot be read is refused before any work`() {
        val runtime = ScriptedRuntime(ScriptedRuntime.manifest())
        val model = ScriptedRuntime.open(runtime)
        val gone =
            object : ImageSource {
                override val name = "gone"

                override fun read(shortSide: Int): RgbImage = throw InputException("it is gone")
            }
        val photos = List(4) { Example(Flat(it), "disk") } + Example(gone, "disk")
        val file = File(folder.root, NAME).apply { writeText("old") }
        refused("it is gone") { Trainer(model, photos, photos.take(1), settings, file).run() }
        assertEquals(0, runtime.calls)
        assertEquals("old", file.readText())
    }

    @Test
    fun `photos and settings that cannot be used are refused`() {
        Golden.open().use { model ->
            val photo = examples[0].image
            refused("photos to train on") { Trainer(model, emptyList(), examples) }
            refused("got dog") { Trainer(model, listOf(Example(photo, "dog")), examples) }
            refused("one class", "got 2") { Trainer(model, listOf(Example(photo, setOf("leaf", "disk"))), examples) }
            refused("one class", "got 0") { Trainer(model, examples, listOf(Example(photo, emptySet()))) }
        }
        refused("epochs") { TrainerSettings(epochs = 0) }
        refused("saveEvery") { TrainerSettings(saveEvery = 0) }
        refused("learning rate") { TrainerSettings(learningRate = Double.NaN) }
        refused("seed") { TrainerSettings(seed = -1) }
        refused("seed of 0 to 9007199254740991") { TrainerSettings(seed = 1L shl 53) }
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
            refused("1 to 255 bytes") {
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

    private fun lock(file: File) = File(file.parentFile, "${file.name}.lock")

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
