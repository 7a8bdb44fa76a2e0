package org.tinytl

import org.json.JSONObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import kotlin.concurrent.thread

/** Reads and writes `.tinytl` files and compares them with the golden ones, byte for byte. */
class StateFileTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val small = Golden.json("states.json").getJSONObject("small")
    private val smallFile = Golden.file(small.getString("file"))
    private val fingerprint = bytes(small.getString("fingerprint"))
    private val values = small.getJSONArray("values").floats()

    @Test
    fun `the golden file is read`() {
        assertArrayEquals(values, StateFile.read(smallFile, fingerprint, values.size), 0f)
    }

    @Test
    fun `the golden file is written`() {
        val file = File(folder.root, "new folder/small.tinytl")
        StateFile.write(file, values, fingerprint)
        assertArrayEquals(smallFile.readBytes(), file.readBytes())
        assertEquals(listOf(file), file.parentFile.listFiles()?.toList())
    }

    @Test
    fun `a state of Python is saved again as the same bytes`() {
        for (kernels in listOf("float32", "int8")) {
            Golden.open(kernels).use { model ->
                val golden = Golden.file("state_$kernels.tinytl")
                val file = File(folder.root, "$kernels.tinytl")
                model.restore(golden)
                model.save(file)
                assertArrayEquals(golden.readBytes(), file.readBytes())
            }
        }
    }

    @Test
    fun `each damage is refused and leaves the model as it was`() = checkDamages("damaged", 20)

    @Test
    fun `each damage of the names is refused and leaves the model as it was`() = checkDamages("damaged_names", 13)

    @Test
    fun `names of any form come back in NFC`() {
        val file = folder.newFile()
        val names = listOf("tulip", "e\u0301toile", "\uD83C\uDF37")
        StateFile.write(file, values, fingerprint, names)
        val saved = StateFile.readState(file, fingerprint, values.size)
        assertEquals(listOf("tulip", "\u00e9toile", "\uD83C\uDF37"), saved.addedClasses)
        assertArrayEquals(values, saved.values, 0f)
        assertArrayEquals(values, StateFile.read(file, fingerprint, values.size), 0f)
        assertEquals(2, file.readBytes()[8].toInt())
    }

    @Test
    fun `names that cannot be used are not written`() {
        val file = folder.newFile()
        file.writeText("old")
        val bad = listOf("", " ", "a\nb", "a\u0000", "\u200b", "\u00a0", "\uD83C", "\uE000")
        for (name in bad) {
            refused("can be printed") { StateFile.write(file, values, fingerprint, listOf(name)) }
        }
        refused("twice") { StateFile.write(file, values, fingerprint, listOf("\u00e9", "e\u0301")) }
        refused("1048576 bytes") { StateFile.write(file, values, fingerprint, listOf("a".repeat((1 shl 20) + 1))) }
        assertEquals("old", file.readText())
    }

    private fun checkDamages(
        key: String,
        least: Int,
    ) {
        val damaged = Golden.json("states.json").getJSONObject(key)
        val content = Golden.file(damaged.getString("file")).readBytes()
        val damages = damaged.getJSONArray("damages").objects()
        assertTrue(damages.size > least)
        Golden.open(damaged.getString("model").removePrefix("model_").removeSuffix(".tflite")).use { model ->
            val before = model.state()
            for (damage in damages) {
                val file = folder.newFile()
                file.writeBytes(damaged(content, damage))
                refused(words.getValue(damage.getString("check"))) { model.restore(file) }
                assertArrayEquals(damage.getString("name"), before, model.state(), 0f)
                assertEquals(model.manifest.labels, model.labels)
            }
        }
    }

    @Test
    fun `a flip of any bit is refused`() {
        val content = smallFile.readBytes()
        val file = folder.newFile()
        for (bit in 0 until content.size * Byte.SIZE_BITS) {
            val changed = content.copyOf()
            changed[bit / 8] = (changed[bit / 8].toInt() xor (1 shl bit % 8)).toByte()
            file.writeBytes(changed)
            refused { StateFile.read(file, fingerprint, values.size) }
        }
    }

    @Test
    fun `a length of any size is refused`() {
        val content = smallFile.readBytes()
        val file = folder.newFile()
        for (length in 0 until content.size) {
            file.writeBytes(content.copyOf(length))
            refused { StateFile.read(file, fingerprint, values.size) }
        }
    }

    @Test
    fun `a file that is not there is refused`() {
        refused("check the path") { StateFile.read(File(folder.root, "none"), fingerprint, 1) }
        refused("check the path") { StateFile.read(folder.root, fingerprint, 1) }
    }

    @Test
    fun `a state that is not finite is not written`() {
        val file = folder.newFile()
        file.writeText("old")
        refused("Infinity at index 1") { StateFile.write(file, floatArrayOf(1f, Float.POSITIVE_INFINITY), fingerprint) }
        assertEquals("old", file.readText())
    }

    @Test
    fun `what cannot be written is refused`() {
        refused("folder") { StateFile.write(folder.newFolder(), values, fingerprint) }
        refused("choose a path") { StateFile.write(File(folder.newFile(), "below"), values, fingerprint) }
        refused("fingerprint of 32 bytes") { StateFile.write(folder.newFile(), values, ByteArray(31)) }
    }

    @Test
    fun `what a killed process left is removed when it is old`() {
        val file = File(folder.root, "a.tinytl")
        val old = File(folder.root, ".a.tinytl.1.tinytl.tmp").apply { writeText("torn") }
        val new = File(folder.root, ".a.tinytl.2.tinytl.tmp").apply { writeText("in work") }
        val other = File(folder.root, ".b.tinytl.1.tinytl.tmp").apply { writeText("another's") }
        val yesterday = System.currentTimeMillis() - 86_400_000
        assertTrue(old.setLastModified(yesterday) && other.setLastModified(yesterday))
        StateFile.write(file, values, fingerprint)
        assertFalse(old.exists())
        assertTrue(new.exists() && other.exists())
    }

    @Test
    fun `a reader sees a whole file while two threads write`() {
        val file = File(folder.root, "shared.tinytl")
        val states = listOf(FloatArray(1000) { 1f }, FloatArray(1000) { 2f })
        StateFile.write(file, states[0], fingerprint)
        val writers = states.map { thread { repeat(100) { _ -> StateFile.write(file, it, fingerprint) } } }
        while (writers.any { it.isAlive }) {
            val state = StateFile.read(file, fingerprint, 1000)
            assertTrue(states.any { it.contentEquals(state) })
        }
        assertEquals(listOf(file), folder.root.listFiles()?.toList())
    }

    private fun damaged(
        content: ByteArray,
        damage: JSONObject,
    ): ByteArray {
        val result = content.copyOf(damage.getInt("length"))
        for (edit in damage.getJSONArray("edits").objects()) {
            bytes(edit.getString("bytes")).copyInto(result, edit.getInt("offset"))
        }
        return result
    }

    private fun bytes(hex: String) = ByteArray(hex.length / 2) { hex.substring(2 * it, 2 * it + 2).toInt(16).toByte() }

    private companion object {
        /** What the refusal of each check says. */
        val words =
            mapOf(
                "magic" to "is not a state file",
                "version" to "format version",
                "length" to "expected",
                "checksum" to "checksum",
                "fingerprint" to "another model",
                "N" to "values, expected",
                "names" to "added classes",
                "outputs" to "7 outputs in use, got 6",
                "finite" to "finite",
                "slots" to "of 0 or more",
                "restore" to "no training leads to it",
            )
    }
}
