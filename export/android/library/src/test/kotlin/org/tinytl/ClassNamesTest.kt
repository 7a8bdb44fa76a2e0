package org.tinytl

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.CRC32

/** The rule of names, which needs no Unicode table. */
class ClassNamesTest {
    @get:Rule
    val folder = TemporaryFolder()

    private val accepted =
        listOf(
            "a",
            "red rose",
            "赤　バラ", // with U+3000
            "می‌خواهم", // with U+200C
            "a\u00a0b",
            "a\u00adb",
            "\u200bz",
            "\ue000", // private use
            "\uD83D\uDC68\u200D\uD83D\uDC69\u200D\uD83D\uDC67", // an emoji of three parts
            "\u0378", // unassigned
            "\uDBFF\uDFFE",
            "e\u0301clair",
            "\u0301",
            " a ",
            "\ufeffa",
            "花",
            "x".repeat(255),
            "é".repeat(127),
            "\uD83C\uDF37".repeat(63),
        )

    private val refused =
        listOf(
            "" to "an empty name",
            "a\u0000" to "\\u0000",
            "\n" to "\\u000a",
            "a\r\nb" to "\\u000d\\u000a",
            "a\u001f" to "\\u001f",
            "\u007f" to "\\u007f",
            "a\u0085b" to "\\u0085",
            "\u009f" to "\\u009f",
            "a\u2028" to "\\u2028",
            "a\u2029b" to "\\u2029",
            "\uD83C" to "\\ud83c",
            "a\uDF37" to "\\udf37",
            "\uDF37\uD83C" to "\\udf37",
            "x".repeat(256) to "256 bytes",
            "é".repeat(128) to "256 bytes",
            "\uD83C\uDF37".repeat(64) to "256 bytes",
        )

    @Test
    fun `names are accepted as they are`() {
        accepted.forEach { ClassNames.check(listOf(it)) }
        assertEquals("\u00e9clair", ClassNames.entered("e\u0301clair"))
        assertEquals(" a ", ClassNames.entered(" a "))
    }

    @Test
    fun `the golden names are read and written again, or refused`() {
        val golden = Golden.json("names.json")
        val names = golden.getJSONArray("accepted").let { list -> List(list.length()) { list.getString(it) } }
        val bad = golden.getJSONArray("refused").objects()
        assertTrue("${names.size} ${bad.size}", names.size > 10 && bad.size > 10)
        val fingerprint = ByteArray(32)
        val file = folder.newFile()
        val again = folder.newFile()
        for (name in names) {
            file.writeBytes(stateFile(name.toByteArray()))
            val read = StateFile.readState(file, fingerprint, 1)
            assertEquals(listOf(name), read.addedClasses)
            StateFile.write(again, read.values, fingerprint, read.addedClasses)
            assertArrayEquals(file.readBytes(), again.readBytes())
        }
        for (each in bad) {
            val hex = each.getString("bytes")
            val bytes = ByteArray(hex.length / 2) { hex.substring(2 * it, 2 * it + 2).toInt(16).toByte() }
            if ('\n'.code.toByte() !in bytes) { // which ends a name there
                file.writeBytes(stateFile(bytes))
                refused("$file") { StateFile.readState(file, fingerprint, 1) }
            }
            val name = bytes.decodeToString()
            if (name.toByteArray().contentEquals(bytes)) {
                refused("1 to 255 bytes") { ClassNames.entered(name) }
            }
        }
    }

    private fun stateFile(names: ByteArray): ByteArray {
        val buffer = ByteBuffer.allocate(48 + 4 + 4 + names.size + 4).order(ByteOrder.LITTLE_ENDIAN)
        buffer
            .put("TINYTL\r\n".toByteArray())
            .putInt(2)
            .put(ByteArray(32))
            .putInt(1)
            .putFloat(0.5f)
        buffer.putInt(names.size).put(names)
        return buffer.putInt(CRC32().apply { update(buffer.array(), 0, buffer.position()) }.value.toInt()).array()
    }

    @Test
    fun `names that cannot be used are refused and shown in one line`() {
        for ((name, shown) in refused) {
            refused("1 to 255 bytes", "got ", shown, "name of its own") { ClassNames.check(listOf("a", name)) }
            refused(shown) { ClassNames.entered(name) }
        }
    }

    @Test
    fun `a name needs a character that can be seen`() {
        val ranges =
            listOf(0x2000..0x200F, 0x202A..0x202F, 0x205F..0x206F) +
                listOf(0x20, 0xA0, 0xAD, 0x1680, 0x180E, 0x3000, 0xFEFF).map { it..it }
        val invisible = ranges.flatten().map { it.toChar().toString() }
        for (name in invisible + invisible.joinToString("")) {
            refused("invisible") { ClassNames.check(listOf(name)) }
            ClassNames.check(listOf("${name}a", "a$name"))
        }
        val others = ranges + listOf(0x00..0x1F, 0x7F..0x9F, 0x2028..0x2029)
        for (next in ranges.flatMap { listOf(it.first - 1, it.last + 1) }.filter {
            others.none { range ->
                it in range
            }
        }) {
            ClassNames.check(listOf(next.toChar().toString()))
        }
    }

    @Test
    fun `the first and the last forbidden characters and their neighbors`() {
        for (forbidden in listOf(0x00, 0x1F, 0x7F, 0x9F, 0x2028, 0x2029)) {
            refused("control characters") { ClassNames.check(listOf("a${forbidden.toChar()}")) }
        }
        for (free in listOf(0x20, 0x7E, 0xA0, 0x2027, 0x202A)) {
            ClassNames.check(listOf("a${free.toChar()}"))
        }
    }

    @Test
    fun `names are the same if their bytes are`() {
        ClassNames.check(listOf("\u00e9", "e\u0301", "E"), listOf("e"))
        refused("differ", "\"a\" twice") { ClassNames.check(listOf("a", "b", "a")) }
        refused("differ", "\"b\" twice") { ClassNames.check(listOf("a", "b"), listOf("b")) }
    }

    @Test
    fun `all names together fit into a state file`() {
        val names = List(4096) { "%0255d".format(it) }
        assertEquals((1 shl 20) - 1, ClassNames.encoded(names).size)
        refused("1048576 bytes in all", "got 1048577") { ClassNames.encoded(names + "x") }
        assertEquals("a\nb", ClassNames.encoded(listOf("a", "b")).decodeToString())
        assertTrue(ClassNames.encoded(emptyList()).isEmpty())
    }

    @Test
    fun `labels match in any form, unless the model has both forms`() {
        val example = Example(Flat(1), "e\u0301clair")
        for (label in listOf("\u00e9clair", "e\u0301clair")) {
            val target = Targets(Task.CLASSIFICATION, listOf("a", label)).of(example)
            assertEquals(listOf(0f, 1f), target.toList())
        }
        refused("different names", "two forms of Unicode") {
            Targets(Task.CLASSIFICATION, listOf("\u00e9clair", "e\u0301clair"))
        }
    }

    @Test
    fun `messages are one line whatever they quote`() {
        val example = Example(Flat(1, "a\nphoto\u2028of\u0000mine"), "no\r\nclass")
        val message = refused("labels of the model (a)") { Targets(Task.CLASSIFICATION, listOf("a")).of(example) }
        assertTrue(message, message.none { it < ' ' || it == '\u2028' })
    }
}
