package org.tinytl

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.tinytl.natives.NativeBridge
import java.io.File
import java.nio.ByteBuffer
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.concurrent.thread

/** Opens the golden model, uses it rightly and wrongly. */
class TinyTlModelTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val manifestText = Golden.file("model_float32.manifest.json").readText()
    private val photos = Golden.json("training_float32.json").getJSONArray("photos").objects()
    private val batch = photos.take(4).map { Golden.pixels(it) }
    private val labels = IntArray(4) { photos[it].getInt("label") }

    @Test
    fun `the model says what it is`() {
        Golden.open().use { model ->
            assertEquals(listOf("stripes", "disk", "cross", "leaf", "éclair"), model.labels)
            assertEquals(listOf(64, 64, 4), listOf(model.height, model.width, model.batchSize))
            assertEquals(Task.CLASSIFICATION, model.task)
            assertEquals(model.state().size, model.stateSize)
            assertEquals(model.manifest.sha256, Fingerprint.hex(model.fingerprint))
            assertTrue(model.plannedTrainingBytes > 0)
        }
    }

    @Test
    fun `training changes the state, and reset puts it back`() {
        Golden.open().use { model ->
            val before = model.state()
            assertTrue(model.train(batch, labels, 1e-3f).applied)
            assertFalse(before.contentEquals(model.state()))
            model.reset()
            assertArrayEquals(before, model.state(), 0f)
        }
    }

    @Test
    fun `a rate of zero keeps what is learnt`() {
        Golden.open().use { model ->
            val logits = model.infer(batch[0]).logits
            model.train(batch, labels, 0f)
            assertArrayEquals(logits, model.infer(batch[0]).logits, 0f)
        }
    }

    @Test
    fun `a restored state trains on as the one that was saved`() {
        val file = File(folder.root, "state.tinytl")
        Golden.open().use { model ->
            model.train(batch, labels, 1e-3f)
            model.save(file)
            val result = model.train(batch, labels, 1e-3f)
            Golden.open().use { other ->
                other.restore(file)
                assertEquals(result, other.train(batch, labels, 1e-3f))
                assertArrayEquals(model.state(), other.state(), 0f)
            }
        }
    }

    @Test
    fun `wrong images, labels and rates are refused before anything runs`() {
        Golden.open().use { model ->
            val before = model.state()
            val small = batch.take(3) + ByteArray(7)
            refused("12288 bytes", "got 5") { model.infer(ByteArray(5)) }
            refused("batch of 4 images", "got 3") { model.train(batch.take(3), labels, 1e-3f) }
            refused("image 3", "12288 bytes", "got 7") { model.train(small, labels, 1e-3f) }
            refused("4 labels", "got 2") { model.train(batch, intArrayOf(0, 1), 1e-3f) }
            refused("0 to 4", "got 5") { model.train(batch, intArrayOf(0, 1, 5, 2), 1e-3f) }
            refused("0 to 4", "got -1") { model.train(batch, intArrayOf(0, -1, 2, 2), 1e-3f) }
            refused("IntArray") { model.train(batch, FloatArray(20), 1e-3f) }
            for (rate in listOf(Float.NaN, Float.POSITIVE_INFINITY, -1e-3f)) {
                refused("learning rate", "got $rate") { model.train(batch, labels, rate) }
            }
            refused("state of ${model.stateSize} values, got 3") { model.setState(FloatArray(3)) }
            refused("NaN at index 0") { model.setState(FloatArray(model.stateSize) { Float.NaN }) }
            assertArrayEquals(before, model.state(), 0f)
        }
    }

    @Test
    fun `a step of attributes needs a model of attributes`() {
        val manifest = Manifest.parse(manifestText.replace("\"classification\"", "\"multilabel\""))
        refused("float32 [4, 5]", "train input label", "int32 [4]") { open(manifest).close() }
    }

    @Test
    fun `files that do not belong together are refused`() {
        val other = Manifest.parse(Golden.file("model_int8.manifest.json").readText())
        refused("sha256", "copy both") { open(other) }
        val damaged = Golden.file("model_float32.tflite").readBytes()
        damaged[damaged.size / 2] = (damaged[damaged.size / 2] + 1).toByte()
        refused("sha256") { open(Manifest.parse(manifestText), damaged) }
        refused("check the path") {
            TinyTlModel.open(File(folder.root, "none.tflite"), Golden.file("model_float32.manifest.json"))
        }
        refused("copy both files of the export") {
            TinyTlModel.open(Golden.file("model_float32.tflite"), File(folder.root, "none.json"))
        }
    }

    @Test
    fun `a file that is no model is refused by the runtime`() {
        val content = ByteArray(1000) { it.toByte() }
        val sha = Fingerprint.hex(Fingerprint.of(direct(content)))
        val manifest = Manifest.parse(manifestText.replace(Regex("\"sha256\": \"[0-9a-f]*\""), "\"sha256\": \"$sha\""))
        refused("TensorFlow Lite to load the model") { open(manifest, content) }
    }

    @Test
    fun `a manifest of other shapes is refused`() {
        val text = manifestText.replace("\"batch_size\": 4", "\"batch_size\": 8")
        assertNotEquals(manifestText, text)
        refused("uint8 [8, 64, 64, 3]", "train input image", "uint8 [4, 64, 64, 3]") { open(Manifest.parse(text)) }
    }

    @Test
    fun `threads and buffers that cannot be used are refused`() {
        val manifest = Manifest.parse(manifestText)
        val heap = ByteBuffer.wrap(Golden.file("model_float32.tflite").readBytes())
        refused("direct buffer") { TinyTlModel.open(heap, manifest) }
        for (threads in listOf(0, 257)) {
            refused("1 to 256 threads, got $threads") { Golden.open(threads = threads) }
        }
    }

    @Test
    fun `a closed model is refused`() {
        val model = Golden.open()
        model.close()
        model.close()
        refused("open it again") { model.infer(batch[0]) }
        refused("open it again") { model.state() }
        refused("open it again") { model.train(batch, labels, 1e-3f) }
    }

    @Test
    fun `threads that train and infer get whole answers`() {
        Golden.open().use { model ->
            val expected = batch.map { model.infer(it).logits.toList() }
            val problems = ConcurrentLinkedQueue<Throwable>()
            val threads =
                List(4) { index ->
                    thread {
                        runCatching {
                            repeat(25) {
                                assertEquals(expected[index], model.infer(batch[index]).logits.toList())
                                assertTrue(model.train(batch, labels, 0f).applied)
                            }
                        }.onFailure { problems.add(it) }
                    }
                }
            threads.forEach { it.join() }
            assertTrue("$problems", problems.isEmpty())
        }
    }

    @Test
    fun `threads that train take as many steps as one after the other`() {
        val steps = 10
        val alone = Golden.open().use { model -> (1..2 * steps).map { model.train(batch, labels, 1e-3f) } }
        Golden.open().use { model ->
            val results = ConcurrentLinkedQueue<TrainResult>()
            val threads = List(2) { thread { repeat(steps) { results.add(model.train(batch, labels, 1e-3f)) } } }
            threads.forEach { it.join() }
            assertEquals(alone.map { it.loss }.sorted(), results.map { it.loss }.sorted())
        }
    }

    private fun open(
        manifest: Manifest,
        content: ByteArray = Golden.file("model_float32.tflite").readBytes(),
    ): TinyTlModel {
        NativeBridge.install()
        return TinyTlModel.open(direct(content), manifest)
    }

    private fun direct(content: ByteArray): ByteBuffer = ByteBuffer.allocateDirect(content.size).put(content)
}
