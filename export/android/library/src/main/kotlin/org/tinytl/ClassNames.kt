package org.tinytl

import java.text.Normalizer

/**
 * Names of classes and attributes: which ones can be used, and when two are the same.
 *
 * The rule is in `docs/formats.md`. It needs no Unicode table, so that all clients agree on any device.
 */
public object ClassNames {
    private const val REMEDY = "give each class a name of its own"
    private const val SHOWN = 80
    private const val MOST_BYTES = 255

    /** The most bytes that the names of all added classes take in a state file. */
    internal const val MOST_BYTES_IN_ALL: Int = 1 shl 20

    private const val SPACE = ' '.code
    private val forbidden = listOf(0x00..0x1F, 0x7F..0x9F, 0x2028..0x2029)
    private val invisible =
        listOf(
            SPACE..SPACE,
            0xA0..0xA0,
            0xAD..0xAD,
            0x1680..0x1680,
            0x180E..0x180E,
            0x2000..0x200F,
            0x202A..0x202F,
            0x205F..0x206F,
            0x3000..0x3000,
            0xFEFF..0xFEFF,
        )

    /**
     * Returns a name as it is kept: in Unicode's form NFC.
     *
     * Call it where a name enters: a text field, the name of a folder. [TinyTlModel.addClass] does so itself.
     *
     * @param name as the user wrote it
     * @throws InputException if it is empty or longer than 255 bytes of UTF-8, has a control character or line
     *   separator, or no character that can be seen
     */
    @JvmStatic
    public fun entered(name: String): String = normalized(name).also { check(it) }

    /** The name in Unicode's form NFC, by which names are matched. */
    internal fun normalized(name: String): String = Normalizer.normalize(name, Normalizer.Form.NFC)

    /**
     * Checks names that are kept as they are; two are the same if their bytes are.
     *
     * @param taken names that other classes have
     * @throws InputException if one cannot be used, see [entered], or is there twice
     */
    internal fun check(
        names: List<String>,
        taken: List<String> = emptyList(),
    ) {
        names.forEach { check(it) }
        val seen = taken.toHashSet()
        names.find { !seen.add(it) }?.let { throw twice(it) }
    }

    /**
     * Returns the names of added classes as they are in a state file.
     *
     * @throws InputException as [check], or if all of them together are too long for the file
     */
    internal fun encoded(names: List<String>): ByteArray {
        check(names)
        val content = names.joinToString("\n").toByteArray()
        if (content.size > MOST_BYTES_IN_ALL) {
            throw InputException(
                "expected names of added classes of $MOST_BYTES_IN_ALL bytes in all, got ${content.size}; use " +
                    "shorter names",
            )
        }
        return content
    }

    /** The refusal of a name that another class has. */
    internal fun twice(name: String) =
        InputException("expected names of classes that differ, got ${shown(name)} twice; $REMEDY")

    /** The name in quotes, each character that would hide or break the line as its number. */
    internal fun shown(name: String): String {
        val characters =
            codePoints(name).take(SHOWN).map {
                if (it != SPACE && (isForbidden(it) || isIn(it, invisible))) {
                    "\\u%04x".format(it)
                } else {
                    String(Character.toChars(it))
                }
            }
        return "\"${characters.joinToString("")}\""
    }

    private fun check(name: String) {
        val points = codePoints(name)
        val bytes = points.sumOf { bytes(it) }
        val got =
            when {
                points.isEmpty() -> "an empty one"
                points.any { isForbidden(it) } -> shown(name)
                points.all { isIn(it, invisible) } -> "${shown(name)}, which cannot be seen"
                bytes > MOST_BYTES -> "$bytes bytes, ${shown(name)}"
                else -> return
            }
        throw InputException(
            "expected names of classes of 1 to $MOST_BYTES bytes that can be seen, without control characters and " +
                "line breaks, got $got; $REMEDY",
        )
    }

    private fun codePoints(name: String): List<Int> {
        val points = ArrayList<Int>(name.length)
        var index = 0
        while (index < name.length) {
            points += name.codePointAt(index).also { index += Character.charCount(it) }
        }
        return points
    }

    private fun isForbidden(point: Int): Boolean = isIn(point, forbidden) || isHalf(point)

    /** Whether this is half of a character of two, which UTF-8 cannot write. */
    private fun isHalf(point: Int): Boolean = point in 0xD800..0xDFFF

    private fun isIn(
        point: Int,
        ranges: List<IntRange>,
    ): Boolean = ranges.any { point in it }

    private fun bytes(point: Int): Int =
        when {
            point < 0x80 -> 1
            point < 0x800 -> 2
            point < 0x10000 -> 3
            else -> 4
        }
}
