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

/** Trains on arrays, for classes and for numbers. */
class ArrayTrainerTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val numbers = ScriptedRuntime(ScriptedRuntime.arrays(Task.REGRESSION))
    private val classes = ScriptedRuntime(ScriptedRuntime.arrays())
    private val photos = ScriptedRuntime(ScriptedRuntime.manifest())
    private val settings = TrainerSettings(epochs = 1)

    @Test
    fun `a model learns numbers, and each output has its figures`() {
        Golden.open("regression").use { model ->
            val examples = golden("regression")
            val heldOut = examples.take(5)
            val settings = TrainerSettings(epochs = 12, learningRate = 0.1)
            val result = Trainer(model, examples, heldOut, settings).run()
            val (before, after) = Pair(checkNotNull(result.before), checkNotNull(result.after))
            assertTrue("$result", after.loss < 0.7 * before.loss)
            assertEquals(listOf("rate", "strength"), after.numbers.map { it.name })
            assertEquals(emptyList<ClassResult>(), after.classes)
            val predicted = heldOut.map { model.infer((it.source as ArraySource).read()).logits }
            for ((index, figures) in after.numbers.withIndex()) {
                val labels = heldOut.map { it.numbers.getValue(figures.name).toDouble() }
                val errors = labels.indices.map { predicted[it][index] - labels[it] }
                assertEquals(errors.sumOf { kotlin.math.abs(it) } / 5, figures.absoluteError, 1e-9)
                val spread = labels.sumOf { (it - labels.average()) * (it - labels.average()) }
                assertEquals(1 - errors.sumOf { it * it } / spread, checkNotNull(figures.r2), 1e-9)
            }
        }
    }

    @Test
    fun `a canceled run resumes to the same state and figures, bit for bit`() {
        for (name in listOf("array", "regression")) {
            val examples = golden(name)
            val settings = TrainerSettings(epochs = 3, learningRate = 0.05, seed = 3, saveEvery = 2)
            val (expected, state) =
                Golden.open(name).use { Trainer(it, examples, examples.take(3), settings).run() to it.state() }
            val file = File(folder.newFolder(), "mine.tinytl")
            Golden.open(name).use { model ->
                lateinit var trainer: Trainer
                val listener = stopping(4) { trainer.cancel() }
                trainer = Trainer(model, examples, examples.take(3), settings, file, listener)
                assertThrows(CancellationException::class.java) { trainer.run() }
            }
            Golden.open(name).use { model ->
                val result = Trainer(model, examples, examples.take(3), settings, file).resume()
                assertEquals(expected.copy(stepMillis = 0.0), result.copy(stepMillis = 0.0))
                assertArrayEquals(state, model.state(), 0f)
            }
        }
    }

    @Test
    fun `steps get the plan's arrays as they are, and the numbers of each`() {
        val examples = List(5) { Example(array(it), mapOf("b" to it + 0.5f, "a" to -it.toFloat())) }
        Trainer(ScriptedRuntime.open(numbers), examples, emptyList(), settings.copy(epochs = 2, seed = 4)).run()
        val manifest = ScriptedRuntime.arrays(Task.REGRESSION)
        val plan = TrainingPlan(5, manifest, TrainerSettings(epochs = 2, seed = 4))
        for (step in 0 until 4) {
            val places = plan.places(step, plan.order(step / 2)).map { it.photo }
            assertEquals(places.flatMap { listOf(-it.toFloat(), it + 0.5f) }, numbers.labels[step])
            assertEquals(places.map { bytes(array(it).read()) }, numbers.images[step])
        }
    }

    @Test
    fun `arrays are held out by the bytes of their numbers`() {
        val raw = Golden.file("arrays.raw").readBytes()
        val examples = golden("array")
        val size = raw.size / examples.size
        for ((index, example) in examples.withIndex()) {
            val expected = Fingerprint.of(raw.copyOfRange(index * size, (index + 1) * size))
            assertArrayEquals(expected, example.source.digest())
        }
        val manifest = ScriptedRuntime.arrays { it.getJSONObject("data").put("split", "content") }
        val many = List(200) { Example(array(it), if (it % 2 == 0) "a" else "b") }
        val (training, heldOut, warnings) = Example.holdOut(many, manifest)
        assertEquals(many.filter { Example.isHeldOut(it.source.digest(), 0) }, heldOut)
        assertTrue("${heldOut.size}", heldOut.size in 30..70)
        assertEquals(200, training.size + heldOut.size)
        assertEquals(emptyList<String>(), warnings)
        refused("expected arrays to train on, got none; take some of each class") {
            Example.holdOut(emptyList(), manifest)
        }
        refused("expected arrays to train on, got none; take some") {
            Trainer(ScriptedRuntime.open(numbers), emptyList(), emptyList())
        }
        val measured = Example.holdOut(many.map { Example(it.source, mapOf("a" to 1f)) }, numbersManifest())
        assertEquals(heldOut.map { it.source.name }, measured.heldOut.map { it.source.name })
        val unmeasured = Example.holdOut(training, manifest).warnings.single()
        assertTrue(unmeasured, unmeasured.startsWith("nothing is held out") && unmeasured.endsWith("add arrays"))
    }

    @Test
    fun `an array that is changed afterwards does not change the example`() {
        val buffer = FloatArray(6) { 1f }
        val array = NamedArray("window", buffer)
        buffer[0] = 2f
        array.read()[1] = 3f
        assertEquals(List(6) { 1f }, array.read().toList())
    }

    @Test
    fun `numbers that are not finite, and other sizes, are refused before anything runs`() {
        val file = File(folder.root, "mine.tinytl").apply { writeText("old") }
        val good = List(4) { Example(array(it), "a") }
        for ((bad, words) in listOf(
            NamedArray("window 9", FloatArray(6) { if (it == 3) Float.NaN else 0f }) to
                "finite numbers in window 9, got NaN at [1, 1]",
            NamedArray("window 9", FloatArray(6) { if (it == 4) Float.NEGATIVE_INFINITY else 0f }) to
                "-Infinity at [2, 0]",
            NamedArray("window 9", FloatArray(5)) to "window 9 of 6 numbers, [3, 2] in row-major order, got 5",
        )) {
            for ((training, heldOut) in listOf(good + Example(bad, "b") to good, good to listOf(Example(bad, "b")))) {
                refused(words) { Trainer(ScriptedRuntime.open(classes), training, heldOut, settings, file).run() }
            }
        }
        assertEquals(0, classes.calls)
        assertEquals("old", file.readText())
    }

    @Test
    fun `photos and arrays are not exchanged`() {
        val arrays = listOf(Example(array(1), "a"))
        val images = listOf(Example(Flat(1), "disk"))
        val ofArrays = ScriptedRuntime.open(classes)
        val ofPhotos = ScriptedRuntime.open(photos)
        for ((training, heldOut) in listOf(images to arrays, arrays to images)) {
            refused("takes arrays, got the photo photo 1") { Trainer(ofArrays, training, heldOut) }
            refused("takes images, got the array array 1") { Trainer(ofPhotos, training, heldOut) }
        }
        refused("takes arrays, got the pixels of an image", "FloatArray") { ofArrays.infer(ByteArray(12)) }
        refused("takes arrays, got the pixels") { ofArrays.train(List(2) { ByteArray(12) }, IntArray(2), 0.5f) }
        refused("takes images, got an array", "ByteArray") { ofPhotos.infer(FloatArray(12)) }
        refused("takes images, got an array") { ofPhotos.train(List(2) { FloatArray(12) }, IntArray(2), 0.5f) }
        refused("got the array array 1") { arrays[0].image }
        refused("model of images for height") { ofArrays.height }
        refused("model of images for width") { Pixels.shortSide(ofArrays.width, 2) }
        val changes = settings.copy(augmentation = Augmentation(crop = false, flip = false))
        refused("no augmentation for a model of arrays", "leave it out") { Trainer(ofArrays, arrays, arrays, changes) }
        assertEquals(0, classes.calls + photos.calls)
    }

    @Test
    fun `wrong arrays and labels of a step are refused before anything runs`() {
        val model = ScriptedRuntime.open(numbers)
        val batch = List(2) { FloatArray(6) }
        refused("batch of 2 arrays, got 1; if there are fewer") { model.train(batch.take(1), FloatArray(4), 0.5f) }
        refused("array 1 of 6 numbers", "got 7") { model.train(batch.take(1) + FloatArray(7), FloatArray(4), 0.5f) }
        refused("2 outputs of each array", "FloatArray") { model.train(batch, IntArray(2), 0.5f) }
        refused("4 numbers, 2 for each of 2 arrays, got 3") { model.train(batch, FloatArray(3), 0.5f) }
        for (bad in listOf(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY)) {
            refused("labels that are finite numbers, got $bad") { model.train(batch, FloatArray(4) { bad }, 0.5f) }
            refused("finite numbers in an array, got $bad at [0, 0]") { model.infer(FloatArray(6) { bad }) }
        }
        refused("an array of 6 numbers", "got 0") { model.infer(FloatArray(0)) }
        refused("learning rate") { model.train(batch, FloatArray(4), Float.NaN) }
        assertEquals(0, numbers.calls)
        val labels = floatArrayOf(-3f, 700f, 0.25f, 1e30f)
        assertTrue(model.train(batch, labels, 0.5f).applied)
        assertEquals(labels.toList(), numbers.labels.single())
        refused("class of each array", "IntArray") { ScriptedRuntime.open(classes).train(batch, FloatArray(4), 0.5f) }
    }

    @Test
    fun `labels are matched by name, and none may lack`() {
        val model = ScriptedRuntime.open(numbers)
        for ((labels, words) in listOf(
            mapOf("a" to 1f) to "output (a, b) for array 1, got 1 (a)",
            mapOf("a" to 1f, "b" to 1f, "c" to 1f) to "got 3 (a, b, c)",
            mapOf("a" to 1f, "c" to 1f) to "got 2 (a, c)",
            mapOf("a" to 1f, "b" to Float.NaN) to "finite numbers as labels of array 1, got NaN as b",
            mapOf("a" to Float.POSITIVE_INFINITY, "b" to 0f) to "got Infinity as a",
        )) {
            refused(words) { Trainer(model, listOf(Example(array(1), labels)), emptyList()) }
        }
        refused("number for each output (a, b) for array 1, got names of classes (a)") {
            Trainer(model, listOf(Example(array(1), "a")), emptyList())
        }
        refused("names of classes (a, b) for array 1, got numbers") {
            Trainer(ScriptedRuntime.open(classes), listOf(Example(array(1), mapOf("a" to 1f, "b" to 2f))), emptyList())
        }
        assertEquals(0, numbers.calls)
    }

    @Test
    fun `a run of numbers is resumed with the same labels only`() {
        val file = File(folder.root, "mine.tinytl")
        val model = ScriptedRuntime.open(numbers)
        val examples = List(4) { Example(array(it), mapOf("a" to it.toFloat(), "b" to 0f)) }
        lateinit var trainer: Trainer
        trainer = Trainer(model, examples, examples, settings, file, stopping(1) { trainer.cancel() })
        assertThrows(CancellationException::class.java) { trainer.run() }
        val others = examples.drop(1) + Example(array(3), mapOf("a" to 3.5f, "b" to 0f))
        val changed = examples.dropLast(1) + others.takeLast(1)
        refused("1 arrays to train on have different content, labels or positions (array 3)") {
            Trainer(model, changed, examples, settings, file).resume()
        }
        refused("the number of arrays to train on was 4 and is now 3") {
            Trainer(model, examples.drop(1), examples, settings, file).resume()
        }
        val exchanged = examples.take(3) + Example(array(3), mapOf("b" to 3f, "a" to 0f))
        refused("1 arrays to train on") { Trainer(model, exchanged, examples, settings, file).resume() }
        val again = examples.map { Example(it.source, it.numbers.toSortedMap().toMap()) }
        assertEquals(2, Trainer(model, again, examples, settings, file).resume().steps)
    }

    @Test
    fun `a loss above ten, or ten times that before, ends a run of numbers`() {
        val examples = listOf(Example(array(0), mapOf("a" to 0f, "b" to 0f)))
        for ((before, after, isDiverged) in listOf(
            Triple(0f, 3.1f, false),
            Triple(0f, 3.2f, true),
            Triple(2f, 6.3f, false),
            Triple(2f, 6.4f, true),
        )) {
            numbers.logits = { steps, _ -> FloatArray(2) { if (steps == 0) before else after } }
            numbers.rates.clear()
            val trainer = Trainer(ScriptedRuntime.open(numbers), examples, examples, settings)
            val error = runCatching { trainer.run() }.exceptionOrNull()
            assertEquals("$error", isDiverged, error is TrainingDivergedException)
        }
    }

    @Test
    fun `a spare class of arrays is learned by name`() {
        val manifest =
            ScriptedRuntime.arrays { values: JSONObject ->
                val state = values.getJSONArray("state")
                state.put(0, ScriptedRuntime.entry("classifier/bias", listOf(3), 0))
                values.put("spare_classes", 1)
            }
        val runtime = ScriptedRuntime(manifest).apply { state = floatArrayOf(1f, 3f, -10_000f) }
        val model = ScriptedRuntime.open(runtime)
        val examples = listOf("a", "b", "c").mapIndexed { index, label -> Example(array(index), label) }
        Trainer(model, examples, emptyList(), settings.copy(newClasses = true)).run()
        assertEquals(listOf("a", "b", "c"), model.labels)
        assertEquals(listOf(1f, 3f, 2f), runtime.state.toList())
    }

    @Test
    fun `predicted numbers have no best one`() {
        numbers.logits = { _, _ -> floatArrayOf(-1f, 5f) }
        val answer = ScriptedRuntime.open(numbers).infer(FloatArray(6))
        assertEquals(listOf(-1f, 5f), answer.logits.toList())
        refused("model of classes, got a regression", "read logits") { answer.best }
        assertFalse(runCatching { ScriptedRuntime.open(classes).infer(FloatArray(6)).best }.isFailure)
    }

    @Test
    fun `what the README shows runs`() {
        val windows = Golden.arrays().mapIndexed { index, numbers -> NamedArray("window $index", numbers) }
        val labels = List(windows.size) { it % 3 - 1f }
        val file = File(folder.root, "mine.tinytl")
        Golden.open("regression").use { model ->
            val examples =
                windows.zip(labels) { window, label ->
                    Example(window, mapOf("rate" to label, "strength" to -label))
                }
            val (training, heldOut) = Example.holdOut(examples, model.manifest)
            val result = Trainer(model, training, heldOut, TrainerSettings(epochs = 5), file).run()
            assertEquals(heldOut.isEmpty(), result.after == null)
            result.after?.numbers?.forEach { println("${it.name}: ${it.absoluteError}, R2 ${it.r2}") }
            val (rate, strength) = model.infer(windows[0].read()).logits.toList()
            assertTrue("$rate, $strength", rate.isFinite() && strength.isFinite())
            assertTrue(file.exists())
        }
    }

    private fun numbersManifest() = ScriptedRuntime.arrays(Task.REGRESSION)

    /** The golden arrays with the labels that the golden steps give them. */
    private fun golden(name: String): List<Example> {
        val json = Golden.json("$name.json")
        val names = Manifest.read(Golden.file("model_$name.manifest.json")).labels
        val labels = HashMap<Int, Any>()
        for (step in json.getJSONArray("steps").objects()) {
            val values = step.getJSONArray("labels")
            step.getJSONArray("arrays").ints().forEachIndexed { index, array -> labels[array] = values.get(index) }
        }
        return Golden.arrays().mapIndexed { index, numbers ->
            val source = NamedArray("window $index", numbers)
            when (val label = labels.getValue(index)) {
                is Int -> Example(source, names[label])
                else -> Example(source, names.zip((label as org.json.JSONArray).floats().toList()).toMap())
            }
        }
    }

    private fun array(number: Int) = NamedArray("array $number", FloatArray(6) { number + it / 10f })

    private fun bytes(numbers: FloatArray): List<Byte> {
        val buffer =
            java.nio.ByteBuffer
                .allocate(4 * numbers.size)
                .order(java.nio.ByteOrder.nativeOrder())
        numbers.forEach { buffer.putFloat(it) }
        return buffer.array().toList()
    }

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
}
