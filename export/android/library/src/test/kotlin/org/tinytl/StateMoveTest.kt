package org.tinytl

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File

class StateMoveTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val output by lazy { File(folder.root, "moved.tinytl") }
    private val states = Golden.json("states.json")
    private val float32 = manifest("model_float32.tflite")
    private val int8 = manifest("model_int8.tflite")

    @Test
    fun `a moved state has the bytes of Python and can be restored`() {
        val moved = states.getJSONArray("moved").objects()
        assertEquals(4, moved.size)
        for (entry in moved) {
            val target = entry.getString("to")
            val from = manifest(entry.getString("from"))
            StateFile.move(Golden.file(entry.getString("file")), from, manifest(target), output)
            assertEquals(entry.getString("sha256"), Fingerprint.hex(Fingerprint.of(output.readBytes())))
            Golden.open(target.removePrefix("model_").removeSuffix(".tflite")).use { it.restore(output) }
        }
    }

    @Test
    fun `a state of another network is not moved`() {
        val words =
            mapOf(
                "classes" to "of the new model in this order",
                "frozen" to "other frozen weights",
                "fingerprint" to "belongs to another model",
                "variables" to "a difference at classifier/bias",
            )
        val entries = states.getJSONArray("not_moved").objects()
        assertEquals(5, entries.size)
        for (entry in entries) {
            val (from, to) = listOf("from", "to").map { manifest(entry.getString(it)) }
            refused(words.getValue(entry.getString("check"))) {
                StateFile.move(Golden.file(entry.getString("file")), from, to, output)
            }
            assertFalse(output.exists())
        }
    }

    @Test
    fun `an older export lacks the digest of the frozen weights`() {
        val older = manifest("model_int8.tflite") { it.replace(float32.frozenSha256, "") }
        assertEquals("", older.frozenSha256)
        val other = manifest("model_float32.tflite") { it.replace(float32.frozenSha256, "0".repeat(64)) }
        StateFile.move(Golden.file("state_float32.tinytl"), other, older, output)
        val moved = output.readBytes()
        StateFile.move(Golden.file("state_float32.tinytl"), float32, int8, output)
        assertArrayEquals(moved, output.readBytes())
    }

    @Test
    fun `minus 0 becomes 0, and a state that could not be restored is refused`() {
        val state = File(folder.root, "mine.tinytl")
        val values = FloatArray(float32.stateSize) { -0f }
        StateFile.write(state, values, Fingerprint.bytes(float32))
        StateFile.move(state, float32, int8, output)
        assertTrue(StateFile.read(output, Fingerprint.bytes(int8), int8.stateSize).all { it.toRawBits() == 0 })
        values[0] = 2e15f
        StateFile.write(state, values, Fingerprint.bytes(float32))
        refused("cannot move $state", "add up to less than 1.0E15") { StateFile.move(state, float32, int8, output) }
    }

    @Test
    fun `added classes must fit the model that the state was saved from`() {
        val spare = manifest("model_spare.tflite")
        val taken = manifest("model_spare.tflite") { it.replace("\"stripes\"", "\"z\u00e8bre\"") }
        refused("cannot be used", "twice") {
            StateFile.move(Golden.file("state_spare.tinytl"), taken, taken, output)
        }
        StateFile.move(Golden.file("state_spare.tinytl"), spare, spare, output)
        val moved = StateFile.readState(output, Fingerprint.bytes(spare), spare.stateSize)
        assertEquals(listOf("z\u00e8bre"), moved.addedClasses)
    }

    private fun manifest(
        tflite: String,
        change: (String) -> String = { it },
    ): Manifest = Manifest.parse(change(Golden.file(tflite.replace(".tflite", ".manifest.json")).readText()))
}
