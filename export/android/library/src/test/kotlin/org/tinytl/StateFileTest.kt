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
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.zip.CRC32
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
    fun `each damage of the names is refused and leaves the model as it was`() = checkDamages("damaged_names", 12)

    @Test
    fun `names of any form come back as they were written`() {
        val file = folder.newFile()
        val names =
            listOf("tulip", "e\u0301toile", "\u00e9toile", "\uD83C\uDF37", "赤\u3000バラ", "می\u200cخواهم", "\ue000")
        StateFile.write(file, values, fingerprint, names)
        val saved = StateFile.readState(file, fingerprint, values.size)
        assertEquals(names, saved.addedClasses)
        assertArrayEquals(values, saved.values, 0f)
        assertArrayEquals(values, StateFile.read(file, fingerprint, values.size), 0f)
        assertEquals(2, file.readBytes()[8].toInt())
    }

    @Test
    fun `names that cannot be used are not written`() {
        val file = folder.newFile()
        file.writeText("old")
        val bad = listOf("", " ", "a\nb", "a\u0000", "\u200b", "\u00a0", "\uD83C", "x".repeat(256))
        for (name in bad) {
            refused("1 to 255 bytes") { StateFile.write(file, values, fingerprint, listOf(name)) }
        }
        refused("twice") { StateFile.write(file, values, fingerprint, listOf("e\u0301", "e\u0301")) }
        val many = List(4097) { "%0255d".format(it) }
        refused("1048576 bytes in all") { StateFile.write(file, values, fingerprint, many) }
        assertEquals("old", file.readText())
    }

    @Test
    fun `names that no client writes are not read`() {
        val bad =
            listOf(
                byteArrayOf(0x61, 0x0D),
                byteArrayOf(0xED.toByte(), 0xA0.toByte(), 0xBC.toByte()), // half a character
                byteArrayOf(0xC0.toByte(), 0x80.toByte()),
                byteArrayOf(0x61, 0x0A),
                byteArrayOf(0xE2.toByte(), 0x80.toByte(), 0x8B.toByte()),
                byteArrayOf(0x61, 0x0A, 0x61),
                ByteArray(256) { 0x61 },
            )
        val content =
            folder.newFile().let {
                StateFile.write(it, values, fingerprint, listOf("name"))
                it.readBytes()
            }
        for (names in bad) {
            val buffer = ByteBuffer.allocate(content.size - 4 + names.size).order(ByteOrder.LITTLE_ENDIAN)
            buffer.put(content, 0, 48 + 4 * values.size).putInt(names.size).put(names)
            buffer.putInt(CRC32().apply { update(buffer.array(), 0, buffer.position()) }.value.toInt())
            val file = folder.newFile().also { it.writeBytes(buffer.array()) }
            refused("names of added classes that cannot be used") {
                StateFile.readState(file, fingerprint, values.size)
            }
        }
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
    fun `a state of more or fewer values than the model's is refused`() {
        for (size in listOf(values.size - 1, values.size + 1)) {
            refused("has ${values.size} values, expected $size") { StateFile.read(smallFile, fingerprint, size) }
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
    fun `a name may be as long as the file system allows`() {
        for (name in listOf("x".repeat(248) + ".tinytl", "é".repeat(124) + ".tinytl")) {
            val file = File(folder.root, name)
            repeat(2) { StateFile.write(file, values, fingerprint) }
            assertArrayEquals(values, StateFile.read(file, fingerprint, values.size), 0f)
        }
        refused("choose a path") { StateFile.write(File(folder.root, "x".repeat(256)), values, fingerprint) }
        assertEquals(2, folder.root.list()?.size)
    }

    @Test
    fun `what a killed process left is removed when it is old`() {
        val file = File(folder.root, "a.tinytl")
        val old = File(folder.root, ".${prefix("a.tinytl")}.1.tinytl.tmp").apply { writeText("torn") }
        val new = File(folder.root, ".${prefix("a.tinytl")}.2.tinytl.tmp").apply { writeText("in work") }
        val other = File(folder.root, ".${prefix("b.tinytl")}.1.tinytl.tmp").apply { writeText("another's") }
        val yesterday = System.currentTimeMillis() - 86_400_000
        assertTrue(old.setLastModified(yesterday) && other.setLastModified(yesterday))
        StateFile.write(file, values, fingerprint)
        assertFalse(old.exists())
        assertTrue(new.exists() && other.exists())
    }

    @Test
    fun `a writer of another process that lives keeps its temporary file, however old it seems`() {
        val file = File(folder.root, "shared.tinytl")
        val writer = OtherProcess.start("write", file)
        var aged = 0
        val until = System.nanoTime() + 2_000_000_000
        while (System.nanoTime() < until) {
            folder.root.listFiles { _, name -> name.endsWith(".tinytl.tmp") }.orEmpty().forEach {
                if (it.setLastModified(System.currentTimeMillis() - 86_400_000)) aged++
            }
            StateFile.write(file, values, fingerprint)
        }
        val answer = writer.end()
        assertTrue(answer, answer.startsWith("written "))
        assertTrue("$aged temporary files seen", aged > 10)
        assertEquals(listOf(file), folder.root.listFiles()?.toList())
    }

    @Test
    fun `a writer of this process keeps its temporary file, however old it seems`() {
        val file = File(folder.root, "shared.tinytl")
        val problems = ConcurrentLinkedQueue<Throwable>()
        val large = FloatArray(500_000)
        val writer =
            thread { runCatching { repeat(30) { StateFile.write(file, large, fingerprint) } }.onFailure(problems::add) }
        while (writer.isAlive) {
            folder.root.listFiles { _, name -> name.endsWith(".tinytl.tmp") }.orEmpty().forEach {
                it.setLastModified(System.currentTimeMillis() - 86_400_000)
            }
            StateFile.write(file, values, fingerprint)
        }
        assertEquals(emptyList<Throwable>(), problems.toList())
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

    /** How the names of temporary files begin. */
    private fun prefix(name: String) = Fingerprint.hex(Fingerprint.of(name.toByteArray())).take(16)

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
