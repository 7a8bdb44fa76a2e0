package org.tinytl

import org.json.JSONArray
import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import java.security.MessageDigest
import kotlin.math.sqrt

/** Adds classes to the golden model with spare outputs and compares with what the Python client measured. */
class SpareClassesTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val golden = Golden.json("spare.json")
    private val name = golden.getString("class")
    private val label = golden.getInt("label")
    private val stateAfter = Golden.file(golden.getString("state_after"))
    private val photos = Golden.json("training_float32.json").getJSONArray("photos").objects()

    @Test
    fun `an added class learns as in Python, with XNNPACK`() = compare(true)

    @Test
    fun `an added class learns as in Python, without XNNPACK`() = compare(false)

    @Test
    fun `a state of Python is restored with its names and saved as the same bytes`() {
        val file = File(folder.root, "state.tinytl")
        for (xnnpack in listOf(true, false)) {
            Golden.open("spare", xnnpack).use { model ->
                model.restore(stateAfter)
                assertEquals(model.manifest.labels + name, model.labels)
                checkAnswers(model, xnnpack)
                model.save(file)
                assertArrayEquals(stateAfter.readBytes(), file.readBytes())
            }
        }
    }

    @Test
    fun `labels of outputs that no class has are refused`() {
        val refusedSteps = golden.getJSONArray("refused").objects()
        assertTrue(refusedSteps.isNotEmpty())
        Golden.open("spare").use { model ->
            val batch = batch(photos.indices.take(4))
            refused("labels from 0 to 4, got 5", "addClass") { model.train(batch, IntArray(4) { 5 }, 1e-3f) }
            model.addClass(name)
            val before = model.state()
            refusedSteps.forEach { refused("labels from 0 to 5, got 6") { train(model, it) } }
            assertArrayEquals(before, model.state(), 0f)
        }
    }

    @Test
    fun `outputs without a class stay as they are while others train`() {
        Golden.open("spare").use { model ->
            val unused = listOf(5, 6)
            assertEquals(2, model.spareClasses)
            assertEquals(5, model.infer(batch(listOf(0))[0]).logits.size)
            val before = model.state()
            assertTrue(model.train(batch(listOf(0, 1, 2, 3)), intArrayOf(0, 0, 0, 1), 1e-2f).applied)
            val after = model.state()
            for (entry in model.manifest.classifier) {
                val rows = entry.offset until entry.offset + entry.size step 7
                rows.forEach { row -> unused.forEach { assertEquals(before[row + it], after[row + it], 0f) } }
                assertTrue(rows.any { row -> before[row] != after[row] })
            }
        }
    }

    @Test
    fun `names that cannot be used are refused and leave the model as it was`() {
        Golden.open("spare").use { model ->
            val before = model.state()
            for (bad in listOf("", "  ", "a\tb", "a\u2028b", "x".repeat(256))) {
                refused("1 to 255 bytes") { model.addClass(bad) }
            }
            for (taken in listOf("disk", "\u00e9clair", "e\u0301clair")) {
                refused("differ", "twice") { model.addClass(taken) }
            }
            assertArrayEquals(before, model.state(), 0f)
            assertEquals(model.manifest.labels, model.labels)
            assertEquals(label, model.addClass("e\u0301toile"))
            assertEquals("\u00e9toile", model.labels.last())
            refused("twice") { model.addClass("\u00e9toile") }
        }
    }

    @Test
    fun `names of a state are kept byte for byte`() {
        val (file, again) = listOf("state.tinytl", "again.tinytl").map { File(folder.root, it) }
        val names = listOf("e\u0301toile", "\u00e9toile") // as a client without Unicode tables may write them
        Golden.open("spare").use { model ->
            repeat(2) { model.addClass("$it") }
            StateFile.write(file, model.state(), model.fingerprint, names)
            model.restore(file)
            assertEquals(model.manifest.labels + names, model.labels)
            model.save(again)
            assertArrayEquals(file.readBytes(), again.readBytes())
            val examples = listOf(Example(Flat(1), "disk"))
            refused("different names", "twice") { Trainer(model, examples, examples) }
            StateFile.write(file, model.state(), model.fingerprint, listOf("disk", "a"))
            refused("twice") { model.restore(file) }
            assertEquals(model.manifest.labels + names, model.labels)
        }
        Golden.open("spare").use { model ->
            model.addClass("a")
            StateFile.write(file, model.state(), model.fingerprint, names.take(1))
            model.restore(file)
            refused("\u00e9toile", "twice") { model.addClass("\u00e9toile") }
            // Names of data match in any form.
            val example = Example(Flat(1), "\u00e9toile")
            Trainer(model, listOf(example), listOf(example), TrainerSettings(newClasses = true))
            assertEquals(1, model.spareClasses)
        }
    }

    @Test
    fun `names that do not fit into a state file together are refused before anything changes`() {
        val spare = 4200
        val manifest =
            ScriptedRuntime.manifest {
                it.put("spare_classes", spare)
                it.put("state", JSONArray(listOf(ScriptedRuntime.entry("classifier/bias", listOf(5 + spare), 0))))
            }
        val runtime = ScriptedRuntime(manifest)
        repeat(spare) { runtime.state[5 + it] = -10_000f }
        val model = ScriptedRuntime.open(runtime)
        val names = List(4096) { "%0255d".format(it) }
        val file = File(folder.root, "many.tinytl")
        runtime.state.fill(0f, 0, 5 + names.size)
        StateFile.write(file, runtime.state, model.fingerprint, names)
        model.restore(file)
        val calls = runtime.calls
        refused("1048576 bytes in all") { model.addClass("x") }
        val example = Example(Flat(1), "x")
        refused("1048576 bytes in all") {
            Trainer(model, listOf(example), listOf(example), TrainerSettings(newClasses = true))
        }
        assertEquals(calls, runtime.calls)
        assertEquals(5 + names.size, model.labels.size)
        model.save(file)
        model.restore(file)
    }

    @Test
    fun `no more classes are added than there is room for`() {
        Golden.open("spare").use { model ->
            assertEquals(listOf(5, 6), listOf(model.addClass("a"), model.addClass("b")))
            assertEquals(0, model.spareClasses)
            refused("exported with 2", "--spare_classes") { model.addClass("c") }
            assertEquals(7, model.infer(batch(listOf(0))[0]).probabilities.size)
        }
        Golden.open().use { refused("exported with 0") { it.addClass("a") } }
    }

    @Test
    fun `a state of other classes is refused`() {
        Golden.open("spare").use { model ->
            val exported = model.state()
            model.addClass(name)
            val added = model.state()
            refused("6 outputs in use, got 5") { model.setState(exported) }
            assertArrayEquals(added, model.state(), 0f)
            model.reset()
            assertEquals(model.manifest.labels, model.labels)
            refused("5 outputs in use, got 6") { model.setState(added) }
            assertArrayEquals(exported, model.state(), 0f)
            assertEquals(label, model.addClass(name))
            assertArrayEquals(added, model.state(), 0f)
            val moved = added.copyOf()
            moved[model.manifest.classifierBias.offset + 6] -= 1f
            refused("outputs in use") { model.setState(moved) }
        }
    }

    @Test
    fun `a file of the exported classes takes added names away`() {
        val file = File(folder.root, "exported.tinytl")
        Golden.open("spare").use { model ->
            model.save(file)
            assertEquals(1, file.readBytes()[8].toInt())
            model.addClass(name)
            model.restore(file)
            assertEquals(model.manifest.labels, model.labels)
            assertEquals(5, model.infer(batch(listOf(0))[0]).logits.size)
        }
    }

    private fun compare(xnnpack: Boolean) {
        val key = key(xnnpack)
        val tolerances = golden.getJSONObject("tolerances")
        val steps = golden.getJSONArray("steps").objects()
        assertEquals(6, steps.size)
        val file = File(folder.root, "added.tinytl")
        Golden.open("spare", xnnpack).use { model ->
            assertEquals(label, model.addClass(name))
            val added = model.state()
            model.save(file)
            val sha = Fingerprint.hex(MessageDigest.getInstance("SHA-256").digest(file.readBytes()))
            assertEquals(golden.getString("added_state_sha256"), sha)
            for ((index, step) in steps.withIndex()) {
                val expected = step.getJSONObject(key)
                val result = train(model, step)
                val loss = expected.getDouble("loss")
                assertEquals("step $index", loss, result.loss.toDouble(), tolerances.getDouble("loss") * loss)
                assertEquals(expected.getDouble("accuracy"), result.accuracy.toDouble(), 1e-6)
                assertEquals(expected.getInt("applied") == 1, result.applied)
            }
            val trained = StateFile.read(stateAfter, model.fingerprint, model.stateSize)
            val difference = distance(model.state(), trained) / distance(trained, added)
            assertTrue("$difference", difference <= tolerances.getDouble("update"))
            checkAnswers(model, xnnpack)
        }
    }

    private fun train(
        model: TinyTlModel,
        step: JSONObject,
    ): TrainResult =
        model.train(
            batch(step.getJSONArray("photos").ints()),
            step.getJSONArray("labels").ints().toIntArray(),
            step.getDouble("learning_rate").toFloat(),
        )

    private fun batch(indices: List<Int>): List<ByteArray> = indices.map { Golden.pixels(photos[it]) }

    private fun checkAnswers(
        model: TinyTlModel,
        xnnpack: Boolean,
    ) {
        val expected = golden.getJSONObject("after").getJSONObject(key(xnnpack))
        for ((index, photo) in photos.withIndex()) {
            val result = model.infer(Golden.pixels(photo))
            for ((kind, values) in listOf("logits" to result.logits, "probabilities" to result.probabilities)) {
                val allowed = golden.getJSONObject("tolerances").getDouble(kind).toFloat()
                assertArrayEquals(kind, expected.getJSONArray(kind).getJSONArray(index).floats(), values, allowed)
            }
            assertEquals(1f, result.probabilities.sum(), 1e-5f)
        }
    }

    private fun key(xnnpack: Boolean) = if (xnnpack) "xnnpack" else "without_xnnpack"

    private fun distance(
        left: FloatArray,
        right: FloatArray,
    ) = sqrt(left.indices.sumOf { (left[it] - right[it]).toDouble().let { change -> change * change } })
}
